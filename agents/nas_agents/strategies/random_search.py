"""Random search (Bergstra & Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html)

draws every architecture at random and learns nothing: the baseline beside every other search.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_truth
from nas_gym.search_spaces import Choices

PATIENCE = 10_000
"""After so many draws without a new architecture, the search space counts as used up."""


class RandomSearch(Strategy):
    """Draws every architecture at random, as `SearchSpace.sample` does.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of the draws.
        repeats: Whether an architecture may be proposed again. If not, none is proposed whose
            `Architecture.key` was proposed before, until there is no other.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    def __init__(
        self, search_space: SearchSpace, seed: int | None = None, repeats: bool = True
    ) -> None:
        super().__init__(search_space, seed)
        require_truth("repeats", repeats)
        self.repeats = repeats

    def propose(self) -> Choices:
        if self.repeats:
            return self.sample()
        return self.first_new(self.sample() for _ in range(PATIENCE))

    def observe(self, choices: Choices, reward: float) -> None:
        """Learns nothing."""


def expected_best(rewards: ArrayLike, evaluations: int) -> float:
    """What random search's best reward is on average, exactly.

    Args:
        rewards: (n,) of every sequence of choices, each as likely to be drawn as any other.
        evaluations: How many are drawn, with repeats.

    Raises:
        InvalidSettings: none is drawn.
    """
    require_integer("evaluations", evaluations, least=1)
    ascending = np.sort(np.asarray(rewards, dtype=np.float64))
    none_above = (np.arange(len(ascending) + 1) / len(ascending)) ** evaluations
    return float(ascending @ np.diff(none_above))
