"""Once-for-All's search space (Cai et al. 2020, https://arxiv.org/abs/1908.09791, section 3).

Five stages of two to four layers, each with a kernel and an expansion of its own, in the form of
MobileNetV3 (released code: https://github.com/mit-han-lab/once-for-all, ofa_mbv3.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from nas_gym.architecture import MOST_FILTERS, InvalidArchitecture
from nas_gym.errors import require
from nas_gym.families.mobile.architecture import MBConv, OFAArchitecture
from nas_gym.outside.json_text import short
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision
from nas_gym.search_spaces.filters import divisible
from nas_gym.settings import Scale, Size, validated

STEM, FIRST, STAGES, HEAD = 16, 16, (24, 40, 80, 112, 160), 1280
"""Filters of the stem, of the first layer and of each stage, and features of the head."""
STRIDES = (2, 2, 2, 1, 2)
DEPTHS, KERNELS, EXPANSIONS = ("2", "3", "4"), ("3", "5", "7"), ("3", "4", "6")
MOST = 4
"""Layers of a stage."""
SQUEEZED = (False, False, True, False, True, True)
"""The stages with squeeze-and-excitation; the first is that of the first layer."""
HSWISH = (False, False, False, True, True, True)


class OFASearchSpace(SearchSpace[OFAArchitecture]):
    """Five depths, 20 kernels and 20 expansions: 7371^5 networks, and a resolution if wanted.

    Args:
        filter_width: Multiplies all filters; the paper's are 1.0 and 1.2.
        resolutions: Heights and widths to choose from, as the first decision; default: there is no
            such decision.

    Raises:
        InvalidSettings: an argument is not valid, or at this width two stages have the same
            filters and no stride between them, so that they are one.
    """

    architecture_type = OFAArchitecture

    @validated
    def __init__(
        self,
        filter_width: Scale = 1.0,
        resolutions: Annotated[tuple[Size, ...], Field(strict=False)] = (),
    ) -> None:
        self.width, self.resolutions = filter_width, resolutions
        decisions = []
        if resolutions:
            decisions.append(Decision("resolution", tuple(map(str, resolutions))))
        for stage in range(1, len(STAGES) + 1):
            depth = f"stage_{stage}/depth"
            decisions.append(Decision(depth, DEPTHS))
            for layer in range(1, MOST + 1):
                deep = [each for each in DEPTHS if int(each) >= layer]
                when = {depth: deep} if len(deep) < len(DEPTHS) else {}
                where = f"stage_{stage}/layer_{layer}"
                decisions.append(Decision(f"{where}/kernel", KERNELS, when))
                decisions.append(Decision(f"{where}/expansion", EXPANSIONS, when))
        super().__init__("Once-for-All", decisions)
        features = divisible(filter_width * HEAD)
        wide = f"filter_width: at {filter_width}, the head has {features:,} features"
        require(features <= MOST_FILTERS, f"{wide}; take a width with at most {MOST_FILTERS:,}")
        self.filters = tuple(divisible(filter_width * each) for each in STAGES)
        for stage, (before, after) in enumerate(pairwise(self.filters), start=2):
            one = before == after and STRIDES[stage - 1] == 1
            says = (
                f"filter_width: at {filter_width}, stages {stage - 1} and {stage} both have {after}"
            )
            require(not one, f"{says} filters, and would be one; take a larger width")

    def _decode(self, choices: list[int]) -> OFAArchitecture:
        return self.of_labels(self.made(choices))

    def sketch(self, prefix: Choices) -> OFAArchitecture:
        """Return the layers that are decided, for drawings."""
        return self.of_labels(self.made(prefix))

    def of_labels(self, made: Mapping[str, str]) -> OFAArchitecture:
        """Return the architecture of labels by the names of decisions, as far as there are."""
        blocks = [MBConv(3, 1, divisible(self.width * FIRST), 1)]
        for stage, filters in enumerate(self.filters, start=1):
            for layer in range(1, int(made.get(f"stage_{stage}/depth", 0)) + 1):
                where = f"stage_{stage}/layer_{layer}"
                if f"{where}/expansion" in made:
                    kernel, ratio = (int(made[f"{where}/{n}"]) for n in ("kernel", "expansion"))
                    stride = STRIDES[stage - 1] if layer == 1 else 1
                    blocks.append(MBConv(kernel, ratio, filters, stride))
        ends = (divisible(self.width * STEM), divisible(self.width * HEAD))
        resolution = int(made["resolution"]) if "resolution" in made else None
        return OFAArchitecture(tuple(blocks), *ends, resolution)

    def _encode(self, architecture: OFAArchitecture) -> list[int]:
        choices: list[int] = []
        if self.resolutions:
            choices.append(_index(self.resolutions, architecture.resolution, "resolution"))
        for stage in range(1, len(STAGES) + 1):
            blocks = [each.block for each in architecture.layers() if each.stage == stage]
            choices.append(_index((2, 3, 4), len(blocks), f"stage_{stage}: layers"))
            for place in range(MOST):
                block = blocks[place] if place < len(blocks) else None
                where = f"stage_{stage}/layer_{place + 1}"
                kernel, ratio = (3, 3) if block is None else (block.kernel, block.expansion)
                choices.append(_index((3, 5, 7), kernel, f"{where}/kernel"))
                choices.append(_index((3, 4, 6), ratio, f"{where}/expansion"))
        if self._decode(choices) != architecture:
            ours = f"expected the filters, strides and resolutions of width {self.width}"
            raise InvalidArchitecture(f"it is not in the Once-for-All search space; {ours}")
        return choices


def _index(valid: tuple[int, ...], value: object, where: str) -> int:
    if value not in valid:
        expected = f"expected one of {', '.join(map(str, valid))}, got {short(value)}"
        raise InvalidArchitecture(f"{where}: {expected}")
    return valid.index(value)
