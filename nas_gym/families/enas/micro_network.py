"""The networks of ENAS's micro search space (Pham et al. 2018, https://arxiv.org/abs/1802.03268).

Three stacks of N normal cells, a reduction cell before the second and the third, which halves the
size and doubles the filters; classifiers without bias. The released code,
https://github.com/melodyguan/enas, src/cifar10/micro_child.py, builds two different networks:

- "released_final", of a fixed architecture. A cell's newer input passes one more 1x1 convolution
  than NASNet's, an identity of stride 2 is a factorized reduction, and the output is the
  concatenation itself. With N = 6 and 36 filters it has the paper's 4.6 million parameters; the
  released script asks for N = 5, which has 3.9 million.
- "released_search", of a sampled architecture. A factorized reduction halves the newer input ahead
  of a reduction cell, whose operations have stride 1 (its older input is the unhalved one), and a
  1x1 convolution brings every cell's output back to the cell's width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.families.enas.micro_search_space import ENASMicroArchitecture
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.cells import BlockModule, State, halved, match_state
from nas_gym.networks.operations import (
    Builder,
    DropPath,
    FactorizedReduction,
    concatenate,
    conv,
    initialize,
    pooling,
    separable,
    squeeze,
)
from nas_gym.search_spaces.cells import Cell
from nas_gym.settings import Cells, Keep, Share, Size, settings


@settings
class ENASCellNetworkSettings(NetworkSettings):
    """The skeleton around the cells; the defaults are the paper's final network's."""

    cells: Cells = 6
    """N, the number of normal cells in each of the three stacks; 2 in the released search."""
    filters: Size = 36
    """Filters of each state in the first stack; 20 in the released search. The stem has three
    times as many."""
    form: Literal["released_final", "released_search"] = "released_final"
    """"released_final" or "released_search": see `nas_gym.families.enas.micro_network`."""
    auxiliary_head: bool = False
    """A second classifier, for training only, on the first cell after the second reduction."""
    drop_path_keep: Keep = 1.0
    """The probability of keeping a path in the last cell at the end of training; 1 drops none."""
    dropout: Share = 0.0
    """The probability of dropping a feature before the classifier."""


def _identity(channels: int, filters: int, stride: int) -> nn.Module:
    return FactorizedReduction(channels, filters) if stride > 1 else nn.Identity()


OPERATIONS: dict[str, Builder] = {
    "separable_conv_3x3": partial(separable, 3),
    "separable_conv_5x5": partial(separable, 5),
    "average_pooling": partial(pooling, "average", 3),
    "max_pooling": partial(pooling, "max", 3),
    "identity": _identity,
}
"""Builders of the labels of `MICRO_OPERATIONS`; none changes the width, which all states share."""


@dataclass(frozen=True)
class CellPlace:
    """Where a cell stands in the stack, with the shapes of its newer and its older input."""

    reduction: bool
    current: State
    previous: State
    filters: int
    """The width of every state in the cell."""
    keep: float
    """The drop-path probability of this cell at the end of training."""

    def calibrated(self) -> tuple[nn.Module, nn.Module]:
        """Return what brings the older and the newer input to the cell's width and one size."""
        return self._calibrated(self.previous), self._calibrated(self.current)

    def _calibrated(self, state: State) -> nn.Module:
        if state.halvings != self.current.halvings:
            return nn.Sequential(nn.ReLU(), FactorizedReduction(state.channels, self.filters))
        if state.channels == self.filters:
            return nn.Identity()
        return squeeze(state.channels, self.filters)


class StackedModule(nn.Module):
    """(newer input, older input) in, output out."""

    output: State


CellBuilder = Callable[[CellPlace], StackedModule]


class ENASCellModule(StackedModule):
    """One cell of the form "released_final", or else of the form "released_search"."""

    members = 1

    def __init__(self, cell: Cell, place: CellPlace, final: bool) -> None:
        super().__init__()
        filters, halvings = place.filters, place.current.halvings
        self.older, self.newer = place.calibrated()
        if final:
            self.newer = nn.Sequential(self.newer, squeeze(filters, filters))

        states = [State(filters, halvings)] * 2
        halvings += int(place.reduction and final)
        self.blocks = nn.ModuleList()
        for block in cell.blocks:
            module = BlockModule(block, states, filters, halvings, place.keep, OPERATIONS)
            self.blocks.append(module)
            states.append(State(filters, halvings))

        self.concat = cell.concat
        self.match = nn.ModuleList(match_state(states[i], filters, halvings) for i in cell.concat)
        width = filters * len(cell.concat)
        self.project = nn.Identity() if final else squeeze(width, filters)
        self.output = State(width if final else filters, halvings)

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        states = [self.newer(current), self.older(previous)]
        for block in self.blocks:
            states.append(block(states))
        kept = [match(states[i]) for match, i in zip(self.match, self.concat, strict=True)]
        output: Tensor = self.project(concatenate(kept, self.members))
        return output


