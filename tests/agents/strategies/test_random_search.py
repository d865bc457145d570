"""Random search, and what it scores on average."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas_agents.strategies.random_search import RandomSearch, expected_best
from nas_gym import InvalidSettings, NASBench201SearchSpace, NASNetSearchSpace
from tests.helpers import LayersSearchSpace


def test_every_choice_is_drawn_uniformly() -> None:
    strategy = RandomSearch(NASNetSearchSpace(1), seed=3)
    drawn = np.stack([strategy.propose() for _ in range(1000)])
    operations = drawn[:, [2, 3, 7, 8]]
    counts = np.bincount(operations.ravel(), minlength=13)
    assert counts.sum() == 4000
    assert 240 < counts.min() <= counts.max() < 380  # 308 expected, deviation 17


def test_without_repeats_every_architecture_comes_once_and_then_again() -> None:
    search_space = LayersSearchSpace()  # 39 architectures
    strategy = RandomSearch(search_space, seed=0, repeats=False)
    keys = [search_space.decode(strategy.propose()).key for _ in range(39)]
    assert len(set(keys)) == 39
    assert search_space.decode(strategy.propose()).key in keys
    repeating = RandomSearch(search_space, seed=0)
    assert len({search_space.decode(repeating.propose()).key for _ in range(39)}) < 39


def test_repeats_are_those_of_the_network_and_not_of_the_choices() -> None:
    search_space = NASBench201SearchSpace()
    strategy = RandomSearch(search_space, seed=1, repeats=False)
    proposed = [search_space.decode(strategy.propose()) for _ in range(2000)]
    assert len({architecture.key for architecture in proposed}) == 2000


def test_expected_best_is_the_mean_over_all_draws() -> None:
    rewards = [0.3, 0.1, 0.7, 0.7]
    for number in (1, 2, 3):
        every = [max(drawn) for drawn in itertools.product(rewards, repeat=number)]
        assert expected_best(rewards, number) == pytest.approx(np.mean(every))
    with pytest.raises(InvalidSettings, match="evaluations: expected 1 or more, got 0"):
        expected_best(rewards, 0)
    with pytest.raises(InvalidSettings, match="repeats: expected a valid boolean, got 1"):
        RandomSearch(LayersSearchSpace(), repeats=1)  # type: ignore[arg-type]
