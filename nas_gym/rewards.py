"""Rewards: pure functions of an `Evaluation`.

A child that failed, was refused by a hard limit or is not recorded is worth no more than any that
was trained: 0, where no reward is below 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import pydantic
from annotated_types import Lt
from numpy.typing import NDArray
from pydantic import FiniteFloat

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation import Evaluation, Evaluations
from nas_gym.objectives import Objectives, lacks
from nas_gym.outside.json_text import short
from nas_gym.settings import Above0, from_mapping, settings

Reward: TypeAlias = Callable[[Evaluation], float]
AnyReward: TypeAlias = Reward | Objectives
"""A scalar reward, or a vector reward of several objectives."""
Floats: TypeAlias = Any
"""A number, or an array of them."""
LEAST = 1e-6
"""The least ratio of a cost to its target that counts, under a `CostReward`."""
FURTHEST = 10.0
"""Targets by which a cost can be off under `TuNASReward`; a failed child is as far off."""


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
class CostReward:
    """Base of the rewards that weigh accuracy against one cost, COST, with a target T.

    A cost of 0, as the multiply-adds of a network that only skips, is within every target. A
    millionth of the target is the least that counts, so that the reward is finite.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    target: Above0
    """T, in the unit of the cost: seconds a batch, a number, bytes, or joules a batch."""
    cost: Literal["latency", "multiply_adds", "parameters", "peak_activation_bytes", "energy"] = (
        "latency"
    )
    """The cost; "energy" is latency times ``watts`` where these are given, else a recorded one."""
    watts: Above0 | None = field(default=None, kw_only=True)
    """The power that the device is taken to draw, for energy and nothing else: an estimate."""

    def __post_init__(self) -> None:
        energy = self.cost == "energy"
        require(energy or self.watts is None, "watts: they are for the cost 'energy' alone")

    @property
    def needs(self) -> tuple[str, ...]:
        """The cost that evaluations must have; see `check_costs`."""
        return ("latency" if self.watts is not None else self.cost,)

    @property
    def of_failed(self) -> float:
        """The reward of a child that failed; none that was trained is worth less."""
        return 0.0

    def __call__(self, evaluation: Evaluation) -> float:
        if evaluation.status != "ok":
            return self.of_failed
        [needed] = self.needs
        measured = getattr(evaluation, needed)
        if measured is None:
            raise InvalidSettings(lacks(needed))
        return float(self.of(evaluation.accuracy, measured))

    def of(self, accuracy: Floats, measured: Floats) -> Floats:
        """Return the rewards of accuracies in [0, 1] at the values of the cost that it `needs`."""
        ratio = measured * (self.watts or 1) / self.target
        return self.weighed(accuracy, np.maximum(ratio, LEAST))

    def weighed(self, accuracy: Floats, ratio: Floats) -> Floats:
        """Return the rewards of accuracies at costs of ``ratio`` times the target."""
        raise NotImplementedError


@settings
class MnasNetReward(CostReward):
    """ACC x (COST / T)^w, where w is alpha up to the target T and beta above it.

    Source: MnasNet, Tan et al. 2019, https://arxiv.org/abs/1807.11626, section 3, where the cost is
    latency. Soft constraint (default): alpha = beta = -0.07, which takes twice the latency for five
    percent more accuracy. Hard constraint, "mnasnet-hard": alpha = 0, beta = -1.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    alpha: FiniteFloat = -0.07
    beta: FiniteFloat = -0.07

    def weighed(self, accuracy: Floats, ratio: Floats) -> Floats:
        return accuracy * ratio ** np.where(ratio <= 1, self.alpha, self.beta)


@settings
class MnasNetHardReward(MnasNetReward):
    """MnasNet's hard constraint: ACC up to the target, ACC x T / COST above it."""

    alpha: FiniteFloat = 0.0
    beta: FiniteFloat = -1.0


@settings
class ProxylessNASReward(MnasNetReward):
    """ACC x (T / COST)^0.1, as ProxylessNAS-R's released code weighs latency.

    Source: ProxylessNAS, Cai et al. 2019, https://arxiv.org/abs/1812.00332, section 3.3.
    """

    alpha: FiniteFloat = -0.1
    beta: FiniteFloat = -0.1


@settings
class TuNASReward(CostReward):
    """``ACC + beta x |COST / T - 1|``, TuNAS's absolute reward; negative where it is far off.

    Source: TuNAS, Bender et al. 2020, https://arxiv.org/abs/2008.06120, section 4; beta is that of
    the released code. It keeps the cost near the target, not only below it. Ours is a bound: what
    is further off than `FURTHEST` targets is as bad as that, and so is a child that failed, of
    accuracy 0: -1 by default.
    """

    beta: Annotated[float, Lt(0), pydantic.Field(allow_inf_nan=False)] = -0.1

    @property
    def of_failed(self) -> float:
        return self.beta * FURTHEST

    def weighed(self, accuracy: Floats, ratio: Floats) -> Floats:
        return accuracy + self.beta * np.minimum(abs(ratio - 1), FURTHEST)


@settings
class PerplexityReward:
    """C / (PERPLEXITY ^ power), for language models.

    Source: NAS, Zoph & Le 2017, section 4.2, has c = 80 and the power 2; ENAS's released code
    (google-research/enas_lm) has 80 and 1. The perplexity of a character is 2 to the power of its
    bits. No perplexity is below 1; a recorded one that is counts as 1.

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
            return float(self.c / max(1.0, perplexity) ** self.power)
        except OverflowError:
            return 0.0


REWARDS: dict[str, Reward] = {"accuracy": accuracy, "nas": best_of_last_five_cubed}
"""Rewards by name."""
PARAMETRIC: dict[str, type[CostReward | PerplexityReward]] = {
    "mnasnet": MnasNetReward,
    "mnasnet-hard": MnasNetHardReward,
    "perplexity": PerplexityReward,
    "proxylessnas": ProxylessNASReward,
    "tunas": TuNASReward,
}
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
    require(not parameters, f"reward {name!r}: it takes no parameters, got {short(parameters)}")
    return REWARDS[name]


def check_costs(reward: AnyReward, evaluator: object) -> None:
    """Raise `InvalidSettings` if a reward needs a cost that an evaluator does not measure.

    A reward has ``needs``; an `Evaluator`, or the `Memory` over one, has the ``costs`` of its
    evaluations. Without either, the first evaluation shows a missing cost.
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

    None for a reward of accuracy alone, or one without ``needs``.
    """
    if isinstance(reward, Objectives):
        return reward
    needs: tuple[str, ...] = getattr(reward, "needs", ())
    return Objectives.of(["accuracy", *(f"-{cost}" for cost in needs)]) if needs else None
