"""Agents learn: thresholds beside what random search scores on the same task.

The reward is the share of 3x3 convolutions among 8 operations: 1/13 = 0.08 for random search, 1 at
best.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_agents.search import SearchSettings, search
from tests.agents.stubs import STUB_ID
from tests.agents.test_search import episodes_of


@pytest.mark.parametrize(("agent", "threshold"), [("ppo", 0.3), ("maskable-ppo", 0.3)])
def test_agents_learn(agent: str, threshold: float, tmp_path: Path) -> None:
    result = search(SearchSettings(STUB_ID, agent, episodes=400, seed=1), tmp_path / "run")
    rewards = [record["reward"] for record in episodes_of(result.run)]
    assert sum(rewards[-80:]) / 80 > threshold


def test_random_search_does_not(tmp_path: Path) -> None:
    result = search(SearchSettings(STUB_ID, "random", episodes=400, seed=1), tmp_path / "run")
    rewards = [record["reward"] for record in episodes_of(result.run)]
    assert 0.03 < sum(rewards[-80:]) / 80 < 0.13
