"""The form with vector rewards of each environment, under MO-Gymnasium and morl-baselines."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_gym import Family, InvalidSettings, NASEnv, NASVectorEnv, register_family
from nas_gym.envs import environment_type
from nas_gym.family import _families
from tests.helpers import LayersSearchSpace, StubEvaluator
from tests.test_env import CHEAP, IDS

DIGITS = "nas_gym/MO-TinyBench-v0"
CHOICES = [3, 3, 1, 3, 2, 3]


def multi(env_id: str) -> str:
    return env_id.replace("nas_gym/", "nas_gym/MO-")


def play(env: gym.Env[Any, Any], choices: list[int]) -> tuple[list[Any], dict[str, Any]]:
    """Return the rewards of an episode, and the information at its end."""
    env.reset(seed=0)
    rewards = []
    for choice in choices:
        _, reward, _, _, info = env.step(choice)
        rewards.append(reward)
    return rewards, info


@pytest.mark.parametrize("env_id", IDS)
def test_every_environment_has_a_form_with_vector_rewards(env_id: str) -> None:
    objectives = ["accuracy", "-multiply_adds", "-parameters"]
    env = gym.make(multi(env_id), objectives=objectives, **CHEAP[env_id])
    plain = env.unwrapped
    assert isinstance(plain, NASEnv)
    assert isinstance(plain, environment_type(env_id))
    assert plain.reward_dim == 3
    assert plain.reward_space.shape == (3,)
    assert env.spec is not None
    assert gym.make(gym.envs.registration.EnvSpec.from_json(env.spec.to_json())).spec == env.spec
    env.reset(seed=0)
    reward, terminated = env.step(0)[1:3]
    assert isinstance(reward, np.ndarray)
    assert reward.dtype == np.float32
    assert reward.any() == terminated == (plain.decisions == 1)


def test_the_last_reward_is_a_vector_of_the_evaluation() -> None:
    env = gym.make(DIGITS, objectives=["accuracy", "-parameters"])
    rewards, info = play(env, CHOICES)
    assert [reward.tolist() for reward in rewards[:-1]] == [[0, 0]] * 5
    evaluation = info["evaluation"]
    expected = [evaluation["accuracy"], -evaluation["parameters"]]
    assert rewards[-1].tolist() == pytest.approx(expected)
    assert env.unwrapped.reward_space.contains(rewards[-1])  # type: ignore[attr-defined]
    again = pickle.loads(pickle.dumps(env.unwrapped))
    assert play(again, CHOICES)[0][-1].tolist() == rewards[-1].tolist()


def test_make_vec_gives_one_row_an_episode() -> None:
    envs = gym.make_vec(DIGITS, num_envs=2, objectives={"accuracy": 0, "-parameters": 1e6})
    assert isinstance(envs, NASVectorEnv)
    envs.reset(seed=0)
    for choice in CHOICES:
        rewards = envs.step(np.array([choice, 0]))[1]
    assert rewards.shape == (2, 2)
    assert rewards[0].tolist() == play(gym.make(DIGITS), CHOICES)[0][-1].tolist()


def test_a_reward_beside_the_objectives_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="objectives: 'latency' is not known"):
        gym.make(DIGITS, objectives=["accuracy", "latency"])
    with pytest.raises(InvalidSettings, match="give objectives"):
        gym.make(DIGITS, reward="accuracy")


class LayersEnv(NASEnv):
    """An environment of a user's own family."""

    def __init__(self, **arguments: Any) -> None:
        super().__init__(LayersSearchSpace(), StubEvaluator(), **arguments)


@pytest.fixture
def own_family() -> Iterator[str]:
    family = Family(
        *("own multi", "own-multi", "tests.helpers:LayersArchitecture"),
        LayersSearchSpace,
        environments={"own/Layers-v0": LayersEnv},
    )
    register_family(family)
    yield "own/MO-Layers-v0"
    del _families[family.name]
    for env_id in ("own/Layers-v0", "own/MO-Layers-v0"):
        gym.registry.pop(env_id)


def test_a_family_of_ones_own_has_it_too(own_family: str) -> None:
    rewards, info = play(gym.make(own_family), [0] * len(LayersSearchSpace().decisions))
    assert rewards[-1].tolist() == pytest.approx([info["evaluation"]["accuracy"], -10])


def test_mo_gymnasiums_wrappers_run_on_it() -> None:
    wrappers = pytest.importorskip("mo_gymnasium.wrappers")
    weights = np.array([1.0, 1e-6])
    recorded = wrappers.MORecordEpisodeStatistics(gym.make(DIGITS))
    env = wrappers.LinearReward(recorded, weights)
    rewards, info = play(env, CHOICES)
    evaluation = info["evaluation"]
    vector = [evaluation["accuracy"], -evaluation["parameters"]]
    assert info["episode"]["r"].tolist() == pytest.approx(vector)
    assert rewards[-1] == pytest.approx(np.dot(vector, weights))
    normalized = wrappers.MONormalizeReward(gym.make(DIGITS), idx=0)
    clipped = wrappers.MOClipReward(normalized, 1, -5.0, 0.0)
    assert play(clipped, CHOICES)[0][-1][1] == -5
    # These wrappers write into the rewards, which must be the environment's own at each step.
    assert play(gym.make(DIGITS), CHOICES)[0][-1].tolist() == pytest.approx(vector)


def test_mo_gymnasiums_vector_forms_run_on_it() -> None:
    wrappers = pytest.importorskip("mo_gymnasium.wrappers.vector")
    theirs = wrappers.MOSyncVectorEnv([lambda: gym.make(DIGITS) for _ in range(3)])
    ours: Any = gym.make_vec(DIGITS, num_envs=3)
    for venv in (theirs, ours):
        envs = wrappers.MORecordEpisodeStatistics(venv)
        envs.reset(seed=0)
        for choice in CHOICES:
            _, rewards, terminated, _, info = envs.step(np.array([choice, 0, 1]))
        assert rewards.shape == (3, 2)
        assert terminated.all()
        assert info["episode"]["r"] == pytest.approx(rewards)
    assert ours.reward_space == theirs.reward_space


def test_an_algorithm_of_morl_baselines_learns_on_it() -> None:
    """Q-learning with the weights of one objective finds what that objective wants."""
    module = pytest.importorskip("morl_baselines.single_policy.ser.mo_q_learning")
    env = gym.make(DIGITS, objectives=["accuracy", "-parameters"])
    found: list[Any] = []
    for weights in ([1.0, 0.0], [0.0, 1.0]):
        agent = module.MOQLearning(
            env, weights=np.array(weights), gamma=1.0, learning_rate=0.5, log=False, seed=0,
            initial_epsilon=1.0, final_epsilon=0.05, epsilon_decay_steps=2_500,
        )  # fmt: skip
        env.action_space.seed(0)
        agent.train(0, total_timesteps=3_000)
        observation, _ = env.reset()
        for _ in range(6):
            observation, reward, *_ = env.step(agent.eval(observation))
        found.append(reward)
    assert found[0][0] > found[1][0]
    assert found[0][1] < found[1][1]
