"""TuNAS's controller: its delay, its growing learning rate, and that it finds the target's cost."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from stable_baselines3.common.logger import configure

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.controllers.episodes import MovingAverage
from nas_agents.controllers.sharing.tunas import TuNAS
from nas_gym import NASVectorEnv
from nas_gym.families.tunas.search_space import TuNASSearchSpace
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.rewards import reward_by_name
from nas_gym.sb3 import NASVecEnv
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings
from tests.weight_sharing.test_evaluator import digits  # noqa: F401 (a fixture)

SPACE = TuNASSearchSpace()
NETWORK = MobileNetworkSettings(width=0.25, divisor=1, halvings=2)
TARGET = 0.6e6


@pytest.fixture
def shared(digits: Any, monkeypatch: pytest.MonkeyPatch) -> WeightSharing:  # noqa: F811
    """Weights that are not trained, and accuracies of 0.5: the costs alone make a difference."""
    settings = WeightSharingSettings(NETWORK, epochs=10, batch_size=64)
    evaluator = WeightSharing(SPACE, digits, settings, "cpu")
    monkeypatch.setattr("nas_gym.weight_sharing.evaluator.accuracy_of", lambda *_: 0.5)
    monkeypatch.setattr(WeightSharing, "_step", lambda *_: torch.zeros(2))
    return evaluator


def agent_in(shared: WeightSharing, **given: Any) -> TuNAS:
    reward = reward_by_name({"name": "tunas", "target": TARGET, "cost": "multiply_adds"})
    env = NASVecEnv(NASVectorEnv(SPACE, shared, 5, reward, autoreset_mode="SameStep"))
    plan = Plan(len(SPACE.decisions), 300, 5)
    agent = find_agent("tunas")
    made = agent.make(env, {**agent.arguments(plan), **given}, seed=0)
    assert isinstance(made, TuNAS)
    return made


@pytest.mark.slow
def test_it_finds_a_network_of_the_targets_cost(shared: WeightSharing) -> None:
    agent = agent_in(shared, learning_rate=0.2, episodes_an_epoch=150, n_episodes=5)
    agent.learn(300 * len(SPACE.decisions))
    architecture, evaluation = agent.choose()
    assert evaluation.multiply_adds == pytest.approx(TARGET, rel=0.1)
    rng = np.random.default_rng(0)
    drawn = [SPACE.decode(SPACE.sample(rng)) for _ in range(30)]
    costs = np.array([shared.supernet.count_multiply_adds(each) for each in drawn])
    assert (np.abs(costs / TARGET - 1) < 0.1).mean() < 0.5
    assert agent.choose()[0] == architecture


def test_the_delay_and_the_growth_of_the_learning_rate(shared: WeightSharing) -> None:
    agent = agent_in(shared, learning_rate=0.01)
    agent.set_logger(configure(None, []))
    rates = []
    for progress in (0.0, 0.24, 0.25, 0.625, 1.0):
        agent._current_progress_remaining = 1 - progress
        agent._update_learning_rate(agent.policy.optimizer)
        rates.append(agent.policy.optimizer.param_groups[0]["lr"])
    np.testing.assert_allclose(rates, [0, 0, 0.01, 0.01 * 10**0.5, 0.1], rtol=1e-6)


def test_what_enas_has_beside_is_off_unless_it_is_given(shared: WeightSharing) -> None:
    assert agent_in(shared).entropy_reward == agent_in(shared).skip_weight == 0
    assert agent_in(shared, entropy_reward=0.5).entropy_reward == 0.5


def test_proxylessnas_r_has_its_constants() -> None:
    arguments = find_agent("proxylessnas").arguments(Plan(21, 36_000))
    assert arguments["policy"] == "IndependentLogits"
    assert (arguments["learning_rate"], arguments["n_episodes"]) == (1e-3, 10)
    names = ("baseline_decay", "bias_correction", "own_reward", "mean_reward")
    baseline = MovingAverage(*(arguments.get(name, False) for name in names))
    baseline.update(np.full(10, 0.5))
    rewards = np.array([*[0.1] * 9, 0.9])  # the last weighs as much as any
    assert baseline.update(rewards) == pytest.approx(0.01 * 0.5 + 0.99 * rewards.mean())
    assert arguments["policy_kwargs"]["optimizer_kwargs"] == {"betas": [0.0, 0.999]}
