"""Agents in lock-step learn on where repeats are free."""

from __future__ import annotations

from itertools import islice
from typing import Any

import pytest

from nas_agents.controllers.reinforce import Reinforce
from nas_agents.drivers.lock_step import learning
from nas_gym import NASNetSearchSpace
from tests.agents.controllers.test_lstm import Watched, vec_env


def test_what_falls_over_the_plan_stays_at_its_end() -> None:
    """However often the agent learns on, update by update."""
    agent = Watched(ent_coef=0.5, final_ent_coef=0.1)
    assert [each.num_timesteps for each in islice(learning(agent, 80, 10), 4)] == [
        80,
        100,
        120,
        140,
    ]
    assert agent.seen == pytest.approx([0.4, 0.3, 0.2, 0.1, 0.1, 0.1, 0.1])


def test_a_learning_rate_that_falls_does_not_rise_again() -> None:
    """Three episodes an update, in two environments, are four."""
    rates: list[float] = []

    def rate(remaining: float) -> float:
        rates.append(round(remaining, 9))
        return 1e-3 * remaining

    settings: dict[str, Any] = {"n_episodes": 3, "device": "cpu"}
    agent = Reinforce("LstmPolicy", vec_env(NASNetSearchSpace(1)), rate, **settings)
    rates.clear()
    assert [each.num_timesteps for each in islice(learning(agent, 80, 10), 3)] == [80, 120, 160]
    assert list(dict.fromkeys(rates)) == [0.5, 0.0]
