"""Supernets: one network that holds the weights of all children of ENAS's search spaces.

Pham et al. 2018, https://arxiv.org/abs/1802.03268, sections 2.3 and 2.4; the details are those of
the released code's search, https://github.com/melodyguan/enas, src/cifar10/micro_child.py and
general_child.py. Every layer, and both halves of every node, hold the weights of all operations;
a node's half holds them once for each earlier state that it can take. A child's forward pass runs
its own path and nothing else.

The children are those of the form "released_search" of `nas_gym.networks.enas_cell_network` and
`macro_network`. So the macro search space's skip connections are added to the layer's output, and
the sum is normalized; the form "released_final" concatenates them. The 1x1 convolution after a
micro cell, whose inputs are the states that no node takes, is a sum of one for each state.

Where ``batch_statistics`` holds, batch normalization takes the mean and variance of the batch in
evaluation too, for running ones would mix all children's: so does the released code for the micro
search space, but not for the macro one.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings, require
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings, build_network
from nas_gym.networks.cell_network import BlockModule, State
from nas_gym.networks.enas_cell_network import (
    OPERATIONS,
    CellPlace,
    ENASCellModule,
    ENASCellNetwork,
    ENASCellNetworkSettings,
    ENASCellStack,
    HalvedOutput,
    StackedModule,
    calibrate,
)
from nas_gym.networks.macro_network import (
    MacroLayerModule,
    MacroNetwork,
    MacroNetworkSettings,
    MacroStack,
    operation,
    read_later,
)
from nas_gym.networks.operations import DropPath, conv
from nas_gym.search_spaces import ENASMacroSearchSpace, ENASMicroSearchSpace, SearchSpace
from nas_gym.search_spaces.cells import Block, Cell
from nas_gym.search_spaces.enas import (
    MACRO_OPERATIONS,
    ENASMacroArchitecture,
    ENASMicroArchitecture,
    MacroLayer,
)

FORM: Literal["released_search"] = "released_search"
N = TypeVar("N", bound=ChildNetwork)
S = TypeVar("S", bound=NetworkSettings)


class Supernet(ChildNetwork, ABC):
    """A network of many children: images (B, C, H, W) in, logits (B, classes) of one child out.

    In training mode with an auxiliary head it gives a pair, as its children do; all share the head.
    """

    @abstractmethod
    def set_architecture(self, architecture: Architecture) -> None:
        """Have the forward pass be that of this child from now on.

        Raises:
            InvalidArchitecture: it is none of the supernet's children.
        """

    @abstractmethod
    def path(self, architecture: Architecture) -> list[nn.Module]:
        """The modules whose weights a child has; the auxiliary head is none of them.

        Raises:
            InvalidArchitecture: it is none of the supernet's children.
        """

    @abstractmethod
    def child(self, architecture: Architecture) -> ChildNetwork:
        """The child as a network of its own, with a copy of the weights that it has here.

        Raises:
            InvalidArchitecture: it is none of the supernet's children.
        """

    def count_parameters(self, architecture: Architecture) -> int:
        """How many parameters a child has, without those of the auxiliary head."""
        modules = self.path(architecture)
        return sum(parameter.numel() for module in modules for parameter in module.parameters())


@singledispatch
def build_supernet(
    search_space: SearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    """The supernet of a search space, its weights drawn from torch's global generator.

    Args:
        search_space: ENAS's macro or micro one.
        image_shape: Of the images.
        settings: Its family's; default: the released search's.
        batch_statistics: Whether the statistics of the batch normalize in evaluation too; default:
            as released, for the micro search space they do.

    Raises:
        InvalidSettings: the search space has no supernet, or the settings do not fit.
    """
    raise InvalidSettings(
        f"search_space: {search_space} has no supernet; ENASMacroSearchSpace and "
        "ENASMicroSearchSpace have one"
    )


class SharedBlock(nn.Module):
    """All weights of a node: each half's operations, for each earlier state that it may take."""

    def __init__(self, states: int, filters: int, keep: float) -> None:
        super().__init__()

        def half() -> nn.ModuleList:
            return nn.ModuleList(
                nn.ModuleDict({label: _operation(label, filters, keep) for label in OPERATIONS})
                for _ in range(states)
            )

        self.op1, self.op2 = half(), half()

    def chosen(self, block: Block) -> tuple[nn.Module, nn.Module]:
        """The operations of the two halves."""
        first, second = self.op1[block.hidden1], self.op2[block.hidden2]
        assert isinstance(first, nn.ModuleDict)
        assert isinstance(second, nn.ModuleDict)
        return first[block.op1], second[block.op2]

    def forward(self, states: list[Tensor], block: Block) -> Tensor:
        op1, op2 = self.chosen(block)
        output: Tensor = op1(states[block.hidden1]) + op2(states[block.hidden2])
        return output


