"""Cells stacked into a network, as in NASNet.

Source: Zoph et al. 2018, https://arxiv.org/abs/1707.07012, section 3 and appendix A, and the code
released with it, https://github.com/tensorflow/models, research/slim/nets/nasnet. A network is a
stem, three stacks of N normal cells, and a reduction cell before the second and the third stack,
which halves the size and doubles the filters. For ImageNet, two reduction cells with a fourth and
a half of the filters stand between the stem and the first stack.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.errors import require
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.cells import BlockModule, State, halved, match_state
from nas_gym.networks.operations import (
    DropPath,
    FactorizedReduction,
    concatenate,
    conv,
    initialize,
    squeeze,
)
from nas_gym.search_spaces.cells import ADD, Cell, CellArchitecture
from nas_gym.settings import Cells, Keep, Share, Size, settings


@settings
class CellNetworkSettings(NetworkSettings):
    """The skeleton around the cells; a network "N @ P" has P penultimate filters, NASNet-A 24 F."""

    cells: Cells = 6
    """N, the number of normal cells in each of the three stacks; 2 for the paper's children."""
    filters: Size = 32
    """F, the filters of each state in the first stack."""
    stem: Literal["auto", "cifar", "imagenet"] = "auto"
    """"cifar", "imagenet" or "auto", which takes "imagenet" for images of a height of 96 pixels and
    more."""
    stem_filters: Size | None = None
    """Filters of the stem; default: 3 F for "cifar"; for "imagenet" 96 as NASNet Large (F = 168)
    from F = 84 on, 32 as NASNet Mobile (F = 44) below."""
    skip_reduction_input: bool = False
    """The older input of the cell after a reduction is the reduction cell's older input (as NASNet
    Large) rather than its newer one (as NASNet Mobile and for CIFAR)."""
    separate_reductions: bool = True
    """A reduction cell stands before the second and before the third stack, as NASNet's; if not,
    it takes the place of the stack's first normal cell, as PNASNet's."""
    auxiliary_head: bool = False
    """A second classifier, for training only, on the last cell before the second reduction."""
    drop_path_keep: Keep = 1.0
    """The probability of keeping a path in the last cell at the end of training; 1 drops none."""
    dropout: Share = 0.0
    """The probability of dropping a feature before the classifier."""

    def resolved_stem(self, image_shape: ImageShape) -> Literal["cifar", "imagenet"]:
        """Return the stem for images of this shape."""
        if self.stem != "auto":
            return self.stem
        return "imagenet" if image_shape.height >= 96 else "cifar"

    def resolved_stem_filters(self, stem: str) -> int:
        """Return the number of filters of the stem."""
        imagenet = 96 if self.filters >= 84 else 32
        return self.stem_filters or (3 * self.filters if stem == "cifar" else imagenet)


class Step(NamedTuple):
    """One cell of the skeleton: its kind, its width, and the number of its older input."""

    reduction: bool
    filters: int
    older: int


class CellModule(nn.Module):
    """One cell: h_i and h_{i-1} in, its output out.

    ``current`` and ``previous`` are the shapes of h_i, the output of the cell before, and of
    h_{i-1}, that of the cell before that; in the first cell None, where h_i takes its place,
    unprocessed. Operations on the inputs of a reduction cell have stride 2. ``keep`` is the
    drop-path probability at the end of training.
    """

    members = 1

    def __init__(
        self, cell: Cell, current: State, previous: State | None, step: Step, keep: float
    ) -> None:
        super().__init__()
        filters, squeezed = step.filters, State(step.filters, current.halvings)
        self.squeeze = squeeze(current.channels, filters)
        self.adjust: nn.Module = nn.Identity()
        states = [squeezed, squeezed if previous else current]
        if previous and previous.halvings != current.halvings:
            self.adjust = nn.Sequential(nn.ReLU(), FactorizedReduction(previous.channels, filters))
        elif previous and previous.channels != filters:
            self.adjust = squeeze(previous.channels, filters)

        halvings = current.halvings + int(step.reduction)
        self.blocks = nn.ModuleList()
        for block in cell.blocks:
            self.blocks.append(BlockModule(block, states, filters, halvings, keep))
            width = filters if block.combine == ADD else 2 * filters
            states.append(State(width, halvings))

        self.concat = cell.concat
        kept = [states[state] for state in cell.concat]
        self.match = nn.ModuleList(match_state(state, filters, halvings) for state in kept)
        self.output = State(filters * len(cell.concat), halvings)

    def forward(self, current: Tensor, previous: Tensor) -> Tensor:
        states = [self.squeeze(current), self.adjust(previous)]
        for block in self.blocks:
            states.append(block(states))
        kept = [match(states[i]) for match, i in zip(self.match, self.concat, strict=True)]
        return concatenate(kept, self.members)


