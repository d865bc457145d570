"""Rewards: pure functions of an `Evaluation`. A child that failed is worth 0 under each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from pydantic import FiniteFloat

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation import Evaluation, Evaluations
from nas_gym.json_text import short
from nas_gym.settings import Above0, from_mapping, settings

Reward: TypeAlias = Callable[[Evaluation], float]


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
    def needs(self) -> str:
        """The cost that evaluations must have; see `check_costs`."""
        return "latency" if self.cost == "energy" else self.cost

    def __call__(self, evaluation: Evaluation) -> float:
        if evaluation.status != "ok":
            return 0.0
        measured = getattr(evaluation, self.needs)
        if measured is None or measured <= 0:
            raise InvalidSettings(_lacks(self.needs))
        cost = measured * (self.watts or 1)
        w = self.alpha if cost <= self.target else self.beta
        return float(evaluation.accuracy * (cost / self.target) ** w)


@settings
class PerplexityReward:
    """C / (PERPLEXITY ^ power), for language models.

    Source: NAS, Zoph & Le 2017, section 4.2, has c = 80 and the power 2; ENAS's released code
    (google-research/enas_lm) has 80 and 1. The perplexity of a character is 2 to the power of its
    bits.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    c: Above0 = 80.0
    power: Above0 = 1.0

    def __call__(self, evaluation: Evaluation) -> float:
        if evaluation.status != "ok":
            return 0.0
        value, metric = evaluation.value, evaluation.metric
        if value is None or metric not in ("perplexity", "bits_per_character"):
            raise InvalidSettings(
                f"reward: these children are measured by {metric}, not perplexity"
            )
        try:
            perplexity = value if metric == "perplexity" else 2**value
            return float(self.c / perplexity**self.power)
        except OverflowError:
            return 0.0


def _lacks(cost: str, costs: Iterable[str] = ()) -> str:
    """Return the message that evaluations lack a cost, and have others."""
    remedy = ", ".join(['take another "cost"', *map(repr, costs)])
    if cost == "latency":
        remedy += ", or measure it in children that are trained, with latency={}"
    return f"reward: it needs {cost}, which these evaluations do not have; {remedy}"


REWARDS: dict[str, Reward] = {"accuracy": accuracy, "nas": best_of_last_five_cubed}
"""Rewards by name."""
PARAMETRIC: dict[str, type[MnasNetReward | PerplexityReward]] = {
    "mnasnet": MnasNetReward,
    "perplexity": PerplexityReward,
}
"""Rewards with parameters, named as ``{"name": ..., "target": ...}``."""


def reward_by_name(reward: str | Mapping[str, Any] | Reward) -> Reward:
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


def check_costs(reward: Reward, evaluator: object) -> None:
    """Raise `InvalidSettings` if a reward needs a cost that an evaluator does not measure.

    A reward says what it ``needs``, an `Evaluator`, or the `Memory` over one, which ``costs`` its
    evaluations have; where either says nothing, the first evaluation shows.
    """
    needs, costs = getattr(reward, "needs", None), getattr(evaluator, "costs", None)
    if needs is not None and costs is not None:
        require(needs in costs, _lacks(needs, costs))


def rewards_of(reward: Reward, evaluations: Evaluations) -> NDArray[np.float64]:
    """Return the reward of each of N evaluations: (N,) float64."""
    if reward is accuracy:  # with no Python object for each
        return evaluations.columns["accuracy"].astype(np.float64)
    number = len(evaluations.columns["accuracy"])
    return np.array([reward(evaluations[index]) for index in range(number)], dtype=np.float64)
