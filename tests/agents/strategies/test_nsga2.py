"""NSGA-II as a strategy: it spreads over the front, and better than random search."""

from __future__ import annotations

import numpy as np
import pytest

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.strategies import Strategy
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import InvalidSettings, NASBench201SearchSpace, Objectives, SearchSpace
from nas_gym.pareto import hypervolume
from nas_gym.search_spaces import Choices
from tests.helpers import LayersSearchSpace

pytest.importorskip("optuna")
from nas_agents.strategies.nsga2 import NSGA2


def two(choices: Choices) -> list[float]:
    """Return how many decisions are as one objective wants them, and as the other does."""
    first, second = np.array([3, 3, 1, 3, 2, 3]), np.array([3, 3, 1, 0, 0, 0])
    return [float((choices == wanted[: len(choices)]).sum()) for wanted in (first, second)]


def covered(strategy: Strategy, number: int) -> float:
    rewards = []
    for _ in range(number):
        choices = strategy.propose()
        rewards.append(two(choices))
        strategy.observe(choices, rewards[-1])
    return hypervolume(np.array(rewards), np.zeros(2))


def test_its_front_covers_more_than_random_searchs() -> None:
    """The best front covers 27: (6, 3), (5, 4), (4, 5) and (3, 6)."""
    search_space = NASBench201SearchSpace()
    ours = [covered(NSGA2(search_space, seed, population=20), 200) for seed in range(3)]
    random = [covered(RandomSearch(search_space, seed), 200) for seed in range(3)]
    assert min(ours) > max(random)
    assert np.mean(ours) > 22


@pytest.mark.parametrize("search_space", [NASBench201SearchSpace(), LayersSearchSpace()])
def test_proposals_are_valid_where_genes_are_not(search_space: SearchSpace) -> None:
    strategy = NSGA2(search_space, 0, population=4, mutation=0.5)
    for _ in range(16):
        choices = strategy.propose()
        np.testing.assert_array_equal(search_space.check(choices), choices)
        strategy.observe(choices, two(choices))


def test_children_that_failed_are_no_parents() -> None:
    """Here their worst values are of a lower cost than any trained child has."""
    strategy = NSGA2(NASBench201SearchSpace(), 0, population=8, mutation=0.0)
    failed = []
    for _ in range(60):
        choices = strategy.propose()
        failed.append(choices[0] < 2)
        reward, status = ([0.1, -1.0], "diverged") if failed[-1] else ([0.9, -2.0], "ok")
        strategy.observe_evaluation(choices, reward, {"status": status})
    assert any(failed[:8])
    assert not any(failed[-30:])


def test_the_population_follows_the_length_of_the_search() -> None:
    arguments = [find_agent("nsga2").arguments(Plan(6, n, objectives=3)) for n in (50, 300, 10**9)]
    assert [each["population"] for each in arguments] == [10, 30, 50]
    assert all(each["objectives"] == 3 for each in arguments)


def test_bad_arguments() -> None:
    with pytest.raises(InvalidSettings, match=r"^objectives: expected .* equal to 2, got 1"):
        NSGA2(LayersSearchSpace(), objectives=1)
    with pytest.raises(InvalidSettings, match=r"^swap: expected .* equal to 1, got 2"):
        NSGA2(LayersSearchSpace(), swap=2.0)
    with pytest.raises(InvalidSettings, match=r"^objectives: the reward has 2, got 3"):
        NSGA2(LayersSearchSpace(), objectives=3).prepare(
            Objectives.of(["accuracy", "-latency"]), None
        )
