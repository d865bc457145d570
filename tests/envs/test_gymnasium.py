"""Gymnasium's own tests of environments, as far as they apply to any id, on a fake evaluator."""

import copy
import pickle
from itertools import count
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import data_equivalence

from nas_gym import InvalidSettings, NASEnv
from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.memory import Memory
from nas_gym.family import registered_families
from tests.helpers import StubEvaluator, nested
from tests.test_env import CHEAP, IDS

every_id = pytest.mark.parametrize("name", IDS)
TIMES = count(1.0)


class Timed(StubEvaluator):
    """Each evaluation takes another time, as real ones do."""

    def _evaluation(self, architecture: Architecture) -> Evaluation:
        return Evaluation("ok", 0.5, (0.5,), next(TIMES), 0, "timed", message=architecture.key)


def stubbed(name: str, **arguments: Any) -> gym.Env[Any, Any]:
    env = gym.make(name, **CHEAP[name], **arguments)
    inner = env.unwrapped
    assert isinstance(inner, NASEnv)
    inner.memory = Memory(Timed())
    return env


def assert_same(first: gym.Env[Any, Any], second: gym.Env[Any, Any], steps: int) -> None:
    for _ in range(steps):
        action = first.action_space.sample()
        ours, theirs = first.step(action), second.step(action)
        assert data_equivalence(ours, theirs, exact=True)
        if ours[2]:
            assert data_equivalence(first.reset(seed=1), second.reset(seed=1), exact=True)


@every_id
def test_rollouts_and_copies_are_the_same(name: str) -> None:
    first, second = stubbed(name), stubbed(name)
    first.action_space.seed(0)
    assert data_equivalence(first.reset(seed=0), second.reset(seed=0), exact=True)
    episode = len(first.observation_space.nvec)  # type: ignore[attr-defined]
    assert_same(first, second, episode + 2)
    assert_same(first, pickle.loads(pickle.dumps(first)), episode)
    assert_same(first, copy.deepcopy(first), episode)


@every_id
def test_an_action_outside_the_space_is_refused(name: str) -> None:
    env = stubbed(name)
    env.reset(seed=0)
    number = env.action_space.n  # type: ignore[attr-defined]
    vector = gym.make_vec(name, 2, **CHEAP[name])
    vector.reset(seed=0)
    for action in (-1, int(number), 10**9):
        says = f"from 0 to {number - 1}, got {action}"
        with pytest.raises(gym.error.InvalidAction, match=says):
            env.step(action)
        with pytest.raises(gym.error.InvalidAction, match=says):
            vector.step(np.array([0, action]))
    assert env.step(number - 1)[2] == (env.get_wrapper_attr("decisions") == 1)


@pytest.mark.parametrize("name", sorted(e for f in registered_families() for e in f.environments))
def test_an_unknown_argument_is_a_type_error(name: str) -> None:
    for error in (InvalidSettings, TypeError):
        with pytest.raises(error, match="unexpected keyword argument 'frameskip'"):
            gym.make(name, frameskip=4)


@pytest.mark.parametrize("name", ["nas_gym/NASNet-v0", "nas_gym/TinyBench-v0"])
def test_an_unknown_argument_has_a_remedy(name: str) -> None:
    says = {"observations": "did you mean 'observation'", "seed": "is 'training_seed'"}
    for argument, remedy in {**says, "objectives": "MO-NASNet-v0"}.items():
        arguments: dict[str, Any] = {argument: 4}
        with pytest.raises(InvalidSettings, match=remedy):
            gym.make(name, **arguments)


@every_id
def test_every_render_mode_renders(name: str) -> None:
    for mode in ("ansi", "rgb_array"):
        env = stubbed(name, render_mode=mode)
        env.reset(seed=0)
        before = env.render()
        env.step(0)
        assert type(env.render()) is type(before) is (str if mode == "ansi" else np.ndarray)
        env.close()


@every_id
def test_wrappers_of_gymnasium_fit(name: str) -> None:
    most = min(3, stubbed(name).get_wrapper_attr("decisions"))
    env = gym.wrappers.RecordEpisodeStatistics(stubbed(name, max_episode_steps=most))
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(most)] == [False, False, True][-most:]
    assert env.spec is not None
    assert gym.make(env.spec.id, **CHEAP[name]).observation_space == env.observation_space


@pytest.mark.parametrize("env_id", ["nas_gym/NASNet-v0", "nas_gym/NASBench101-Recorded-v0"])
def test_an_unknown_argument_beside_one_that_cannot_be_written_is_one_line(env_id: str) -> None:
    with pytest.raises(InvalidSettings, match="unexpected keyword argument 'nothing'"):
        gym.make(env_id, nothing=nested(3_000))
