"""Rewards: pure functions of an `Evaluation`. A child that failed is worth 0 under each of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.evaluation.evaluator import Evaluation, Evaluations

Reward: TypeAlias = Callable[[Evaluation], float]


def accuracy(evaluation: Evaluation) -> float:
    """Validation accuracy after the last epoch, in [0, 1] (NASNet, Zoph et al. 2018)."""
    return evaluation.accuracy


def best_of_last_five_cubed(evaluation: Evaluation) -> float:
    """The best validation accuracy of the last five epochs, cubed, in [0, 1].

    Source: NAS, Zoph & Le 2017, https://arxiv.org/abs/1611.01578, section 4.1.
    """
    if evaluation.status != "ok":
        return 0.0
    return float(max(evaluation.curve[-5:], default=evaluation.accuracy) ** 3)


REWARDS: dict[str, Reward] = {"accuracy": accuracy, "nas": best_of_last_five_cubed}
"""The rewards that can be asked for by name."""


def reward_by_name(reward: str | Reward) -> Reward:
    """The reward of that name; a callable is returned as it is.

    Raises:
        InvalidSettings: no reward has that name.
    """
    if callable(reward):
        return reward
    if not isinstance(reward, str) or reward not in REWARDS:
        raise InvalidSettings(f"reward: {reward!r} is not known; {choices_hint(reward, REWARDS)}")
    return REWARDS[reward]


def rewards_of(reward: Reward, evaluations: Evaluations) -> NDArray[np.float64]:
    """The reward of each of N evaluations: (N,) float64."""
    if reward is accuracy:  # with no Python object for each
        return evaluations.columns["accuracy"].astype(np.float64)
    number = len(evaluations.columns["accuracy"])
    return np.array([reward(evaluations[index]) for index in range(number)], dtype=np.float64)
