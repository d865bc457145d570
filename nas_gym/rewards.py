"""Rewards: pure functions of an `Evaluation`. A child that failed is worth 0 under each of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation import Evaluation, Evaluations
from nas_gym.json_text import short
from nas_gym.objectives import Objectives, lacks
from nas_gym.settings import Above0, from_mapping, settings

Reward: TypeAlias = Callable[[Evaluation], float]
AnyReward: TypeAlias = Reward | Objectives
"""A scalar reward, or a vector reward of several objectives."""


def accuracy(evaluation: Evaluation) -> float:
    """Return the validation accuracy after the last epoch, in [0, 1] (Zoph et al. 2018)."""
    return evaluation.accuracy


def best_of_last_five_cubed(evaluation: Evaluation) -> float:
    """Return the best validation accuracy of the last five epochs, cubed, in [0, 1].

    Source: NAS, Zoph & Le 2017, https://arxiv.org/abs/1611.01578, section 4.1.
    """
    if evaluation.status != "ok":
        return 0.0
    return float(max(evaluation.curve[-5:], default=evaluation.accuracy) ** 3)


@settings
class MnasNetReward:
    """ACC x (COST / T)^w, where w is alpha up to the target T and beta above it.

    Source: MnasNet, Tan et al. 2019, https://arxiv.org/abs/1807.11626, section 3, where the cost is
    latency. Soft constraint (default): alpha = beta = -0.07, which takes twice the latency for five
    percent more accuracy. Hard constraint: alpha = 0, beta = -1.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    target: Above0
    """T, in the unit of the cost: seconds a batch, a number, or joules a batch."""
    cost: Literal["latency", "multiply_adds", "parameters", "energy"] = "latency"
    """The cost; "energy" is latency times ``watts``."""
    alpha: FiniteFloat = -0.07
    beta: FiniteFloat = -0.07
    watts: Above0 | None = None
    """The power that the device is taken to draw, for energy and nothing else: an estimate."""

    def __post_init__(self) -> None:
        energy = self.cost == "energy"
        require(not energy or self.watts is not None, "watts: the cost 'energy' needs them")
        require(energy or self.watts is None, "watts: they are for the cost 'energy' alone")

    @property
    def needs(self) -> tuple[str, ...]:
        """The cost that evaluations must have; see `check_costs`."""
        return ("latency" if self.cost == "energy" else self.cost,)

    def __call__(self, evaluation: Evaluation) -> float:
        if evaluation.status != "ok":
            return 0.0
        [needed] = self.needs
        measured = getattr(evaluation, needed)
        if measured is None or measured <= 0:
            raise InvalidSettings(lacks(needed))
        cost = measured * (self.watts or 1)
        w = self.alpha if cost <= self.target else self.beta
        return float(evaluation.accuracy * (cost / self.target) ** w)


REWARDS: dict[str, Reward] = {"accuracy": accuracy, "nas": best_of_last_five_cubed}
"""Rewards by name."""
PARAMETRIC: dict[str, type[MnasNetReward]] = {"mnasnet": MnasNetReward}
"""Rewards with parameters, named as ``{"name": ..., "target": ...}``."""


def reward_by_name(reward: str | Mapping[str, Any] | AnyReward) -> AnyReward:
    """Return the reward of a name, or of a mapping of its ``name`` and its parameters.

    A callable is returned as it is.

    Raises:
        InvalidSettings: no reward has that name, or a parameter is unknown, missing or not valid.
    """
    if callable(reward):
        return reward
    parameters = dict(reward) if isinstance(reward, Mapping) else {"name": reward}
    name = parameters.pop("name", None)
    known = (*REWARDS, *PARAMETRIC)
    if not isinstance(name, str) or name not in known:
        raise InvalidSettings(f"reward: {short(name)} is not known; {choices_hint(name, known)}")
    if name in PARAMETRIC:
        return from_mapping(PARAMETRIC[name], f"reward {name!r}", parameters)
    require(not parameters, f"reward {name!r}: it takes no parameters, got {parameters}")
    return REWARDS[name]


def check_costs(reward: AnyReward, evaluator: object) -> None:
    """Raise `InvalidSettings` if a reward needs a cost that an evaluator does not measure.

    A reward says what it ``needs``, an `Evaluator`, or the `Memory` over one, which ``costs`` its
    evaluations have; where either says nothing, the first evaluation shows.
    """
    costs: Sequence[str] | None = getattr(evaluator, "costs", None)
    if costs is not None:
        for cost in getattr(reward, "needs", ()):
            require(cost in costs, lacks(cost, costs))


def rewards_of(reward: AnyReward, evaluations: Evaluations) -> NDArray[np.floating[Any]]:
    """Return the rewards of N evaluations: (N,) float64, or (N, K) float32 of K objectives."""
    if isinstance(reward, Objectives):
        return reward.of_columns(evaluations.columns)
    if reward is accuracy:  # with no Python object for each
        return evaluations.columns["accuracy"].astype(np.float64)
    number = len(evaluations.columns["accuracy"])
    return np.array([reward(evaluations[index]) for index in range(number)], dtype=np.float64)


def objectives_of(reward: AnyReward) -> Objectives | None:
    """Return the objectives that a reward weighs up: accuracy and the costs that it needs.

    None where it is a matter of the accuracy alone, or says nothing of costs.
    """
    if isinstance(reward, Objectives):
        return reward
    needs: tuple[str, ...] = getattr(reward, "needs", ())
    return Objectives.of(["accuracy", *(f"-{cost}" for cost in needs)]) if needs else None
