"""A Gaussian process that predicts rewards from sequences of choices.

Rasmussen & Williams 2006, https://gaussianprocess.org/gpml, sections 2.2 and 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

Floats = NDArray[np.float64]


class GaussianProcess:
    """Rewards as a random function of choices, in which similar sequences are correlated.

    The covariance of two sequences that differ in d decisions is exp(-d / width). It is fitted to
    the (n, T) evaluated ``choices`` and their ``rewards``, (n,) of mean 0 and variance 1; ``noise``
    is the variance of an evaluation.
    """

    def __init__(
        self, choices: NDArray[np.int64], rewards: Floats, width: float, noise: float
    ) -> None:
        self.width = width
        self._num_labels = int(choices.max()) + 1
        self._evaluated = self._one_hot(choices)
        covariance = self._kernel(choices, self._evaluated) + noise * np.eye(len(choices))
        self._precision = np.linalg.inv(covariance)
        self._weights = self._precision @ rewards

    def _kernel(self, choices: NDArray[np.int64], others: Floats) -> Floats:
        """Return the covariance, (N, M), of (N, T) sequences with (M, T * A) one-hot codes."""
        equal = self._one_hot(choices) @ others.T
        kernel: Floats = np.exp((equal - choices.shape[1]) / self.width)
        return kernel

    def _one_hot(self, choices: NDArray[np.int64]) -> Floats:
        """Return one-hot codes, (N, T * A); a choice that was never evaluated is all zeros."""
        coded = choices[:, :, None] == np.arange(self._num_labels)
        one_hot: Floats = coded.reshape(len(choices), -1).astype(np.float64)
        return one_hot

    def optimistic(self, choices: NDArray[np.int64], deviations: float) -> Floats:
        """Return the mean plus ``deviations`` standard deviations, (N,), of (N, T) sequences."""
        kernel = self._kernel(choices, self._evaluated)  # (N, n)
        explained = np.einsum("ij,ij->i", kernel @ self._precision, kernel)
        bound: Floats = kernel @ self._weights + deviations * np.sqrt(np.maximum(1 - explained, 0))
        return bound


def normal_scores(rewards: Sequence[float] | Floats) -> Floats:
    """Return the normal distribution's quantiles at the rewards' ranks, (n,)."""
    scores: Floats = ndtri((rankdata(rewards) - 0.5) / len(rewards))
    return scores
