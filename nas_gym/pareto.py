"""Pareto fronts: the non-dominated set, and the hypervolume that it covers.

Every value is to be maximized, as in vector rewards. The computations are moocore's (hypervolume:
Fonseca et al. 2006, https://doi.org/10.1109/CEC.2006.1688440).
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.errors import InvalidSettings, require
from nas_gym.objectives import Objectives

AT_A_TIME = 1000
"""Number of new points after which a front leaves out those that are dominated."""


def non_dominated(values: ArrayLike) -> NDArray[np.bool_]:
    """Return which of N points no other one dominates, (N,) bool; of equal ones, one.

    Args:
        values: (N, K), to be maximized.

    Raises:
        InvalidSettings: the values are not finite, or moocore is not installed.
    """
    points = _points(values)
    if not len(points):
        return np.zeros(0, dtype=np.bool_)
    return np.asarray(_moocore().is_nondominated(points, maximise=True), dtype=np.bool_)


def hypervolume(values: ArrayLike, reference: ArrayLike) -> float:
    """Return the volume that N points dominate above a reference point.

    Args:
        values: (N, K), to be maximized; points below the reference count nothing.
        reference: (K,), the worst value of each objective.

    Raises:
        InvalidSettings: the values are not finite, the reference is of another length, or moocore
            is not installed.
    """
    points, worst = _points(values), np.asarray(reference, dtype=np.float64)
    expected = f"reference: expected a worst value for each objective, got shape {worst.shape}"
    require(worst.shape == points.shape[1:] or not points.size, expected)
    above = points[(points > worst).all(axis=1)] if len(points) else points
    if not len(above):
        return 0.0
    return float(_moocore().hypervolume(above, ref=worst, maximise=True))


def _moocore() -> Any:
    """Return the module moocore, which loads slowly.

    Raises:
        InvalidSettings: it is not installed.
    """
    try:
        return importlib.import_module("moocore")
    except ImportError as error:
        hint = 'pip install "nas-gym[multi-objective]"'
        raise InvalidSettings(f"several objectives: fronts need moocore; {hint}") from error


def _points(values: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(values, dtype=np.float64)
    expected = f"values: expected finite numbers, (N, K), got shape {points.shape}"
    require(points.size == 0 or points.ndim == 2, expected)
    require(bool(np.isfinite(points).all()), expected)
    return points


class Member(NamedTuple):
    """A child on a front."""

    reward: tuple[float, ...]  # (K,)
    architecture: str  # as JSON
    episode: int


@dataclass
class Front:
    """The children of a search that no other one dominates.

    >>> front = Front(Objectives.of({"accuracy": 0, "-parameters": 10}))
    >>> for number, reward in enumerate([(0.5, -5.0), (0.4, -6.0), (0.9, -8.0)]):
    ...     front.add(Member(reward, "{}", number))
    >>> [member.episode for member in front.members()], round(front.hypervolume(), 3)
    ([2, 0], 0.33)
    """

    objectives: Objectives
    children: list[tuple[float, ...]] = field(default_factory=list)
    """The rewards of all children, in order."""
    _members: list[Member] = field(default_factory=list)
    _limit: int = AT_A_TIME

    def __post_init__(self) -> None:
        _moocore()  # a search without it ends before it starts

    def add(self, member: Member) -> None:
        """Take a child into account; one that failed is on no front, and does not belong here."""
        self.children.append(member.reward)
        self._members.append(member)
        if len(self._members) > self._limit:
            self._limit = len(self.members()) + AT_A_TIME

    def members(self) -> list[Member]:
        """Return the non-dominated children, the best by the first objective first."""
        on_front = non_dominated([member.reward for member in self._members])
        kept = [m for m, on in zip(self._members, on_front, strict=True) if on]
        self._members = sorted(kept, key=lambda member: member.reward, reverse=True)
        return list(self._members)

    def hypervolume(self) -> float:
        """Return the dominated share, in [0, 1], of all between worst and ideal values.

        The ideal is an accuracy of 1 at no cost.
        """
        worst = np.array(self.objectives.worst)
        ideal = self.objectives.space.high.astype(np.float64)
        shares = [(np.array(member.reward) - worst) / (ideal - worst) for member in self.members()]
        return hypervolume(shares, np.zeros(len(worst)))
