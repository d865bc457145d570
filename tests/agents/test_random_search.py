"""Random search as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv

from nas_agents.random_search import RandomSearch
from tests.agents.stubs import make_stub


def test_it_draws_only_valid_choices_uniformly() -> None:
    env = make_stub(blocks=1)
    seen: list[dict[str, object]] = []

    class Spy(gym.Wrapper[np.ndarray, np.int64, np.ndarray, np.int64]):
        def step(self, action):  # type: ignore[no-untyped-def]
            outcome = self.env.step(action)
            seen.append({"action": int(action), "invalid": outcome[4]["invalid_action"]})
            return outcome

        def action_masks(self) -> np.ndarray:
            return env.action_masks()

    vec_env = DummyVecEnv([lambda: Spy(env)])
    RandomSearch("MlpPolicy", vec_env, seed=3).learn(5000)
    assert not any(step["invalid"] for step in seen)
    operations = [step["action"] for place, step in enumerate(seen) if place % 5 in (2, 3)]
    counts = np.bincount(operations, minlength=13)  # type: ignore[arg-type]
    assert counts.sum() == 2000
    assert 100 < counts.min() <= counts.max() < 210  # 154 expected, deviation 12


def test_it_saves_loads_and_predicts(tmp_path: Path) -> None:
    env = Monitor(make_stub())
    agent = RandomSearch("MlpPolicy", env, seed=0).learn(100)
    assert agent.num_timesteps == 100
    agent.save(tmp_path / "agent")
    loaded = RandomSearch.load(tmp_path / "agent", env=env)
    mean, _ = evaluate_policy(loaded, env, n_eval_episodes=20)
    assert mean == pytest.approx(1 / 13, abs=0.08)
