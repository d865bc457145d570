"""Grid search: a systematic walk through a whole search space."""

from __future__ import annotations

import math

import numpy as np

from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require, require_integer
from nas_gym.search_spaces import Choices


class Grid(Strategy):
    """Proposes every sequence of choices once, in an order that covers the search space evenly.

    The sequences are numbered as mixed-radix numbers, the first decision being the most
    significant digit, and every ``stride``-th is proposed, round and round. In a conditional search
    space, the digit of a decision selects among the choices that are valid there; of the numbers
    that mean the same sequence, the first counts. When all were proposed, the walk starts again.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Has no effect: nothing is drawn.
        stride: From one number to the next; default: about the golden ratio times how many there
            are, so that a walk cut short is spread evenly too. 1 walks in order.

    Raises:
        InvalidSettings: the stride is no integer of at least 1, or would leave sequences out.
    """

    def __init__(
        self, search_space: SearchSpace, seed: int | None = None, stride: int | None = None
    ) -> None:
        super().__init__(search_space, seed)
        self.numbers = math.prod(search_space.num_valid)
        """How many numbers there are: as many as sequences, or more in conditional ones."""
        if stride is None:
            stride = max(1, (math.isqrt(5 * self.numbers**2) - self.numbers) // 2)
            while math.gcd(stride, self.numbers) > 1:
                stride += 1
        require_integer("stride", stride, least=1)
        require(
            math.gcd(stride, self.numbers) == 1,
            f"stride: {stride} and the {self.numbers:,} numbers of the walk have the divisor "
            f"{math.gcd(stride, self.numbers)} in common, so it would leave sequences out; "
            "give a stride without one, or none",
        )
        self.stride = stride
        self._next = 0

    def propose(self) -> Choices:
        while True:
            number, self._next = self._next, (self._next + self.stride) % self.numbers
            choices = self._sequence(number)
            if not self.search_space.conditional or not number:
                return choices
            if not np.array_equal(choices, self._sequence(number - 1)):
                return choices

    def observe(self, choices: Choices, reward: float) -> None:
        """Learns nothing."""

    def _sequence(self, number: int) -> Choices:
        """The sequence of choices that a number means."""
        choices = np.zeros(len(self.search_space.decisions), dtype=np.int64)
        for step in range(len(choices)):
            valid = np.flatnonzero(self.search_space.valid_choices(choices[:step]))
            digit, number = divmod(number * len(valid), self.numbers)
            choices[step] = valid[digit]
        return choices
