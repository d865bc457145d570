"""The supernet of ENAS's micro search space."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.architecture import Architecture
from nas_gym.families.enas.micro_network import (
    OPERATIONS,
    CellPlace,
    ENASCellModule,
    ENASCellNetwork,
    ENASCellNetworkSettings,
    ENASCellStack,
    HalvedOutput,
    StackedModule,
)
from nas_gym.families.enas.micro_search_space import ENASMicroArchitecture, ENASMicroSearchSpace
from nas_gym.networks.base import ImageShape, NetworkSettings
from nas_gym.networks.cells import State
from nas_gym.networks.operations import DropPath, conv
from nas_gym.search_spaces.cells import Block, Cell
from nas_gym.weight_sharing.supernet import (
    FORM,
    Supernet,
    built_child,
    checked_settings,
    copy_weights,
    match_statistics,
    no_child,
    use_batch_statistics,
)


class SharedBlock(nn.Module):
    """All weights of a node: each half's operations, for each possible earlier state."""

    def __init__(self, states: int, filters: int, keep: float) -> None:
        super().__init__()
        self.op1, self.op2 = (
            nn.ModuleList(
                nn.ModuleDict({label: _operation(label, filters, keep) for label in OPERATIONS})
                for _ in range(states)
            )
            for _ in range(2)
        )

    def chosen(self, block: Block) -> tuple[nn.Module, nn.Module]:
        """Return the operations of the two halves."""
        return (
            self.op1[block.hidden1].get_submodule(block.op1),
            self.op2[block.hidden2].get_submodule(block.op2),
        )

    def forward(self, states: list[Tensor], block: Block) -> Tensor:
        op1, op2 = self.chosen(block)
        output: Tensor = op1(states[block.hidden1]) + op2(states[block.hidden2])
        return output


def _operation(label: str, filters: int, keep: float) -> nn.Module:
    """Return an operation as in `nas_gym.networks.cells.BlockModule`, with stride 1."""
    module = OPERATIONS[label](filters, filters, 1)
    return nn.Sequential(module, DropPath(keep)) if keep < 1 and label != "identity" else module


class SharedCell(StackedModule):
    """All weights of a cell; ``cell`` selects those of the forward pass."""

    cell: Cell

    def __init__(self, blocks: int, place: CellPlace) -> None:
        super().__init__()
        filters = place.filters
        self.older, self.newer = place.calibrated()
        self.blocks = nn.ModuleList(SharedBlock(2 + n, filters, place.keep) for n in range(blocks))
        self.project = nn.ModuleList(conv(filters, filters) for _ in range(blocks + 2))
        """A 1x1 convolution for each state that the output may concatenate."""
        self.norm = nn.BatchNorm2d(filters)
        self.output = State(filters, place.current.halvings)

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        states = [self.newer(current), self.older(previous)]
        for module, block in zip(self.blocks, self.cell.blocks, strict=True):
            states.append(module(states, block))
        parts = [self.project[state](F.relu(states[state])) for state in self.cell.concat]
        output: Tensor = self.norm(sum(parts[1:], parts[0]))
        return output

    def path(self, cell: Cell) -> Iterator[nn.Module]:
        """Yield the modules whose weights the cell has."""
        yield from (self.older, self.newer)
        for module, block in zip(self.blocks, cell.blocks, strict=True):
            assert isinstance(module, SharedBlock)
            yield from module.chosen(block)
        yield from (self.project[state] for state in cell.concat)
        yield self.norm

    def copy_to(self, module: ENASCellModule, cell: Cell) -> None:
        """Copy the cell's weights to a separate cell."""
        copy_weights(self.older, module.older)
        copy_weights(self.newer, module.newer)
        for shared, own, block in zip(self.blocks, module.blocks, cell.blocks, strict=True):
            assert isinstance(shared, SharedBlock)
            for name, source in zip(("op1", "op2"), shared.chosen(block), strict=True):
                copy_weights(source, own.get_submodule(name))
        assert isinstance(module.project, nn.Sequential)
        _, convolution, norm = module.project
        weights = [self.project[state].state_dict()["weight"] for state in cell.concat]
        convolution.load_state_dict({"weight": torch.cat(weights, dim=1)})
        copy_weights(self.norm, norm)


class MicroSupernet(ENASCellStack, Supernet):
    """The supernet of ENAS's micro search space, of B nodes a cell."""

    def __init__(self, blocks: int, shape: ImageShape, settings: ENASCellNetworkSettings) -> None:
        super().__init__(shape, settings, lambda place: SharedCell(blocks, place))
        self.image_shape, self.settings, self.num_blocks = shape, settings, blocks
        places = range(len(self.cells))
        self.reductions = {n for n in places if isinstance(self.cells[n - 1], HalvedOutput)}
        """The places of the reduction cells among the stacked modules."""

    def set_architecture(self, architecture: Architecture) -> None:
        for module, cell in self._cells_of(architecture):
            module.cell = cell

    def path(self, architecture: Architecture) -> list[nn.Module]:
        modules: list[nn.Module] = [self.stem, self.classifier]
        modules += [module for module in self.cells if isinstance(module, HalvedOutput)]
        for shared, cell in self._cells_of(architecture):
            modules += shared.path(cell)
        return modules

    def child(self, architecture: Architecture) -> ENASCellNetwork:
        cells = dict(self._cells_of(architecture))
        network = built_child(ENASCellNetwork, architecture, self.image_shape, self.settings)
        match_statistics(self, network)
        copy_weights(self.stem, network.stem)
        copy_weights(self.classifier, network.classifier)
        if self.auxiliary_head is not None and network.auxiliary_head is not None:
            copy_weights(self.auxiliary_head, network.auxiliary_head)
        for shared, own in zip(self.cells, network.cells, strict=True):
            if isinstance(shared, SharedCell) and isinstance(own, ENASCellModule):
                shared.copy_to(own, cells[shared])
            else:
                copy_weights(shared, own)
        return network

    def _cells_of(self, architecture: Architecture) -> list[tuple[SharedCell, Cell]]:
        """Return each shared cell with the child's cell in its place."""
        if not isinstance(architecture, ENASMicroArchitecture):
            raise no_child(architecture, "enas_micro")
        for name in ("normal", "reduction"):
            getattr(architecture, name).expect_searched(name, self.num_blocks)
        return [
            (module, architecture.reduction if place in self.reductions else architecture.normal)
            for place, module in enumerate(self.cells)
            if isinstance(module, SharedCell)
        ]


def micro_supernet(
    search_space: ENASMicroSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    """Build the supernet; see `nas_gym.weight_sharing.supernet.build_supernet`."""
    released = ENASCellNetworkSettings(cells=2, filters=20, form=FORM)
    checked = checked_settings(ENASCellNetworkSettings, released if settings is None else settings)
    supernet = MicroSupernet(search_space.blocks, image_shape, checked)
    if batch_statistics is not False:
        use_batch_statistics(supernet.modules())
    return supernet
