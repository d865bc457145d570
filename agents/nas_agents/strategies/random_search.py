"""Random search (Bergstra & Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html).

It draws every architecture at random and learns nothing: the baseline of every other search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nas_agents.strategies.base import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require
from nas_gym.outside.json_text import short
from nas_gym.search_spaces import Choices
from nas_gym.settings import Seed, validated

PATIENCE = 10_000
"""Number of draws without a new architecture after which the search space counts as used up."""


class RandomSearch(Strategy):
    """Draws every architecture at random, as `SearchSpace.sample` does.

    Args:
        repeats: If False, an architecture whose `Architecture.key` was proposed before is proposed
            again only when there is no other.
    """

    @validated
    def __init__(
        self, search_space: SearchSpace, seed: Seed | None = None, repeats: bool = True
    ) -> None:
        super().__init__(search_space, seed)
        self.repeats = repeats

    def propose(self) -> Choices:
        if self.repeats:
            return self.sample()
        return self.first_new(self.sample() for _ in range(PATIENCE))

    def observe(self, choices: Choices, reward: float) -> None:
        """Ignore the reward."""


def expected_best(rewards: ArrayLike, evaluations: int) -> float:
    """Return the exact expectation of the best of so many draws, with repeats.

    ``rewards`` are (n,), of all sequences of choices, each of which is equally likely.
    """
    require(evaluations >= 1, f"evaluations: expected 1 or more, got {short(evaluations)}")
    ascending = np.sort(np.asarray(rewards, dtype=np.float64))
    none_above = (np.arange(len(ascending) + 1) / len(ascending)) ** evaluations
    return float(ascending @ np.diff(none_above))


def quantile_of_best(rewards: ArrayLike, evaluations: int, quantile: float) -> float:
    """Return a quantile of random search's best reward; see `expected_best`."""
    of_one = quantile ** (1 / evaluations)  # the best is below x if each of them is
    return float(np.quantile(np.asarray(rewards), of_one, method="inverted_cdf"))
