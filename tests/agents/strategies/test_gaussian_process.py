"""The Gaussian process over architectures, and the scores that it is fitted to."""

from __future__ import annotations

from typing import Any

import numpy as np

from nas_agents.strategies.gaussian_process import GaussianProcess, normal_scores
from nas_gym import NASBench201SearchSpace
from nas_gym.search_spaces import Choices

SEARCH_SPACE = NASBench201SearchSpace()


def samples(number: int, seed: int = 0) -> Choices:
    rng = np.random.default_rng(seed)
    return np.unique([SEARCH_SPACE.sample(rng) for _ in range(number)], axis=0)


def test_a_gaussian_process_goes_through_what_it_knows() -> None:
    known = samples(30)
    rewards = normal_scores(known.sum(axis=1).tolist())
    model = GaussianProcess(known, rewards, width=2.0, noise=1e-6)
    np.testing.assert_allclose(model.optimistic(known, 0.0), rewards, atol=1e-3)
    np.testing.assert_allclose(model.optimistic(known, 2.0), rewards, atol=0.01)


def test_it_knows_nothing_of_what_is_far_away() -> None:
    known = np.zeros((1, 6), dtype=np.int64)
    model = GaussianProcess(known, np.array([3.0]), width=0.5, noise=1e-6)
    far = np.array([[1, 2, 3, 4, 1, 2], [2, 3, 4, 1, 2, 3]])
    np.testing.assert_allclose(model.optimistic(far, 0.0), 0.0, atol=1e-3)
    np.testing.assert_allclose(model.optimistic(far, 2.0), 2.0, atol=1e-3)


def test_the_belief_has_the_formulas_mean_and_deviation() -> None:
    """With the covariances written out pair by pair."""
    known, asked = samples(8), samples(4, seed=5)
    rewards, width, noise = np.linspace(-1, 1, len(known)), 2.0, 0.1

    def covariance(a: Choices, b: Choices) -> Any:
        return np.array([[np.exp(-np.count_nonzero(x != y) / width) for y in b] for x in a])

    inverse = np.linalg.inv(covariance(known, known) + noise * np.eye(len(known)))
    mean = covariance(asked, known) @ inverse @ rewards
    spread = (
        covariance(asked, asked) - covariance(asked, known) @ inverse @ covariance(asked, known).T
    )
    model = GaussianProcess(known, rewards, width, noise)
    np.testing.assert_allclose(model.optimistic(asked, 0.0), mean)
    expected = mean + 1.5 * np.sqrt(np.diag(spread))
    np.testing.assert_allclose(model.optimistic(asked, 1.5), expected)


def test_normal_scores_heed_ranks_alone() -> None:
    scores = normal_scores([0.0, 0.9, 0.91, 0.0])
    assert scores[0] == scores[3] < scores[1] < scores[2]
    np.testing.assert_allclose(scores, normal_scores([1.0, 2.0, 300.0, 1.0]))
    assert abs(scores.sum()) < 0.2