class HalvedOutput(StackedModule):
    """The input of a reduction cell in the search: the output before it, at half its size."""

    def __init__(self, current: State, filters: int) -> None:
        super().__init__()
        self.reduction = FactorizedReduction(current.channels, filters)
        self.output = State(filters, current.halvings + 1)

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        output: Tensor = self.reduction(current)
        return output


class ENASAuxiliaryHead(nn.Module):
    """The auxiliary classifier: (B, channels, H, W) in, logits (B, classes) out."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        pools = min(height, width) >= 5
        sizes = [(size - 5) // 3 + 1 if pools else size for size in (height, width)]
        # Kernels may be even: the odd pixel of padding is on the right and below, as TensorFlow's.
        above, left = ((size - 1) // 2 for size in sizes)
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3) if pools else nn.Identity(),
            conv(channels, 128),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.ZeroPad2d((left, sizes[1] - 1 - left, above, sizes[0] - 1 - above)),
            nn.Conv2d(128, 768, (sizes[0], sizes[1]), bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(768, classes, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class ENASCellStack(ChildNetwork):
    """Stem, a stack of cells and classifier: images (B, C, H, W) in, logits (B, classes) out.

    In training mode with an auxiliary head it gives a pair: logits, and the head's logits.
    """

    def __init__(
        self, shape: ImageShape, settings: ENASCellNetworkSettings, build_cell: CellBuilder
    ) -> None:
        super().__init__()
        width = 3 * settings.filters
        self.stem = nn.Sequential(conv(shape.channels, width, 3), nn.BatchNorm2d(width))
        modules = _stack(settings, build_cell)
        self.cells = nn.ModuleList(modules)
        self.auxiliary_head = None
        self.auxiliary_place = len(modules) - settings.cells
        if settings.auxiliary_head:
            tap = modules[self.auxiliary_place].output
            sizes = (halved(shape.height, tap.halvings), halved(shape.width, tap.halvings))
            self.auxiliary_head = ENASAuxiliaryHead(tap.channels, *sizes, shape.classes)
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(modules[-1].output.channels, shape.classes, bias=False)
        self.drop_paths = [module for module in self.modules() if isinstance(module, DropPath)]
        initialize(self)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        previous = current = self.stem(x)
        tapped = None
        for place, cell in enumerate(self.cells):
            previous, current = current, cell(current, previous)
            if self.training and self.auxiliary_head is not None and place == self.auxiliary_place:
                tapped = self.auxiliary_head(current)
        logits: Tensor = self.classifier(self.dropout(F.relu(current).mean(dim=(2, 3))))
        return logits if tapped is None else (logits, tapped)

    def set_progress(self, progress: float | Tensor) -> None:
        for drop_path in self.drop_paths:
            drop_path.progress = progress


class ENASCellNetwork(ENASCellStack):
    """The network of one architecture."""

    settings_type = ENASCellNetworkSettings

    def __init__(
        self, cells: ENASMicroArchitecture, shape: ImageShape, settings: ENASCellNetworkSettings
    ) -> None:
        def build(place: CellPlace) -> ENASCellModule:
            cell = cells.reduction if place.reduction else cells.normal
            return ENASCellModule(cell, place, settings.form == "released_final")

        super().__init__(shape, settings, build)


def _stack(settings: ENASCellNetworkSettings, build_cell: CellBuilder) -> list[StackedModule]:
    """Return the modules between the stem and the classifier, in order."""
    cells, total, filters = settings.cells, 3 * settings.cells + 2, settings.filters
    previous = current = State(3 * filters, 0)
    modules: list[StackedModule] = []
    for number in range(total):
        reduction = number in (cells, 2 * cells + 1)
        if reduction:
            filters *= 2
            if settings.form == "released_search":
                modules.append(HalvedOutput(current, filters))
                previous, current = current, modules[-1].output
        keep = 1 - (number + 1) / total * (1 - settings.drop_path_keep)
        modules.append(build_cell(CellPlace(reduction, current, previous, filters, keep)))
        previous, current = current, modules[-1].output
    return modules
