"""`Strategy`: a search that proposes whole architectures, and need not wait for each in turn."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices


class Strategy(ABC):
    """Proposes whole architectures, and hears what they were worth, in any order.

    Random search, evolution and their like need no lock-step: several proposals can be under way
    at a time, and each is answered when its child is trained. Everything random is drawn from
    ``self.rng``, so a seed and the order of calls settle what is proposed.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of ``self.rng``.
    """

    def __init__(self, search_space: SearchSpace, seed: int | None = None) -> None:
        self.search_space = search_space
        self.rng = np.random.default_rng(seed)

    @abstractmethod
    def propose(self) -> Choices:
        """The next architecture to evaluate: a complete, valid sequence of choices, (T,) int64."""

    @abstractmethod
    def observe(self, choices: Choices, reward: float) -> None:
        """Hears the reward of an architecture that `propose` gave; failed children have one too."""
