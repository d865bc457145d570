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
        self.width, self._labels = width, int(choices.max()) + 1
        self._known = self._one_hot(choices)
        covariance = self._kernel(choices, self._known) + noise * np.eye(len(choices))
        self._precision = np.linalg.inv(covariance)
        self._weights = self._precision @ rewards

    def _kernel(self, choices: NDArray[np.int64], others: Floats) -> Floats:
        """Covariance of N sequences, (N, T), with M others in one-hot code, (M, T * A): (N, M)."""
        equal = self._one_hot(choices) @ others.T
        kernel: Floats = np.exp((equal - choices.shape[1]) / self.width)
        return kernel

    def _one_hot(self, choices: NDArray[np.int64]) -> Floats:
        """(N, T * A): a choice that was never evaluated is equal to none."""
        coded = choices[:, :, None] == np.arange(self._labels)
        one_hot: Floats = coded.reshape(len(choices), -1).astype(np.float64)
        return one_hot

    def optimistic(self, choices: NDArray[np.int64], deviations: float) -> Floats:
        """Expected rewards and so many standard deviations, of N sequences, (N, T): (N,)."""
        kernel = self._kernel(choices, self._known)  # (N, n)
        explained = np.einsum("ij,ij->i", kernel @ self._precision, kernel)
        bound: Floats = kernel @ self._weights + deviations * np.sqrt(np.maximum(1 - explained, 0))
        return bound


def normal_scores(rewards: Sequence[float]) -> Floats:
    """The quantiles of a normal distribution that belong to the rewards' ranks, (n,)."""
    scores: Floats = ndtri((rankdata(rewards) - 0.5) / len(rewards))
    return scores
