"""Searches side by side are the searches alone."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_agents.catalogue.agents import find_agent
from nas_agents.strategies import Strategy
from nas_agents.strategies.as_agent import StrategyAgent
from nas_agents.strategies.regularized_evolution import RegularizedEvolution
from nas_agents.strategies.side_by_side import side_by_side
from nas_gym import InvalidSettings, NASBench201SearchSpace, NASVectorEnv
from nas_gym.sb3 import NASVecEnv
from tests.helpers import RecordedStub

SEARCH_SPACE = NASBench201SearchSpace()
SETTINGS = {"population": 5, "sample": 2}


def strategy(seed: int) -> Strategy:
    return find_agent("regularized-evolution").make_strategy(SEARCH_SPACE, SETTINGS, seed)


class Diary(RecordedStub):
    """Keeps the one sequence of choices that it is asked for at a time."""

    def __init__(self) -> None:
        super().__init__(SEARCH_SPACE)
        self.asked: list[NDArray[np.int64]] = []

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        self.asked.append(choices[0].copy())
        return super().rows(choices)


def test_each_search_is_what_it_is_alone() -> None:
    """As `StrategyAgent` plays it in an environment of its own."""
    env = NASVectorEnv(SEARCH_SPACE, RecordedStub(SEARCH_SPACE), 4)
    rounds = islice(side_by_side([strategy(seed) for seed in range(4)], env), 30)
    choices = np.stack([each.choices for each in rounds])  # (30, 4, 6)
    for seed in range(4):
        diary = Diary()
        alone = NASVecEnv(NASVectorEnv(SEARCH_SPACE, diary, autoreset_mode="SameStep"))
        StrategyAgent(RegularizedEvolution, alone, SETTINGS, seed=seed).learn(30 * 6)
        np.testing.assert_array_equal(diary.asked, choices[:, seed])


def test_a_round_tells_what_each_was_worth_also_where_it_was_known() -> None:
    stub = RecordedStub(SEARCH_SPACE)
    env = NASVectorEnv(SEARCH_SPACE, stub, 3)
    for played in islice(side_by_side([strategy(seed) for seed in range(3)], env), 20):
        expected = [stub.evaluation(int(row)) for row in stub.rows(played.choices)]
        assert played.rewards.tolist() == [each.accuracy for each in expected]
        assert played.accuracy.tolist() == [each.accuracy for each in expected]
        assert played.seconds.tolist() == [each.seconds for each in expected]
    assert env.budget.asked == 60
    assert env.budget.made < 25  # of 25 rows


def test_environments_that_do_not_suit() -> None:
    stub = RecordedStub(SEARCH_SPACE)
    with pytest.raises(InvalidSettings, match="an episode for each of 2 searches, got 3"):
        next(side_by_side([strategy(0), strategy(1)], NASVectorEnv(SEARCH_SPACE, stub, 3)))
    env = NASVectorEnv(SEARCH_SPACE, stub, 1, autoreset_mode="SameStep")
    with pytest.raises(InvalidSettings, match="expected the mode 'NextStep'"):
        next(side_by_side([strategy(0)], env))
