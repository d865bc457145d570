"""A table of logits as a policy in numpy, for what learns in thousands of cheap updates."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from nas_agents.strategies.gaussian_process import Floats
from nas_gym import SearchSpace


class SoftmaxTable:
    """A softmax over each decision's choices, whatever was chosen before, as far as it is valid.

    Args:
        search_space: Whose sequences of choices are drawn.
        rng: What draws them.
        learning_rate: Adam's.
    """

    def __init__(
        self, search_space: SearchSpace, rng: np.random.Generator, learning_rate: float
    ) -> None:
        self.search_space, self.rng, self.learning_rate = search_space, rng, learning_rate
        shape = (len(search_space.decisions), search_space.num_actions)
        self.logits = np.zeros(shape)  # (T, A)
        self._moments = np.zeros((2, *shape))
        self._steps = 0
        self._masks = np.arange(shape[1]) < np.array(search_space.num_choices)[:, None]
        """(T, A), where they do not depend on what was chosen."""

    def reset(self) -> None:
        """Forgets all: every choice is as likely as any other."""
        self.logits[:] = 0
        self._moments[:] = 0
        self._steps = 0

    def draw(self, number: int) -> tuple[NDArray[np.int64], Floats]:
        """N sequences of choices, (N, T); the probabilities of all choices in each, (N, T, A)."""
        decisions, _ = shape = self.logits.shape
        weights, draws = softmax(self.logits, axis=1), self.rng.random((number, decisions, 1))
        if not self.search_space.conditional:
            masked = weights * self._masks
            cumulated = masked.cumsum(axis=1)
            total = cumulated[:, -1:]
            choices = (cumulated <= draws * total).sum(axis=2)
            return choices, np.broadcast_to(masked / total, (number, *shape))
        choices = np.zeros((number, decisions), dtype=np.int64)
        probabilities = np.zeros((number, *shape))
        for step, weight in enumerate(weights):
            masked = weight * self.search_space.action_masks(choices[:, :step])
            cumulated = masked.cumsum(axis=-1)
            total = cumulated[..., -1:]
            choices[:, step] = (cumulated <= draws[:, step] * total).sum(axis=1)
            probabilities[:, step] = masked / total
        return choices, probabilities

    def update(
        self, choices: NDArray[np.int64], probabilities: Floats, rewards: Floats, entropy: float
    ) -> None:
        """A step of Adam along the policy gradient (REINFORCE, the batch's mean as baseline).

        Args:
            choices: (N, T), as drawn.
            probabilities: (N, T, A), as drawn.
            rewards: (N,).
            entropy: Weight of the policy's entropy.
        """
        advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)  # (N,)
        taken = choices[:, :, None] == np.arange(self.logits.shape[1])  # (N, T, A)
        logs = np.log(np.maximum(probabilities, 1e-12))
        entropies = -(probabilities * logs).sum(axis=2, keepdims=True)
        gradient = (taken - probabilities) * advantages[:, None, None]
        gradient -= entropy * probabilities * (logs + entropies)
        mean = gradient.mean(axis=0)
        self._steps += 1
        first, second = self._moments
        first += 0.1 * (mean - first)
        second += 0.01 * (mean**2 - second)
        scale = np.sqrt(second / (1 - 0.99**self._steps)) + 1e-8
        self.logits += self.learning_rate * first / (1 - 0.9**self._steps) / scale
