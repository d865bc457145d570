"""Regularized evolution: who is a parent, and who dies."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_agents.strategies.regularized_evolution import RegularizedEvolution
from nas_gym import InvalidSettings, NASBench201SearchSpace
from nas_gym.search_spaces import Choices

SEARCH_SPACE = NASBench201SearchSpace()


def evolution(population: int = 10, **arguments: Any) -> RegularizedEvolution:
    return RegularizedEvolution(SEARCH_SPACE, 0, population, **arguments)


def distance(one: Choices, other: Choices) -> int:
    return int(np.count_nonzero(one != other))


def test_the_first_generation_is_random_and_then_each_child_has_one_change() -> None:
    strategy = evolution(sample=3)
    proposed: list[Choices] = []
    for number in range(60):
        alive = [choices for _, choices in strategy.population]
        choices = strategy.propose()
        if number >= 10:
            assert len(alive) == 10
            assert 1 in [distance(choices, each) for each in alive]
        strategy.observe(choices, float(choices.sum()))
        proposed.append(choices)
    between = [distance(one, other) for one in proposed[:10] for other in proposed[:10]]
    assert np.mean(between) > 4  # 4.32 on average for random cells that are not the same


def test_the_oldest_dies_however_good_it_is() -> None:
    strategy = evolution()
    for number in range(25):
        strategy.observe(strategy.propose(), 1.0 if number == 14 else 0.0)
    assert [reward for reward, _ in strategy.population].count(1.0) == 0
    assert len(strategy.population) == 10


def test_the_best_of_the_sample_is_the_parent() -> None:
    strategy = evolution(sample=200)  # with replacement: the best is among them all but surely
    for _ in range(10):
        choices = strategy.propose()
        strategy.observe(choices, float(choices.sum()))
    best = max(strategy.population, key=lambda each: each[0])[1]
    assert {distance(strategy.propose(), best) for _ in range(20)} == {1}


def test_a_sample_of_one_is_no_selection() -> None:
    strategy = evolution(sample=1)
    for _ in range(10):
        choices = strategy.propose()
        strategy.observe(choices, float(choices.sum()))
    best = max(strategy.population, key=lambda each: each[0])[1]
    near = [distance(strategy.propose(), best) <= 1 for _ in range(400)]
    assert np.mean(near) < 0.25  # 0.1 and a little, if all ten are as likely


def test_identity_is_a_mutation_too() -> None:
    for identity, expected in ((0.0, 0.0), (0.3, 0.3)):
        strategy = evolution(identity=identity)
        for _ in range(10):
            strategy.observe(strategy.propose(), 0.0)
        alive = {choices.tobytes() for _, choices in strategy.population}
        same = np.mean([strategy.propose().tobytes() in alive for _ in range(1000)])
        assert same == pytest.approx(expected, abs=0.06)


def test_before_any_reward_all_are_random() -> None:
    strategy = evolution(population=2)
    for _ in range(20):
        strategy.propose()
    assert not strategy.population


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"population": -1}, "^population: expected .* equal to 1, got -1"),
        ({"sample": "x"}, "^sample: expected a valid integer, got 'x'"),
        ({"identity": 1.0}, "^identity: expected a number less than 1, got 1.0"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        evolution(**arguments)
