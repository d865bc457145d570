"""Model-based search: what it proposes, and what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_agents.strategies.model_based import ModelBased
from nas_gym import Evaluation, InvalidSettings, Memory, NASBench201SearchSpace, published
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.rewards import MnasNetHardReward, accuracy
from tests.helpers import LayersSearchSpace

SEARCH_SPACE = NASBench201SearchSpace()


def found(strategy: ModelBased, number: int) -> list[float]:
    """The rewards of so many proposals: a sum, and a product that no decision has alone."""
    rewards = []
    for _ in range(number):
        choices = strategy.propose()
        reward = choices.sum() / 24 + 0.5 * (choices[0] == choices[3]) * (choices[1] == 2)
        strategy.observe(choices, float(reward))
        rewards.append(float(reward))
    return rewards


def test_it_finds_the_best_of_15625_in_60() -> None:
    """The best has 1.417; random search's best of 60 has 1.25 on average."""
    assert max(found(ModelBased(SEARCH_SPACE, 0), 60)) == pytest.approx(22 / 24 + 0.5)


def test_without_updates_it_is_random_search() -> None:
    without = [max(found(ModelBased(SEARCH_SPACE, seed, updates=0), 60)) for seed in range(5)]
    assert 1.0 < float(np.mean(without)) < 1.35


@pytest.mark.parametrize("draws", [50, 1])
def test_no_network_is_proposed_twice(draws: int) -> None:
    """Also where the policy has converged, and draws what was proposed already."""
    strategy = ModelBased(SEARCH_SPACE, 0, warm_up=5, draws=draws, updates=20)
    keys = []
    for _ in range(80):
        choices = strategy.propose()
        keys.append(SEARCH_SPACE.decode(choices).key)
        strategy.observe(choices, float(choices.sum()))
    assert len(set(keys)) >= 80 - (draws == 1)  # five changes of a single one


def test_a_search_space_that_is_used_up_is_proposed_again() -> None:
    strategy = ModelBased(LayersSearchSpace(), 0, warm_up=3, updates=1, noise=1e-9)
    for _ in range(60):
        choices = strategy.propose()
        strategy.observe(choices, 0.0)


def test_published_architectures_are_proposed_first() -> None:
    strategy = ModelBased(SEARCH_SPACE, 0, first=["NAS-Bench-201-ResNet"])
    proposed = [SEARCH_SPACE.decode(strategy.propose()) for _ in range(3)]
    assert proposed[0] == published("NAS-Bench-201-ResNet")
    assert len(set(proposed)) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"warm_up": 1},
        {"width": 0.0},
        {"noise": -1.0},
        {"noise": 1e-17},
        {"optimism": -1.0},
        {"updates": -1},
        {"memory": 11},
    ],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match=next(iter(arguments))):
        ModelBased(SEARCH_SPACE, 0, **arguments)


class Recorded:
    """A benchmark whose accuracy is `found`'s reward, and whose latency falls on a cliff."""

    search_space = SEARCH_SPACE
    at_most = CostLimits()

    def __init__(self) -> None:
        grid = np.indices((5,) * 6).reshape(6, -1).T
        accuracy = (
            grid.sum(axis=1) / 24 + 0.5 * (grid[:, 0] == grid[:, 3]) * (grid[:, 1] == 2)
        ) / 2
        latency = 1.0 + (grid[:, 2] + 2 * grid[:, 4]) / 4
        self.columns = {
            **{"accuracy": accuracy, "latency": latency, "seconds": np.ones(len(grid))},
            "status": np.full(len(grid), "ok"),
        }

    def rows(self, choices: Any) -> Any:
        return choices @ 5 ** np.arange(5, -1, -1)

    def evaluation(self, row: int) -> Evaluation:
        return Evaluation(
            "ok",
            self.columns["accuracy"][row],
            (),
            1.0,
            0,
            "",
            latency=self.columns["latency"][row],
        )

    def evaluate(self, architectures: Any) -> list[Evaluation]:
        raise NotImplementedError


@pytest.mark.parametrize("known", [True, False])
def test_under_a_hard_constraint_it_finds_the_best_that_is_fast_enough(known: bool) -> None:
    """Of 15,625, in 60; the best of all is 2.5 times too slow."""
    memory, reward = Memory(Recorded()), MnasNetHardReward(target=1.5)
    columns = memory.recorded.columns if memory.recorded else {}
    best = columns["accuracy"][columns["latency"] <= 1.5].max()
    strategy, rewards = ModelBased(SEARCH_SPACE, 0), []
    strategy.prepare(reward, memory if known else None)
    for _ in range(60):
        choices = strategy.propose()
        evaluation = memory.evaluate_choices(SEARCH_SPACE, choices[None])[0]
        rewards.append(reward(evaluation))
        strategy.observe_evaluation(choices, rewards[-1], evaluation.to_dict())
    assert max(rewards) == pytest.approx(best)


@pytest.mark.parametrize("limit", [1.5, 1.0])  # which 16 and 4% of the networks keep
def test_nothing_beyond_a_known_limit_is_proposed(limit: float) -> None:
    recorded = Recorded()
    recorded.at_most = CostLimits(latency=limit)
    strategy = ModelBased(SEARCH_SPACE, 0, warm_up=5, updates=20)
    strategy.prepare(accuracy, Memory(recorded))
    found = []
    for _ in range(25):
        choices = strategy.propose()
        row = int(recorded.rows(choices))
        assert recorded.columns["latency"][row] <= limit
        found.append(recorded.columns["accuracy"][row])
        strategy.observe(choices, found[-1])
    allowed = recorded.columns["accuracy"][recorded.columns["latency"] <= limit]
    assert np.mean(found[5:]) > allowed.mean() + allowed.std() / 2


def test_where_all_children_fail_it_goes_on() -> None:
    strategy = ModelBased(SEARCH_SPACE, 0, warm_up=2, updates=1)
    strategy.prepare(MnasNetHardReward(target=1.0), None)
    failed = Evaluation("crashed", 0.0, (), 1.0, 0, "").to_dict()
    for _ in range(4):
        strategy.observe_evaluation(strategy.propose(), 0.0, failed)