def _operation(label: str, filters: int, keep: float) -> nn.Module:
    """As `nas_gym.networks.cell_network.BlockModule` has it, for stride 1."""
    module = OPERATIONS[label](filters, filters, 1)
    if keep < 1 and label != "identity":
        return nn.Sequential(module, DropPath(keep))
    return module


class SharedCell(StackedModule):
    """All weights of a cell; ``cell`` says which of them the forward pass takes."""

    cell: Cell

    def __init__(self, blocks: int, place: CellPlace) -> None:
        super().__init__()
        self.older = calibrate(place.previous, place.current.halvings, place.filters)
        self.newer = calibrate(place.current, place.current.halvings, place.filters)
        self.blocks = nn.ModuleList(
            SharedBlock(block + 2, place.filters, place.keep) for block in range(blocks)
        )
        self.project = nn.ModuleList(conv(place.filters, place.filters) for _ in range(blocks + 2))
        """A 1x1 convolution for each state that the output may concatenate."""
        self.norm = nn.BatchNorm2d(place.filters)
        self.output = State(place.filters, place.current.halvings)

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        states = [self.newer(current), self.older(previous)]
        for module, block in zip(self.blocks, self.cell.blocks, strict=True):
            states.append(module(states, block))
        parts = [self.project[state](F.relu(states[state])) for state in self.cell.concat]
        output: Tensor = self.norm(sum(parts[1:], parts[0]))
        return output

    def path(self, cell: Cell) -> Iterator[nn.Module]:
        """The modules whose weights the cell has."""
        yield from (self.older, self.newer)
        for module, block in zip(self.blocks, cell.blocks, strict=True):
            assert isinstance(module, SharedBlock)
            yield from module.chosen(block)
        yield from (self.project[state] for state in cell.concat)
        yield self.norm

    def copy_to(self, module: ENASCellModule, cell: Cell) -> None:
        """Gives a cell of its own the weights that it has here."""
        _copy(self.older, module.older)
        _copy(self.newer, module.newer)
        for shared, own, block in zip(self.blocks, module.blocks, cell.blocks, strict=True):
            assert isinstance(shared, SharedBlock)
            assert isinstance(own, BlockModule)
            for source, target in zip(shared.chosen(block), (own.op1, own.op2), strict=True):
                _copy(source, target)
        assert isinstance(module.project, nn.Sequential)
        _, convolution, norm = module.project
        weights = [self.project[state].state_dict()["weight"] for state in cell.concat]
        convolution.load_state_dict({"weight": torch.cat(weights, dim=1)})
        _copy(self.norm, norm)


class MicroSupernet(ENASCellStack, Supernet):
    """The supernet of ENAS's micro search space, of B nodes a cell."""

    def __init__(
        self, blocks: int, image_shape: ImageShape, settings: ENASCellNetworkSettings
    ) -> None:
        super().__init__(image_shape, settings, lambda place: SharedCell(blocks, place))
        self.image_shape, self.settings, self.number_of_blocks = image_shape, settings, blocks
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
        network = _built(ENASCellNetwork, architecture, self.image_shape, self.settings)
        _match_statistics(self, network)
        pairs = [(self.stem, network.stem), (self.classifier, network.classifier)]
        if self.auxiliary_head is not None and network.auxiliary_head is not None:
            pairs.append((self.auxiliary_head, network.auxiliary_head))
        for shared, own in zip(self.cells, network.cells, strict=True):
            if isinstance(shared, SharedCell) and isinstance(own, ENASCellModule):
                shared.copy_to(own, cells[shared])
            else:
                pairs.append((shared, own))
        for source, target in pairs:
            _copy(source, target)
        return network

    def _cells_of(self, architecture: Architecture) -> list[tuple[SharedCell, Cell]]:
        """Each shared cell, and the cell whose weights an architecture has there."""
        if not isinstance(architecture, ENASMicroArchitecture):
            raise _no_child(architecture, "enas_micro")
        for name in ("normal", "reduction"):
            getattr(architecture, name).expect_searched(name, self.number_of_blocks)
        return [
            (module, architecture.reduction if place in self.reductions else architecture.normal)
            for place, module in enumerate(self.cells)
            if isinstance(module, SharedCell)
        ]


class SharedLayer(nn.Module):
    """All weights of a macro layer; ``layer`` says which of them the forward pass takes."""

    layer: MacroLayer

    def __init__(self, filters: int, first: bool) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(
            {label: operation(label, filters, FORM) for label in MACRO_OPERATIONS}
        )
        self.join = nn.Identity() if first else nn.BatchNorm2d(filters)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        output: Tensor = self.operations[self.layer.operation](outputs[-1])
        kept = [outputs[source] for source in self.layer.skips]
        joined: Tensor = self.join(sum(kept, output))
        return joined


