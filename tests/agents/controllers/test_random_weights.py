"""One policy for all trade-offs: the weights, the scaled rewards, and that it learns both ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sb3_contrib import MaskablePPO

from nas_agents.controllers.random_weights import VecRandomWeights
from nas_gym import InvalidSettings, NASVectorEnv, Objectives
from nas_gym.evaluation import Evaluator
from nas_gym.sb3 import NASVecEnv
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator

TWO = Objectives.of(["accuracy", "-parameters"])


def made(number: int, evaluator: Evaluator | None = None, seed: int = 0) -> Any:
    evaluator = evaluator or RecordedStub(LayersSearchSpace())
    venv = NASVectorEnv(LayersSearchSpace(), evaluator, number, TWO, autoreset_mode="SameStep")
    return VecRandomWeights(NASVecEnv(venv), seed)


def test_each_child_has_weights_of_its_own_until_its_end() -> None:
    env = made(3)
    first = env.reset()["weights"]
    assert first.shape == (3, 2)
    assert first.sum(axis=1) == pytest.approx(np.ones(3))
    assert len(np.unique(first[:, 0])) == 3
    for _ in range(3):
        observations, rewards, ended, _ = env.step(np.zeros(3, dtype=np.int64))
        assert observations["weights"].tolist() == first.tolist()
        assert rewards.tolist() == [0, 0, 0]
        assert not ended.any()
    observations, _, ended, infos = env.step(np.zeros(3, dtype=np.int64))
    assert ended.all()
    assert not (observations["weights"] == first).any()
    last = infos[1]["terminal_observation"]
    assert last["weights"].tolist() == first[1].tolist()
    assert (last["architecture"] > 0).all()
    assert env.observation_space.contains({n: each[0] for n, each in observations.items()})
    assert made(3).reset()["weights"].tolist() == first.tolist()
    assert made(3, seed=1).reset()["weights"].tolist() != first.tolist()


def test_rewards_are_weighed_between_the_least_and_the_greatest_values() -> None:
    """Rows are sums of choices; the cost is ten times the row, and so is the accuracy's rank."""
    env = made(3)
    weights = env.reset()["weights"]
    for actions in ([0, 1, 1], [1, 1, 2], [0, 0, 2], [0, 0, 2]):
        _, rewards, ended, infos = env.step(np.array(actions))
    assert ended.all()
    vectors = np.array([info["episode"]["r"] for info in infos])
    spread = vectors.max(axis=0) - vectors.min(axis=0)
    expected = ((vectors - vectors.min(axis=0)) / spread * weights).sum(axis=1)
    assert rewards == pytest.approx(expected)
    assert rewards.min() >= 0
    assert rewards.max() <= 1


def test_a_failed_child_is_worth_0_and_moves_no_scale() -> None:
    env = made(2, StubEvaluator(status="diverged"))
    env.reset()
    for _ in range(4):
        _, rewards, ended, _ = env.step(np.zeros(2, dtype=np.int64))
    assert ended.all()
    assert rewards.tolist() == [0, 0]
    assert np.isinf(env.least).all()


def test_rewards_that_are_numbers_are_refused() -> None:
    venv = NASVectorEnv(LayersSearchSpace(), StubEvaluator(), 1, autoreset_mode="SameStep")
    with pytest.raises(InvalidSettings, match="are no vectors; use an MO- id"):
        VecRandomWeights(NASVecEnv(venv))


def test_one_policy_designs_for_both_ends() -> None:
    """Accurate children have large sums of choices, and small ones cost little."""
    env = made(8)
    settings = {"n_steps": 8, "batch_size": 64, "gamma": 1.0, "learning_rate": 3e-3}
    agent = MaskablePPO("MultiInputPolicy", env, seed=0, **settings)  # type: ignore[arg-type]
    agent.learn(8 * 4 * 60)
    sums = []
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        observations = env.reset()
        for _ in range(4):
            given = {**observations, "weights": np.array([weights] * 8, dtype=np.float32)}
            masks = np.stack(env.env_method("action_masks"))
            actions, _ = agent.predict(given, action_masks=masks, deterministic=True)
            observations, _, _, infos = env.step(actions)
        sums.append(np.mean([info["evaluation"]["parameters"] for info in infos]))
    assert sums[0] > sums[1] + 30
