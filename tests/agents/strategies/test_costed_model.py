"""Accuracy and cost apart: what is predicted of each, and of the reward that weighs them."""

from __future__ import annotations

import numpy as np
import pytest

from nas_agents.strategies.costed_model import costed, in_accuracies, learned_cost, within_limits
from nas_agents.strategies.gaussian_process import normal_scores
from nas_gym import NASBench201SearchSpace
from nas_gym.rewards import MnasNetHardReward

ACCURACIES = np.array([0.5, 0.9, 0.7])


def test_scores_become_accuracies() -> None:
    scores = normal_scores(ACCURACIES)
    beyond = scores.max() + 0.2
    predict = in_accuracies(lambda _: np.array([*scores, beyond, 99.0]), scores, ACCURACIES)
    predicted = predict(np.zeros((5, 2), dtype=np.int64))
    assert predicted[:3] == pytest.approx(ACCURACIES)
    assert predicted[3] == pytest.approx(0.9 + 0.2 * (0.9 - 0.7) / scores.max())
    assert predicted[4] == 1.0


def test_a_cost_is_learned_from_those_that_are_known() -> None:
    rng = np.random.default_rng(0)
    choices = np.stack([NASBench201SearchSpace().sample(rng) for _ in range(300)])
    costs = np.exp(choices.sum(axis=1) / 5.0)
    given = np.where(np.arange(300) % 3, costs, np.nan)
    predict = learned_cost(choices, given, width=2.0, noise=0.003)
    assert np.corrcoef(np.log(predict(choices[::3])), np.log(costs[::3]))[0, 1] > 0.95


@pytest.mark.parametrize("others", [np.array([3.0, np.nan, 5.0]), np.array([0.0, np.nan, 0.0])])
def test_a_cost_of_0_can_be_learned(others: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    choices = np.stack([NASBench201SearchSpace().sample(rng) for _ in range(4)])
    predict = learned_cost(choices, np.array([0.0, *others]), width=2.0, noise=0.003)
    expected = 3.0 if others[0] else 1.0
    assert predict(choices)[:2].min() == pytest.approx(expected, rel=0.1)


def test_rewards_fall_off_the_cliff_where_the_cost_does() -> None:
    reward = MnasNetHardReward(target=1.0)
    costs = np.array([1.0, 1.5, np.nan, 0.5])
    predict = costed(reward, lambda _: np.array([0.8, 0.9, 0.9, 0.7]), lambda _: costs)
    assert np.argsort(predict(np.zeros((4, 2), dtype=np.int64))).tolist() == [2, 1, 3, 0]


def test_what_exceeds_a_limit_is_below_all_else() -> None:
    excess = np.array([0.0, 0.1, 2.0, 0.0, 0.1])
    predict = within_limits(lambda _: np.array([0.2, 0.9, 1.0, 0.5, 0.8]), lambda _: excess)
    assert np.argsort(predict(np.zeros((5, 2), dtype=np.int64))).tolist() == [2, 4, 1, 0, 3]
