"""Model-based search: what it proposes, and what it finds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_agents.strategies.model_based import ModelBased
from nas_gym import InvalidSettings, NASBench201SearchSpace
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
    strategy = ModelBased(LayersSearchSpace(), 0, warm_up=3, updates=1)
    for _ in range(60):
        choices = strategy.propose()
        strategy.observe(choices, 0.0)


@pytest.mark.parametrize(
    "arguments",
    [{"warm_up": 1}, {"width": 0.0}, {"noise": -1.0}, {"optimism": -1.0}, {"updates": -1}],
)
def test_wrong_arguments(arguments: dict[str, Any]) -> None:
    with pytest.raises(InvalidSettings, match=next(iter(arguments))):
        ModelBased(SEARCH_SPACE, 0, **arguments)
