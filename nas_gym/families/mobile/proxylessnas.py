"""ProxylessNAS's search space (Cai et al. 2019, https://arxiv.org/abs/1812.00332, section 3.1).

Released code: https://github.com/mit-han-lab/proxylessnas, search/imagenet_arch_search.py.
"""

from __future__ import annotations

from nas_gym.architecture import InvalidArchitecture
from nas_gym.families.mobile.architecture import MBConv, ProxylessNASArchitecture
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision

STEM, FIRST, HEAD = 32, 16, 1280
STAGES = ((24, 4, 2), (40, 4, 2), (80, 4, 2), (96, 4, 1), (192, 4, 2), (320, 1, 1))
"""Filters, layers, and stride of the first layer."""
ZERO = "zero"
CANDIDATES = tuple(f"{size}x{size}_MBConv{ratio}" for size in (3, 5, 7) for ratio in (3, 6))


class ProxylessNASSearchSpace(SearchSpace[ProxylessNASArchitecture]):
    """21 layers of six candidates, or zero where a layer has a shortcut: 6^6 x 7^15 choices.

    Kernel and expansion are one decision, since the zero layer has neither.
    """

    architecture_type = ProxylessNASArchitecture

    def __init__(self) -> None:
        decisions = []
        self._places: list[tuple[int, int]] = []
        """(filters, stride) of each layer."""
        for stage, (filters, layers, stride) in enumerate(STAGES, start=1):
            for layer in range(1, layers + 1):
                choices = CANDIDATES if layer == 1 else (*CANDIDATES, ZERO)
                decisions.append(Decision(f"stage_{stage}/layer_{layer}", choices))
                self._places.append((filters, stride if layer == 1 else 1))
        super().__init__("ProxylessNAS", decisions)

    def _decode(self, choices: list[int]) -> ProxylessNASArchitecture:
        return ProxylessNASArchitecture(self._blocks(choices), STEM, HEAD)

    def _blocks(self, choices: list[int]) -> tuple[MBConv | None, ...]:
        blocks: list[MBConv | None] = [MBConv(3, 1, FIRST, 1)]
        for choice, (filters, stride) in zip(choices, self._places, strict=False):
            size, ratio = divmod(choice, 2)
            zero = choice == len(CANDIDATES)
            blocks.append(None if zero else MBConv(3 + 2 * size, 3 + 3 * ratio, filters, stride))
        return tuple(blocks)

    def sketch(self, prefix: Choices) -> ProxylessNASArchitecture:
        """Return the layers that are decided, for drawings."""
        return ProxylessNASArchitecture(self._blocks(prefix.tolist()), STEM, HEAD)

    def _encode(self, architecture: ProxylessNASArchitecture) -> list[int]:
        choices = []
        for place, block in enumerate(architecture.blocks[1:]):
            label = ZERO if block is None else f"{block.kernel}x{block.kernel}"
            if block is not None:
                label += f"_MBConv{block.expansion}"
            known = self.decisions[place].choices if place < len(self.decisions) else ()
            if label not in known:
                raise InvalidArchitecture(
                    f"blocks[{place + 1}]: {label} is not in the ProxylessNAS search space there"
                )
            choices.append(known.index(label))
        if len(choices) != len(self.decisions) or self._decode(choices) != architecture:
            raise InvalidArchitecture(
                "it is not in the ProxylessNAS search space; expected 22 blocks of its filters and "
                "strides, a stem of 32, a head of 1280, and images as they are"
            )
        return choices
