"""What rewards may be, given those that are known: a Gaussian process over sequences of choices

(Rasmussen & Williams 2006, https://gaussianprocess.org/gpml, sections 2.2 and 2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = NDArray[np.float64]
JITTER = 1e-6
"""Added to a covariance that rounding could leave without a root."""


class GaussianProcess:
    """Rewards as a function of choices; those of equal sequences are correlated most.

    The covariance of two sequences that differ in d decisions is exp(-d / width).

    Args:
        choices: (n, T) what was evaluated.
        rewards: (n,) of mean 0 and variance 1.
        width: Of the kernel, in decisions.
        noise: Variance of an evaluation.
    """

    def __init__(
        self, choices: NDArray[np.int64], rewards: Floats, width: float, noise: float
    ) -> None:
        self.choices, self.width = choices, width
        covariance = self._kernel(choices, choices) + noise * np.eye(len(choices))
        self._precision = np.linalg.inv(covariance)
        self._weights = self._precision @ rewards

    def _kernel(self, choices: NDArray[np.int64], others: NDArray[np.int64]) -> Floats:
        """Covariance of N sequences, (N, T), with M others, (M, T): (N, M)."""
        different = np.zeros((len(choices), len(others)))
        for column, other in zip(choices.T, others.T, strict=True):
            different += column[:, None] != other
        kernel: Floats = np.exp(-different / self.width)
        return kernel

    def mean(self, choices: NDArray[np.int64]) -> Floats:
        """Expected rewards of N sequences, (N, T): (N,)."""
        expected: Floats = self._kernel(choices, self.choices) @ self._weights
        return expected

    def sample(self, choices: NDArray[np.int64], rng: np.random.Generator) -> Floats:
        """The rewards of N different sequences, (N, T), in a function drawn from the belief."""
        kernel = self._kernel(choices, self.choices)  # (N, n)
        covariance = self._kernel(choices, choices) - kernel @ self._precision @ kernel.T
        factor = np.linalg.cholesky(covariance + JITTER * np.eye(len(choices)))
        drawn: Floats = kernel @ self._weights + factor @ rng.standard_normal(len(choices))
        return drawn


def normal_scores(rewards: Sequence[float]) -> Floats:
    """The quantiles of a normal distribution that belong to the rewards' ranks, (n,)."""
    scores: Floats = ndtri((rankdata(rewards) - 0.5) / len(rewards))
    return scores
