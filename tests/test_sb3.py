"""`nas_gym.sb3`: the vector environment under Stable-Baselines3's agents and callbacks."""

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, SAC
from stable_baselines3.common import env_util
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecMonitor,
    VecNormalize,
)

from nas_gym import NASBench201SearchSpace, NASEnv, NASGymError, NASNetSearchSpace, NASVectorEnv
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nas.search_space import NASSearchSpace
from nas_gym.sb3 import NASVecEnv, VecWholeArchitecture, make_vec_env
from nas_gym.search_spaces import SearchSpace
from nas_gym.training.trainer import Trainer
from nas_gym.wrappers import ContinuousAction, WholeArchitecture
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator
from tests.test_env import CHEAP

SEARCH_SPACES = {"NASBench201": NASBench201SearchSpace(), "conditional": LayersSearchSpace()}


def vec_env(search_space: SearchSpace, n_envs: int = 3, **arguments: Any) -> NASVecEnv:
    stub = RecordedStub(search_space)
    return NASVecEnv(
        NASVectorEnv(search_space, stub, n_envs, autoreset_mode="SameStep", **arguments)
    )


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_it_does_what_monitored_environments_in_a_dummy_vec_env_do(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    ours = vec_env(search_space)
    shared = Memory(RecordedStub(search_space))
    theirs = DummyVecEnv([lambda: Monitor(NASEnv(search_space, shared))] * 3)
    assert ours.observation_space == theirs.observation_space
    assert ours.action_space == theirs.action_space
    assert is_masking_supported(ours)
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    rng = np.random.default_rng(0)
    for step in range(1, 3 * ours.venv.decisions + 1):
        np.testing.assert_array_equal(get_action_masks(ours), get_action_masks(theirs))
        actions = rng.integers(search_space.num_actions, size=3)
        *arrays, infos = ours.step(actions)
        *their_arrays, their_infos = theirs.step(actions)
        for mine, their in zip(arrays, their_arrays, strict=True):
            assert np.asarray(mine).dtype == np.asarray(their).dtype
            np.testing.assert_array_equal(mine, their)
        for info, their_info in zip(infos, their_infos, strict=True):
            their_info.pop("action_mask")
            their_info.pop("invalid_action")
            if step % ours.venv.decisions:
                assert info == {}
            else:
                seconds = info["episode"].pop("t"), their_info["episode"].pop("t")
                assert min(seconds) >= 0
                exact = info["episode"]["r"]
                info["episode"]["r"] = round(exact, 6)  # as Monitor does
                np.testing.assert_equal(info, their_info)


def test_the_parts_that_agents_and_callbacks_ask_for() -> None:
    env = vec_env(SEARCH_SPACES["conditional"], render_mode="rgb_array")
    env.reset()
    assert env.env_is_wrapped(Monitor) == [True] * 3
    assert env.env_is_wrapped(gym.Wrapper, indices=[0]) == [False]
    assert env.get_attr("decisions", indices=[0, 2]) == [4, 4]
    assert not env.has_attr("nothing")
    assert len(env.env_method("action_masks", indices=1)) == 1
    with pytest.raises(AttributeError):
        env.env_method("nothing")
    env.set_attr("reward", lambda evaluation: 1e-7 / 3)
    for _ in range(4):
        _, rewards, dones, infos = env.step(np.zeros(3, dtype=np.int64))
    assert dones.all()
    assert rewards.tolist() == [np.float32(1e-7 / 3)] * 3
    assert [info["episode"]["r"] for info in infos] == [1e-7 / 3] * 3
    assert [image.shape for image in env.get_images() if image is not None] == [
        env.venv.render()[0].shape  # type: ignore[index]
    ] * 3
    env.close()
    assert vec_env(SEARCH_SPACES["conditional"]).get_images() == [None] * 3


class CountEpisodes(BaseCallback):
    """What a callback sees at the end of episodes."""

    def __init__(self) -> None:
        super().__init__()
        self.rewards: list[float] = []

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "episode" in info:
                assert info["evaluation"]["accuracy"] == pytest.approx(
                    info["episode"]["r"], abs=1e-6
                )
                self.rewards.append(info["episode"]["r"])
        return True


def test_maskable_ppo_learns_with_callbacks(tmp_path: Path) -> None:
    env = vec_env(NASBench201SearchSpace(), n_envs=16)
    episodes = CountEpisodes()
    evaluation = EvalCallback(
        vec_env(NASBench201SearchSpace(), n_envs=1), eval_freq=96, verbose=0, n_eval_episodes=2
    )
    settings = {"n_steps": 12, "batch_size": 48, "learning_rate": 3e-3, "n_epochs": 6}
    agent = MaskablePPO(
        "MlpPolicy",
        env,
        gamma=1.0,
        gae_lambda=1.0,
        seed=0,
        device="cpu",
        **settings,  # type: ignore[arg-type]
    )
    agent.learn(16 * 6 * 40, callback=[episodes])
    assert len(episodes.rewards) == 16 * 40
    first, last = np.mean(episodes.rewards[:128]), np.mean(episodes.rewards[-128:])
    assert last > first + 0.1, (first, last)  # uniform choices stay at ``first``, about 0.38
    agent.learn(192, callback=evaluation)
    rewards, lengths = evaluate_policy(
        agent, vec_env(NASBench201SearchSpace(), 2), 4, return_episode_rewards=True
    )
    assert lengths == [6] * 4
    assert np.mean(rewards) > first


@pytest.mark.parametrize("algorithm", [A2C, DQN])
def test_agents_that_know_no_masks_act(algorithm: Any) -> None:
    env = vec_env(LayersSearchSpace())
    agent = algorithm(
        "MlpPolicy",
        env,
        seed=0,
        device="cpu",
        **({"learning_starts": 12, "buffer_size": 100} if algorithm is DQN else {}),
    )
    agent.learn(60)
    assert env.venv.budget.asked >= 15


def test_vec_normalize_and_vec_monitor_work_on_top(tmp_path: Path) -> None:
    file = tmp_path / "monitor.csv"
    inner = vec_env(NASBench201SearchSpace())
    with pytest.warns(UserWarning, match="already wrapped with a `Monitor`"):
        monitored = VecMonitor(inner, str(file))
    env = VecNormalize(monitored, norm_obs=False)
    env.reset()
    for _ in range(12):
        _, rewards, dones, infos = env.step(np.array([1, 2, 3]))
    assert dones.all()
    assert np.isfinite(rewards).all()
    assert all(info["episode"]["l"] == 6 for info in infos)
    original = [info["episode"]["r"] for info in infos]
    np.testing.assert_allclose(env.get_original_reward(), original, atol=1e-6)
    env.close()
    assert len(file.read_text().splitlines()) == 2 + 6


def test_make_vec_env_makes_registered_environments() -> None:
    env = make_vec_env(
        "nas_gym/NASNet-v0", n_envs=2, seed=5, training_seed=3, **CHEAP["nas_gym/NASNet-v0"]
    )
    assert isinstance(env.venv, NASVectorEnv)
    assert env.num_envs == 2
    again = make_vec_env(
        "nas_gym/NASNet-v0", n_envs=2, seed=5, training_seed=3, **CHEAP["nas_gym/NASNet-v0"]
    )
    assert env.action_space.sample() == again.action_space.sample()
    trainer = env.venv.memory.evaluator
    assert isinstance(trainer, Trainer)
    assert trainer.settings.seed == 3  # what children's own seeds follow from
    for message, arguments in [
        ("autoreset_mode: .*'SameStep' only", {"autoreset_mode": "NextStep"}),
        ("'epoch' is not an argument", {"epoch": 3}),
        ("num_envs: .* got 0", {"n_envs": 0}),
    ]:
        with pytest.raises(NASGymError, match=message):
            make_vec_env("nas_gym/NASNet-v0", **arguments)  # type: ignore[arg-type]


def test_another_autoreset_mode_is_refused() -> None:
    with pytest.raises(NASGymError, match="needs 'SameStep'"):
        NASVecEnv(NASVectorEnv(NASNetSearchSpace(1), StubEvaluator(), 2))


@pytest.mark.parametrize("vec_env_cls", [DummyVecEnv, SubprocVecEnv])
def test_stable_baselines3s_own_make_vec_env_works_too(vec_env_cls: Any) -> None:
    arguments = CHEAP["nas_gym/NASBench201-v0"]
    env = env_util.make_vec_env(
        "nas_gym:nas_gym/NASBench201-v0", 1, 0, env_kwargs=arguments, vec_env_cls=vec_env_cls
    )
    assert get_action_masks(env).shape == (1, 5)
    env.reset()
    for _ in range(6):
        _, rewards, dones, infos = env.step(np.array([3]))
    assert dones.all()
    assert [info["episode"]["l"] for info in infos] == [6]
    assert ((rewards > 0) & (rewards < 1)).all()
    env.close()


def test_sac_acts_through_continuous_actions() -> None:
    search_space = NASBench201SearchSpace()
    env = env_util.make_vec_env(
        lambda: NASEnv(search_space, RecordedStub(search_space)), 2, wrapper_class=ContinuousAction
    )
    SAC("MlpPolicy", env, learning_starts=12, buffer_size=100, seed=0, device="cpu").learn(36)
    assert [budget.asked for budget in env.get_attr("budget")] == [3, 3]


def test_the_architecture_is_of_the_stage_that_its_episode_was_in() -> None:
    """NAS's depth schedule: two layers at first, three after the first two networks."""
    search_space = NASSearchSpace(3, depth_schedule=[2, 1, 2])
    for whole in (False, True):
        venv = NASVectorEnv(search_space, StubEvaluator(), 2, autoreset_mode="SameStep")
        env = VecWholeArchitecture(venv) if whole else NASVecEnv(venv)
        env.reset()
        depths: list[int] = []
        while len(depths) < 4:
            size = (2, venv.decisions) if whole else 2
            *_, infos = env.step(np.ones(size, dtype=np.int64))
            texts = [info["architecture"] for info in infos if "architecture" in info]
            depths += [text.count("filter_height") for text in texts]
        assert depths == [2, 2, 3, 3]


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_whole_architectures_are_what_the_wrapper_makes_of_them(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    ours = VecWholeArchitecture(vec_env(search_space).venv)
    shared = Memory(RecordedStub(search_space))
    theirs = DummyVecEnv([lambda: WholeArchitecture(Monitor(NASEnv(search_space, shared)))] * 3)
    assert ours.action_space == theirs.action_space
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    np.testing.assert_array_equal(get_action_masks(ours), get_action_masks(theirs))
    rng = np.random.default_rng(0)
    for _ in range(5):
        actions = rng.integers(search_space.num_choices, size=(3, ours.venv.decisions))
        *arrays, infos = ours.step(actions)
        *their_arrays, their_infos = theirs.step(actions)
        for mine, their in zip(arrays, their_arrays, strict=True):
            assert np.asarray(mine).dtype == np.asarray(their).dtype
            np.testing.assert_array_equal(mine, their)
        for info, their_info in zip(infos, their_infos, strict=True):
            assert info["architecture"] == their_info["architecture"]
            assert info["evaluation"]["accuracy"] == their_info["evaluation"]["accuracy"]
            np.testing.assert_array_equal(
                info["terminal_observation"], their_info["terminal_observation"]
            )
    assert ours.venv.budget == shared.budget
