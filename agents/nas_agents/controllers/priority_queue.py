"""The k best episodes so far, for priority queue training (Abolafia et al. 2018).

https://arxiv.org/abs/1801.03526, section 3.2: beside the policy gradient, the likelihood of the k
best distinct sequences is maximized, so that one good architecture is learned from again and again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_agents.controllers.episodes import Step


class Decided(NamedTuple):
    """A finished episode of T steps."""

    reward: float
    observations: Tensor  # (T, ...)
    actions: Tensor  # (T,), or (1, T) where one step decides all
    masks: NDArray[np.bool_] | None  # (T, A)


class PriorityQueue:
    """Keeps the best episodes, each sequence of actions once.

    Args:
        size: k, the largest number of episodes; 0 for none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.episodes: list[Decided] = []
        """The best first; of equal ones, the earlier."""

    def add(self, episode: Decided) -> None:
        """Take a finished episode in if it is new here, and among the best."""
        full = len(self.episodes) == self.size
        if full and (not self.size or episode.reward <= self.episodes[-1].reward):
            return
        if any(bool((each.actions == episode.actions).all()) for each in self.episodes):
            return
        self.episodes.append(episode)
        self.episodes.sort(key=lambda each: -each.reward)  # stable
        del self.episodes[self.size :]

    def add_finished(
        self,
        steps: Sequence[Step],
        returns: NDArray[np.float64],
        dones: NDArray[np.bool_],
        starts: NDArray[np.bool_],
    ) -> None:
        """Take in the episodes of S steps in N environments that begin where ``starts`` is True.

        All three arrays are (S, N): ``returns`` the sum of the rewards up to the episode's end,
        ``dones`` True where an episode ends, ``starts`` at the first step of an episode that ends
        here.
        """
        for start, env in np.argwhere(starts) if self.size else ():
            own = steps[start : start + int(dones[start:, env].argmax()) + 1]
            masks = [step.masks[env] for step in own if step.masks is not None]
            observations = torch.stack([step.observations[env] for step in own])
            actions = torch.stack([step.actions[env] for step in own])
            reward = float(returns[start, env])
            self.add(Decided(reward, observations, actions, np.stack(masks) if masks else None))