class MacroSupernet(MacroStack, Supernet):
    """The supernet of ENAS's macro search space, of L layers."""

    def __init__(
        self, layers: int, image_shape: ImageShape, settings: MacroNetworkSettings
    ) -> None:
        def build(number: int, filters: int) -> SharedLayer:
            return SharedLayer(filters, number == 1)

        super().__init__(layers, image_shape, settings, build, lambda n: list(range(n + 1)))
        self.image_shape, self.settings = image_shape, settings

    def set_architecture(self, architecture: Architecture) -> None:
        layers = self._layers_of(architecture)
        for module, layer in layers:
            module.layer = layer
        self.halved = self._halved(architecture)

    def path(self, architecture: Architecture) -> list[nn.Module]:
        modules: list[nn.Module] = [self.stem, self.classifier]
        for module, layer in self._layers_of(architecture):
            modules += [module.operations[layer.operation], module.join]
        for number, outputs in self._halved(architecture).items():
            modules += [self.reduction(number, output) for output in outputs]
        return modules

    def child(self, architecture: Architecture) -> MacroNetwork:
        layers = self._layers_of(architecture)
        network = _built(MacroNetwork, architecture, self.image_shape, self.settings)
        _match_statistics(self, network)
        _copy(self.stem, network.stem)
        _copy(self.classifier, network.classifier)
        for (shared, layer), own in zip(layers, network.layers, strict=True):
            assert isinstance(own, MacroLayerModule)
            _copy(shared.operations[layer.operation], own.operation)
            _copy(shared.join, own.join)
        for number, outputs in network.halved.items():
            for output in outputs:
                _copy(self.reduction(number, output), network.reduction(number, output))
        return network

    def _layers_of(self, architecture: Architecture) -> list[tuple[SharedLayer, MacroLayer]]:
        """Each shared layer, and the layer whose weights an architecture has there."""
        if not isinstance(architecture, ENASMacroArchitecture):
            raise _no_child(architecture, "enas_macro")
        if len(architecture.layers) != len(self.layers):
            raise InvalidArchitecture(
                f"layers: {len(architecture.layers)} layers; this supernet has {len(self.layers)}"
            )
        modules = [module for module in self.layers if isinstance(module, SharedLayer)]
        return list(zip(modules, architecture.layers, strict=True))

    def _halved(self, architecture: Architecture) -> dict[int, list[int]]:
        """The outputs that a child halves after each layer after which it halves any."""
        assert isinstance(architecture, ENASMacroArchitecture)
        return {int(number): read_later(architecture, int(number)) for number in self.reductions}


@build_supernet.register
def _(
    search_space: ENASMicroSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    released = ENASCellNetworkSettings(cells=2, filters=20, form=FORM)
    checked = _checked(ENASCellNetworkSettings, released if settings is None else settings)
    supernet = MicroSupernet(search_space.blocks, image_shape, checked)
    if batch_statistics is not False:
        _use_batch_statistics(supernet.modules())
    return supernet


@build_supernet.register
def _(
    search_space: ENASMacroSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    released = MacroNetworkSettings(filters=36, form=FORM)
    checked = _checked(MacroNetworkSettings, released if settings is None else settings)
    supernet = MacroSupernet(search_space.layers, image_shape, checked)
    if batch_statistics:
        _use_batch_statistics(supernet.modules())
    return supernet


def _checked(settings_type: type[S], settings: NetworkSettings) -> S:
    """The settings, if they are of their family and of the search's form."""
    if not isinstance(settings, settings_type):
        raise InvalidSettings(
            f"network: {type(settings).__name__} does not fit this search space; "
            f"expected {settings_type.__name__}"
        )
    form = settings.form  # type: ignore[attr-defined]
    require(
        form == FORM,
        f"form: the children of a supernet have the form {FORM!r}, not {form!r}",
    )
    return settings


def _no_child(architecture: Architecture, expected: str) -> InvalidArchitecture:
    return InvalidArchitecture(
        f"kind: {architecture.kind!r} is no child of this supernet; expected {expected!r}"
    )


def _copy(source: nn.Module, target: nn.Module) -> None:
    target.load_state_dict(source.state_dict())


def _built(
    network_type: type[N],
    architecture: Architecture,
    image_shape: ImageShape,
    settings: NetworkSettings,
) -> N:
    """The child with any weights; torch's random numbers are left as they are."""
    with torch.random.fork_rng([]):
        network = build_network(architecture, image_shape, settings)
    assert isinstance(network, network_type)
    return network


def _match_statistics(supernet: nn.Module, child: nn.Module) -> None:
    """Has a child take the batch's statistics if the supernet does, and lie where it lies."""
    norms = (module for module in supernet.modules() if isinstance(module, nn.BatchNorm2d))
    if not next(norms).track_running_stats:
        _use_batch_statistics(child.modules())
    child.to(next(supernet.parameters()).device).to(memory_format=torch.channels_last)


def _use_batch_statistics(modules: Iterable[nn.Module]) -> None:
    """Has batch normalization take the batch's mean and variance in evaluation too."""
    for module in modules:
        if isinstance(module, nn.BatchNorm2d):
            module.track_running_stats = False
            module.running_mean = module.running_var = module.num_batches_tracked = None