class AuxiliaryHead(nn.Module):
    """The auxiliary classifier: (B, channels, H, W) in, logits (B, classes) out."""

    def __init__(self, channels: int, height: int, width: int, classes: int) -> None:
        super().__init__()
        pools = min(height, width) >= 5
        rows, columns = ((size - 5) // 3 + 1 if pools else size for size in (height, width))
        self.layers = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, 3) if pools else nn.Identity(),
            nn.Conv2d(channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, (rows, columns), bias=False),
            nn.BatchNorm2d(768),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(768, classes),
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layers(x)
        return logits


class CellNetwork(ChildNetwork):
    """Stem, cells and classifier: images (B, C, H, W) in, logits (B, classes) out.

    In training mode with an auxiliary head it gives a pair: logits, and the head's logits.
    """

    settings_type = CellNetworkSettings

    def __init__(
        self, architecture: CellArchitecture, image_shape: ImageShape, settings: CellNetworkSettings
    ) -> None:
        super().__init__()
        stem = settings.resolved_stem(image_shape)
        stem_filters = settings.resolved_stem_filters(stem)
        height, width = image_shape.height, image_shape.width
        if stem == "imagenet":
            small = f"stem: images of {height}x{width} are too small for the imagenet stem"
            require(min(height, width) >= 3, small)
            stem_conv = nn.Conv2d(image_shape.channels, stem_filters, 3, 2, 0, bias=False)
            height, width = (height - 1) // 2, (width - 1) // 2
        else:
            stem_conv = conv(image_shape.channels, stem_filters, 3)
        self.stem = nn.Sequential(stem_conv, nn.BatchNorm2d(stem_filters))

        self.cells = nn.ModuleList()
        self.older_input: list[int] = []
        """Of each cell, the number of the output that is its older input; 0 is the stem's."""
        outputs = [State(stem_filters, 0)]
        plan = _plan(settings, stem)
        for number, step in enumerate(plan, start=1):
            cell = architecture.reduction if step.reduction else architecture.normal
            previous = outputs[step.older] if number > 1 else None
            keep = 1 - number / len(plan) * (1 - settings.drop_path_keep)
            module = CellModule(cell, outputs[-1], previous, step, keep)
            self.cells.append(module)
            self.older_input.append(step.older)
            outputs.append(module.output)

        self.auxiliary_after = max(n for n, step in enumerate(plan) if step.reduction)
        self.auxiliary_head = None
        if settings.auxiliary_head:
            tapped = outputs[self.auxiliary_after]
            sizes = (halved(height, tapped.halvings), halved(width, tapped.halvings))
            self.auxiliary_head = AuxiliaryHead(tapped.channels, *sizes, image_shape.classes)
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(outputs[-1].channels, image_shape.classes)
        self.drop_paths = [module for module in self.modules() if isinstance(module, DropPath)]
        initialize(self)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        outputs = [self.stem(x)]
        for cell, older in zip(self.cells, self.older_input, strict=True):
            outputs.append(cell(outputs[-1], outputs[older]))
        features = F.relu(outputs[-1]).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        if self.training and self.auxiliary_head is not None:
            return logits, self.auxiliary_head(outputs[self.auxiliary_after])
        return logits

    def set_progress(self, progress: float | Tensor) -> None:
        for drop_path in self.drop_paths:
            drop_path.progress = progress


def _plan(settings: CellNetworkSettings, stem: str) -> list[Step]:
    """Return the cells of the network in order; output 0 is the stem's, output k cell k's."""
    filters, plan = settings.filters, []
    if stem == "imagenet":
        plan = [Step(True, max(1, filters // part), 0) for part in (4, 2)]
    for stack in range(3):
        kinds = [False] * settings.cells
        if stack:
            kinds = [True, *(kinds if settings.separate_reductions else kinds[1:])]
        for reduction in kinds:
            older = max(0, len(plan) - 1)
            if plan and plan[-1].reduction and stack and settings.skip_reduction_input:
                older = plan[-1].older
            plan.append(Step(reduction, filters * 2**stack, older))
    return plan
