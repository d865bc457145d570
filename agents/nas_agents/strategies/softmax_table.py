"""A table of logits, a softmax for each decision, that learns in thousands of cheap updates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from nas_agents.strategies.gaussian_process import Floats
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices

NEVER = -1e8
"""The logit of a choice that cannot be made, as in sb3-contrib: its probability is 0, and so are
its part of the entropy and its gradient."""


def equal_logits(num_choices: Sequence[int]) -> Floats:
    """Return logits, (T, A): 0, or `NEVER` for choices that a decision does not have."""
    exists = np.arange(max(num_choices)) < np.array(num_choices)[:, None]
    return np.where(exists, 0.0, NEVER)


class SoftmaxTable:
    """A policy in which a decision depends on earlier choices by its mask alone; learns by Adam."""

    def __init__(
        self, search_space: SearchSpace, rng: np.random.Generator, learning_rate: float
    ) -> None:
        self.search_space, self.rng, self.learning_rate = search_space, rng, learning_rate
        self.logits = equal_logits(search_space.num_valid)
        self._moments = np.zeros((2, *self.logits.shape))
        self._num_updates = 0
        self._has_conditions = any(each.when for each in search_space.decisions)

    def draw(self, number: int) -> tuple[Choices, Floats]:
        """Draw N sequences, (N, T); return them and all choices' probabilities, (N or 1, T, A)."""
        weights = softmax(self.logits, axis=1)
        draws = self.rng.random((number, len(weights), 1))
        choices, probabilities = _inverse_cdf(weights, draws), weights[np.newaxis]
        if self.search_space.conditional:
            probabilities = probabilities.repeat(number, axis=0)
        if self._has_conditions:
            missing = ~self.search_space.existing(choices)
            choices[missing] = 0
            probabilities[missing] = np.arange(weights.shape[1]) == 0
            return choices, probabilities
        for step in self.search_space.dependent:
            masked = weights[step] * self.search_space.action_masks(choices[:, :step])
            choices[:, step] = _inverse_cdf(masked, draws[:, step])
            probabilities[:, step] = masked / masked.sum(axis=-1, keepdims=True)
        return choices, probabilities

    def update(
        self, choices: Choices, probabilities: Floats, rewards: Floats, entropy: float
    ) -> None:
        """Make a step of Adam along `policy_gradient`."""
        gradient = policy_gradient(choices, probabilities, rewards, entropy)
        self._num_updates += 1
        mean, square = self._moments
        mean += 0.1 * (gradient - mean)
        square += 0.01 * (gradient**2 - square)
        deviation = np.sqrt(square / (1 - 0.99**self._num_updates)) + 1e-8
        self.logits += self.learning_rate * mean / (1 - 0.9**self._num_updates) / deviation


def policy_gradient(
    choices: Choices, probabilities: Floats, rewards: Floats, entropy: float
) -> Floats:
    """Return REINFORCE's gradient of the logits, (T, A), in closed form.

    That of log p is one-hot minus p; that of the entropy H is -p (log p + H). The baseline is the
    mean of the rewards, (N,), and the advantages are normalized. Choices, (N, T), and
    probabilities, (N or 1, T, A), are those of `SoftmaxTable.draw`; ``entropy`` is the weight of
    the policy's entropy.
    """
    advantages = (rewards - rewards.mean()) / (rewards.std() + 1e-6)  # (N,)
    taken = choices[:, :, None] == np.arange(probabilities.shape[2])  # (N, T, A)
    logs = np.log(np.maximum(probabilities, 1e-12))
    entropies = -(probabilities * logs).sum(axis=2, keepdims=True)
    gradient = (taken - probabilities) * advantages[:, None, None]
    gradient -= entropy * probabilities * (logs + entropies)
    mean: Floats = gradient.mean(axis=0)
    return mean


def _inverse_cdf(weights: Floats, draws: Floats) -> Choices:
    """Turn uniform draws, (..., 1), into choices, (...,), with these weights, (..., A)."""
    cumulated = weights.cumsum(axis=-1)
    choices: Choices = (cumulated <= draws * cumulated[..., -1:]).sum(axis=-1)
    return choices
