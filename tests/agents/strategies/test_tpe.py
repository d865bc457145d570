"""Optuna's TPE as a strategy."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from nas_agents.catalogue.agents import find_agent
from nas_gym import InvalidSettings, NASBench201SearchSpace
from nas_gym.search_spaces import Choices
from tests.helpers import LayersSearchSpace

optuna = pytest.importorskip("optuna")
from nas_agents.strategies.tpe import TPE  # noqa: E402


def matches(choices: Choices) -> float:
    """How many of the six edges are as wanted; 6/5 on average for random search."""
    return float(np.count_nonzero(choices == np.array([3, 3, 1, 3, 2, 3])))


@pytest.mark.parametrize("multivariate", [False, True])
@pytest.mark.parametrize("under_way", [1, 3])
def test_it_learns(multivariate: bool, under_way: int) -> None:
    """Random search's mean is 1.2, with a standard error of 0.2 over 30 proposals."""
    strategy = TPE(NASBench201SearchSpace(), seed=0, multivariate=multivariate)
    rewards: list[float] = []
    while len(rewards) < 90:
        batch = [strategy.propose() for _ in range(under_way)]
        for choices in batch:
            rewards.append(matches(choices))
            strategy.observe(choices, rewards[-1])
    assert np.mean(rewards[-30:]) > 3


def test_it_learns_where_earlier_choices_rule_later_ones_out() -> None:
    """Depth 3 and the widest layers are worth 11. Random search's mean is 5, with an error of 0.5.

    That is the standard error of the mean over 20 proposals.
    """
    strategy = TPE(LayersSearchSpace(), seed=1)
    rewards = []
    for _ in range(80):
        choices = strategy.propose()
        rewards.append(float(choices.sum()))
        strategy.observe(choices, rewards[-1])
    assert np.mean(rewards[-20:]) > 8


def test_it_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    before = optuna.logging.get_verbosity()
    strategy = TPE(LayersSearchSpace(), seed=1)
    for _ in range(15):
        strategy.observe(strategy.propose(), 0.5)
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == before


def test_a_reward_that_nobody_waits_for() -> None:
    strategy = TPE(LayersSearchSpace(), seed=1)
    strategy.observe(np.array([0, 1, 0, 0]), 1.0)
    strategy.propose()


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    for module in ("tpe", "optuna_strategy"):
        monkeypatch.delitem(sys.modules, f"nas_agents.strategies.{module}")
    with pytest.raises(InvalidSettings, match=r"needs Optuna: pip install 'nas-gym\[optuna\]'"):
        find_agent("tpe")


def test_bad_arguments() -> None:
    with pytest.raises(InvalidSettings, match=r"^startup: expected .* equal to 0, got -1"):
        TPE(LayersSearchSpace(), startup=-1)
    with pytest.raises(InvalidSettings, match=r"^candidates: expected .* equal to 1, got 0"):
        TPE(LayersSearchSpace(), candidates=0)
