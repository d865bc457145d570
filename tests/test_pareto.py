"""The non-dominated set and the hypervolume, beside their definitions."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nas_gym import InvalidSettings, Objectives
from nas_gym.pareto import Front, Member, hypervolume, non_dominated

points = st.integers(2, 3).flatmap(
    lambda number: st.lists(st.tuples(*[st.integers(0, 4)] * number), min_size=1, max_size=12).map(
        lambda rows: np.array(rows, dtype=np.float64)
    )
)
"""On a small grid, so that there are equal points, and points that are equal in one objective."""


def dominates(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    return bool((one >= other).all() and (one > other).any())


@given(points)
def test_a_point_is_on_the_front_if_no_other_dominates_it(values: NDArray[np.float64]) -> None:
    on_front = non_dominated(values)
    best = [not any(dominates(other, each) for other in values) for each in values]
    assert not (on_front & ~np.array(best)).any()
    kept = {tuple(each) for each in values[on_front].tolist()}
    assert kept == {tuple(each) for each in values[best].tolist()}
    assert len(kept) == on_front.sum()  # of equal points, one


@given(points)
def test_the_hypervolume_counts_the_dominated_cells(values: NDArray[np.float64]) -> None:
    dimensions = values.shape[1]
    cells = np.stack(np.meshgrid(*[np.arange(4)] * dimensions), axis=-1).reshape(-1, dimensions)
    above: NDArray[np.bool_] = values[None] >= cells[:, None] + 1
    dominated = np.any(np.all(above, axis=2), axis=1)
    assert hypervolume(values, np.zeros(dimensions)) == pytest.approx(dominated.sum())


def test_nothing_dominates_nothing() -> None:
    assert non_dominated([]).shape == (0,)
    assert hypervolume([], [0, 0]) == 0
    assert hypervolume([[-1.0, 5.0]], [0, 0]) == 0


@pytest.mark.parametrize("values", [[1.0, 2.0], [[np.nan, 1.0]], [[np.inf, 1.0]]])
def test_values_that_are_no_points_are_refused(values: list[float]) -> None:
    with pytest.raises(InvalidSettings, match="expected finite numbers"):
        non_dominated(values)


def test_a_reference_of_another_length_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"reference: expected .* got shape \(3,\)"):
        hypervolume([[1.0, 2.0]], [0, 0, 0])


@given(points)
def test_a_front_keeps_what_is_not_dominated(values: NDArray[np.float64]) -> None:
    names = ("accuracy", "-parameters", "-latency")[: values.shape[1]]
    front = Front(Objectives.of(names), _limit=3)  # leaves dominated ones out on the way
    for number, reward in enumerate(values.tolist()):
        front.add(Member(tuple(reward), f"{number}", number))
    members = front.members()
    assert {member.reward for member in members} == set(
        map(tuple, values[non_dominated(values)].tolist())
    )
    assert [member.reward[0] for member in members] == sorted(
        (member.reward[0] for member in members), reverse=True
    )
    assert len(front.children) == len(values)
    assert all(values[member.episode].tolist() == list(member.reward) for member in members)


def test_a_search_without_moocore_ends_before_it_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moocore", None)
    with pytest.raises(InvalidSettings, match=r'pip install "nas-gym\[multi-objective\]"'):
        Front(Objectives.of({"accuracy": 0, "-parameters": 10}))
