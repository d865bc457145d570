"""`Objectives`: several measures of a child as a vector reward, by MO-Gymnasium's convention."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import FiniteFloat

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.evaluation import Evaluation
from nas_gym.outside.json_text import short
from nas_gym.settings import settings

WORST = {
    "accuracy": 0.0,
    "-latency": 1.0,
    "-energy": 100.0,
    "-multiply_adds": 1e10,
    "-parameters": 1e8,
    "-peak_activation_bytes": 1e9,
}
"""All objectives, each with its worst value by default, in the unit of the measure. A cost has a
minus sign, since every entry of a vector reward is maximized."""


def lacks(cost: str, costs: Sequence[str] = ()) -> str:
    """Return the message that evaluations lack a cost, and have others."""
    remedy = ", ".join(['take another "cost"', *map(repr, costs)])
    setting = {"latency": "latency={}", "peak_activation_bytes": "count_activations=True"}.get(cost)
    if setting:
        remedy += f", or measure it in children that are trained, with {setting}"
    if cost == "energy":
        remedy += ', or give "watts", which times latency are energy'
    return f"reward: it needs {cost}, which these evaluations do not have; {remedy}"


@settings
class Objectives:
    """A vector reward: one entry for each objective, all of them to be maximized.

    A cost is negated; nothing is scaled or clipped. A child that failed gets the worst values, and
    what was trained can be beyond them: by their meaning, neither can be used.

    >>> objectives = Objectives.of({"accuracy": 0.1, "-parameters": 5e6})
    >>> objectives(Evaluation("ok", 0.9, (), 1.0, 0, "", parameters=2_000_000)).tolist()
    [0.8999999761581421, -2000000.0]

    Raises:
        InvalidSettings: an objective is not known or is named twice, there are fewer than two, or a
            worst value is no worse than the ideal one, an accuracy of 1 or a cost of 0, or is an
            accuracy below 0.
    """

    names: tuple[str, ...]
    """Keys of `WORST`."""
    worst: tuple[FiniteFloat, ...]
    """The reward of a child that failed, and the reference point of the hypervolume: (K,)."""

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in WORST:
                raise InvalidSettings(
                    f"objectives: {short(name)} is not known; {choices_hint(name, WORST)}"
                )
        different = len(set(self.names)) == len(self.names) == len(self.worst) >= 2
        found = f"got {', '.join(map(repr, self.names)) or 'none'}"
        require(different, f"objectives: expected two or more different ones, {found}")
        for name, value in zip(self.names, self.worst, strict=True):
            is_cost = name.startswith("-")
            wanted, given = ("above 0", -value) if is_cost else ("from 0 to below 1", value)
            says = f"objectives: {name}: expected a worst value {wanted}, got {given:g}"
            require(value < 0 if is_cost else 0 <= value < 1, says)

    @classmethod
    def of(cls, given: Sequence[str] | Mapping[str, float] | Objectives) -> Objectives:
        """Return the objectives of a list of names, or of a mapping from names to worst values.

        Args:
            given: For instance ``["accuracy", "-latency"]``, or ``{"accuracy": 0, "-latency":
                0.08}`` where a latency of 80 ms is the worst that can be used.

        Raises:
            InvalidSettings: as the class, or a worst value is no finite number.
        """
        if isinstance(given, Objectives):
            return given
        listed = isinstance(given, Sequence | Mapping) and not isinstance(given, str)
        example = '["accuracy", "-latency"]'
        require(listed, f"objectives: expected a list such as {example}, got {short(given)}")
        names = tuple(given)
        for name in names:
            require(isinstance(name, str), f"objectives: expected texts, got {short(name)}")
        values = {name: WORST.get(name, 0.0) for name in names}
        for name, value in given.items() if isinstance(given, Mapping) else ():
            number = isinstance(value, float | int) and not isinstance(value, bool)
            known = number and abs(value) <= sys.float_info.max
            require(known, f"objectives: {name}: expected its worst value, got {short(value)}")
            values[name] = float(value)
        signed = (-value if name.startswith("-") else value for name, value in values.items())
        return cls(names, tuple(signed))

    @property
    def needs(self) -> tuple[str, ...]:
        """The costs that evaluations must have; see `nas_gym.rewards.check_costs`."""
        return tuple(name.removeprefix("-") for name in self.names if name.startswith("-"))

    @property
    def space(self) -> spaces.Box:
        """The space of the rewards, (K,) float32."""
        costs = np.array([name.startswith("-") for name in self.names])
        low, high = np.where(costs, -np.inf, 0.0), np.where(costs, 0.0, 1.0)
        return spaces.Box(low.astype(np.float32), high.astype(np.float32), dtype=np.float32)

    def __call__(self, evaluation: Evaluation) -> NDArray[np.float32]:
        """Return the reward of an evaluation, (K,) float32."""
        return np.array(self.of_record(vars(evaluation)), dtype=np.float32)

    def of_record(self, record: Mapping[str, Any]) -> tuple[float, ...]:
        """Return the reward of an evaluation's record, plain data, as K floats."""
        columns = {name: np.array([value]) for name, value in record.items()}
        return tuple(self.of_columns(columns)[0].tolist())

    def of_columns(self, columns: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
        """Return the rewards of N evaluations, (N, K) float32, from `Evaluations.columns`."""
        ok = columns["status"] == "ok"
        rewards = np.empty((len(ok), len(self.names)), dtype=np.float32)
        for index, name in enumerate(self.names):
            measure = name.removeprefix("-")
            missing = np.full(len(ok), np.nan)
            values = np.asarray(columns.get(measure, missing), dtype=np.float64)
            if np.isnan(values[ok]).any():
                raise InvalidSettings(lacks(measure))
            sign = -1.0 if measure != name else 1.0
            rewards[:, index] = np.where(ok, sign * values, self.worst[index])
        return rewards
