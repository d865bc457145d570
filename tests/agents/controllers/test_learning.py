"""Agents learn: thresholds beside what random search scores on the same task.

The fast agents only; `nas-gym bench` measures all of them.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import RECORDED_FILE, RECORDED_ID, STUB_ID


def last_fifth(env_id: str, agent: str, episodes: int, run: Path) -> float:
    """The mean reward of the last fifth of a search's episodes."""
    result = search(SearchSettings(env_id, agent, episodes=episodes, seed=1), run)
    rewards: list[float] = [record["reward"] for record in episodes_of(result.run)]
    last = rewards[-episodes // 5 :]
    return sum(last) / len(last)


def test_an_agent_learns_twenty_decisions(tmp_path: Path) -> None:
    """The share of 3x3 convolutions among 8 operations: 1/13 = 0.08 for random search."""
    assert 0.03 < last_fifth(STUB_ID, "random", 400, tmp_path / "random") < 0.13
    assert last_fifth(STUB_ID, "maskable-ppo", 400, tmp_path / "run") > 0.3


@pytest.mark.parametrize(
    ("agent", "threshold"),
    [("regularized-evolution", 0.5), ("local-search", 0.3)],  # the latter starts anew at a top
)
def test_strategies_learn_twenty_decisions(agent: str, threshold: float, tmp_path: Path) -> None:
    """As above: 0.08 for random search."""
    assert last_fifth(STUB_ID, agent, 400, tmp_path / "run") > threshold


def test_a_grid_does_not(tmp_path: Path) -> None:
    assert 0.03 < last_fifth(STUB_ID, "grid", 400, tmp_path / "run") < 0.13


@pytest.mark.skipif(not RECORDED_FILE.is_file(), reason=f"{RECORDED_FILE} is missing")
@pytest.mark.parametrize(
    ("agent", "threshold"),
    [
        ("ppo", 0.77),
        ("a2c", 0.75),
        ("dqn", 0.77),
        ("ars", 0.77),
        ("reinforce", 0.75),
        ("regularized-evolution", 0.77),
        ("local-search", 0.73),
    ],
)
def test_agents_learn_nasbench201(agent: str, threshold: float, tmp_path: Path) -> None:
    """Validation accuracy after 12 epochs: 0.69 for random search, with a deviation of 0.12.

    So its mean of 80 networks has a standard error of 0.013, and the lowest threshold is 4 of these
    above it.
    """
    assert last_fifth(RECORDED_ID, agent, 400, tmp_path / "run") > threshold


@pytest.mark.skipif(not RECORDED_FILE.is_file(), reason=f"{RECORDED_FILE} is missing")
def test_a_deterministic_policy_learns_nasbench201(tmp_path: Path) -> None:
    """As above, of 40 networks: random search's mean has a standard error of 0.019."""
    assert last_fifth(RECORDED_ID, "ddpg", 200, tmp_path / "run") > 0.78


@pytest.mark.skipif(not RECORDED_FILE.is_file(), reason=f"{RECORDED_FILE} is missing")
def test_random_search_does_not(tmp_path: Path) -> None:
    assert 0.65 < last_fifth(RECORDED_ID, "random", 400, tmp_path / "run") < 0.73
