"""`Walk`: the decisions of an episode, one after the other, within the budget."""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import require
from nas_gym.families.compression.plan import Plan
from nas_gym.families.compression.settings import CompressionSettings

FEATURES = (
    *("t", "n", "c", "h", "w", "stride", "k"),
    *("multiply_adds", "reduced", "rest", "last_action"),
)
"""The entries of an observation, in order."""
_REDUCED, _REST, _LAST = (FEATURES.index(name) for name in ("reduced", "rest", "last_action"))


class Walk:
    """The numbers of channels that an episode has chosen so far, and those that it may choose.

    `InvalidSettings` if not even the smallest network is within the budget.
    """

    def __init__(self, plan: Plan, settings: CompressionSettings) -> None:
        self.plan = plan
        self.target = settings.keep * plan.total
        """The most multiply-adds."""
        self.numbers = [g.numbers(settings.least, settings.multiple_of) for g in plan.groups]
        """The numbers of channels that each layer may keep, in ascending order."""
        self.kept: list[int] = []
        """The channels that each layer keeps, as far as they are chosen."""
        self._features = self._of_layers()
        least = plan.multiply_adds([numbers[0] for numbers in self.numbers])
        says = f"keep: {settings.keep} of the multiply-adds cannot be met, as the smallest network"
        says += f" has {least / plan.total:.3g} of them; take a larger keep, or a smaller least"
        require(least <= self.target, says)

    @property
    def ended(self) -> bool:
        """True once all layers have their channels."""
        return len(self.kept) == len(self.plan.groups)

    @property
    def place(self) -> int:
        """The number of the layer to choose for; at the end, of the last one."""
        return min(len(self.kept), len(self.plan.groups) - 1)

    @property
    def share(self) -> float:
        """The share of multiply-adds that are left, with all later layers whole."""
        later = self.plan.full[len(self.kept) :].tolist()
        return self.plan.multiply_adds([*self.kept, *later]) / self.plan.total

    def choose(self, share: float) -> int:
        """Choose the next layer's channels, the nearest to a share of them; return their number.

        It is lowered until all later layers can still meet the target with the fewest channels
        (AMC, section 3.1, algorithm 1).
        """
        number = len(self.kept)
        numbers, channels = self.numbers[number], self.plan.groups[number].channels
        wanted = min(range(len(numbers)), key=lambda place: abs(numbers[place] - share * channels))
        later = [each[0] for each in self.numbers[number + 1 :]]
        fit = bisect_right(
            numbers[: wanted + 1],
            self.target,
            key=lambda kept: self.plan.multiply_adds([*self.kept, kept, *later]),
        )
        self.kept.append(numbers[max(0, fit - 1)])
        return self.kept[-1]

    def observation(self) -> NDArray[np.float32]:
        """Return the description of the layer to choose for, (11,) in [0, 1]."""
        observation: NDArray[np.float32] = self._features[self.place].copy()
        observation[_REDUCED] = 1 - self.share
        last = len(self.kept) - 1
        observation[_LAST] = self.kept[last] / self.plan.full[last] if self.kept else 1
        return observation

    def _of_layers(self) -> NDArray[np.float32]:
        """Return what does not change of each layer's observation, (T, 11)."""
        groups = self.plan.groups
        own = [self.plan.own(number) for number in range(len(groups))]
        facts = np.array(
            [
                (number, *self.plan.layers[group.layer][:6], own[number])
                for number, group in enumerate(groups)
            ],
            dtype=np.float64,
        )
        features = np.zeros((len(groups), len(FEATURES)), dtype=np.float32)
        features[:, : facts.shape[1]] = facts / np.maximum(facts.max(axis=0), 1)
        later = [sum(own[number + 1 :]) / self.plan.total for number in range(len(groups))]
        features[:, _REST] = np.minimum(later, 1)
        return features
