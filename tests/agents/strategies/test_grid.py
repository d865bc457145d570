"""Grid search leaves nothing out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_agents.strategies.grid import Grid
from nas_gym import (
    CustomSearchSpace,
    ENASMacroSearchSpace,
    InvalidSettings,
    NASBench101SearchSpace,
    NASBench201SearchSpace,
    NASSearchSpace,
    SearchSpace,
)
from tests.helpers import ConvNet, LayersSearchSpace

SMALL = {
    "plain": NASSearchSpace(1, filters=[8, 16]),
    "conditional": LayersSearchSpace(),
    "custom": CustomSearchSpace(ConvNet),
    "growing": NASSearchSpace(2, filters=[8], depth_schedule=(1, 1, 100)).stage(0),
}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("stride", [None, 1])
def test_every_sequence_comes_once_and_then_again(name: str, stride: int | None) -> None:
    search_space = SMALL[name]
    strategy = Grid(search_space, stride=stride)
    lap = [strategy.propose().tobytes() for _ in range(search_space.size)]
    assert len(set(lap)) == search_space.size
    assert [strategy.propose().tobytes() for _ in range(search_space.size)] == lap


def test_a_stride_of_one_counts_up() -> None:
    strategy = Grid(NASBench201SearchSpace(), stride=1)
    walk = [strategy.propose().tolist() for _ in range(7)]
    assert walk == [[0, 0, 0, 0, *divmod(number, 5)] for number in range(7)]


def test_a_short_walk_is_spread_evenly() -> None:
    strategy = Grid(NASBench201SearchSpace())
    walk = np.stack([strategy.propose() for _ in range(50)])
    for column in walk.T:
        counts = np.bincount(column, minlength=5)
        assert counts.min() >= 6  # of ten
    pairs = np.bincount(walk[:, 0] * 5 + walk[:, 1], minlength=25)
    assert 1 <= pairs.min() <= pairs.max() <= 3  # random search misses 3.2 of them on average


@pytest.mark.parametrize(
    "search_space", [NASSearchSpace(15), ENASMacroSearchSpace(), NASBench101SearchSpace()]
)
def test_large_search_spaces(search_space: SearchSpace) -> None:
    strategy = Grid(search_space)
    assert math.gcd(strategy.stride, strategy.numbers) == 1
    walk = [strategy.propose() for _ in range(30)]
    assert len({choices.tobytes() for choices in walk}) == 30
    for choices in walk:
        search_space.check(choices)


def test_strides_that_leave_sequences_out() -> None:
    with pytest.raises(InvalidSettings, match=r"stride: 10 and the 15,625 .* divisor 5 in common"):
        Grid(NASBench201SearchSpace(), stride=10)
    with pytest.raises(
        InvalidSettings, match=r"^stride: expected a number greater than or equal to 1, got 0"
    ):
        Grid(NASBench201SearchSpace(), stride=0)
