"""Grid search: a systematic walk through a whole search space."""

from __future__ import annotations

import math

import numpy as np

from nas_agents.strategies.base import Strategy
from nas_gym import InvalidSettings, SearchSpace
from nas_gym.search_spaces import Choices
from nas_gym.settings import Positive, Seed, validated


class Grid(Strategy):
    """Proposes every sequence of choices once, in an order that covers the search space evenly.

    The sequences are numbered as mixed-radix numbers, the first decision being the most significant
    digit, and every ``stride``-th is proposed, round and round. In a conditional search space, the
    digit of a decision selects among its valid choices; of several numbers that stand for the same
    sequence, the first counts, so where conditions leave out most numbers, a proposal can take
    seconds. After the last sequence, the walk starts again.

    Args:
        seed: Has no effect: nothing is drawn.
        stride: Distance between two numbers of the walk; 1 walks in order. By default about the
            golden ratio times their count, so that a walk cut short is spread evenly too.
    """

    @validated
    def __init__(
        self, search_space: SearchSpace, seed: Seed | None = None, stride: Positive | None = None
    ) -> None:
        super().__init__(search_space, seed)
        self.numbers = math.prod(search_space.num_valid)
        """Count of the numbers: one a sequence, or more in conditional search spaces."""
        self.stride = stride or self._golden_stride()
        divisor = math.gcd(self.stride, self.numbers)
        if divisor > 1:
            raise InvalidSettings(
                f"stride: {stride} and the {self.numbers:,} numbers of the walk have the divisor "
                f"{divisor} in common, so it would leave sequences out; give a stride without "
                "one, or none"
            )
        self._next = 0

    def _golden_stride(self) -> int:
        stride = max(1, (math.isqrt(5 * self.numbers**2) - self.numbers) // 2)
        while math.gcd(stride, self.numbers) > 1:
            stride += 1
        return stride

    def propose(self) -> Choices:
        while True:
            number = self._next
            self._next = (number + self.stride) % self.numbers
            choices = self._sequence(number)
            unique = not self.search_space.conditional or not number
            if unique or not np.array_equal(choices, self._sequence(number - 1)):
                return choices

    def observe(self, choices: Choices, reward: float) -> None:
        """Ignore the reward."""

    def _sequence(self, number: int) -> Choices:
        choices = np.zeros(len(self.search_space.decisions), dtype=np.int64)
        for step in range(len(choices)):
            valid = np.flatnonzero(self.search_space.valid_choices(choices[:step]))
            digit, number = divmod(number * len(valid), self.numbers)
            choices[step] = valid[digit]
        return choices
