"""`nas_gym.sb3`: the vector environment under Stable-Baselines3's agents and callbacks."""

import csv
import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import A2C, DQN, PPO, SAC
from stable_baselines3.common import env_util
from stable_baselines3.common.callbacks import BaseCallback, EvalCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import (
    DummyVecEnv,
    SubprocVecEnv,
    VecEnv,
    VecMonitor,
    VecNormalize,
)

from nas_gym import NASBench201SearchSpace, NASEnv, NASGymError, NASNetSearchSpace, NASVectorEnv
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nas.search_space import NASSearchSpace
from nas_gym.sb3 import (
    NASVecEnv,
    StopOnBudget,
    VecContinuousAction,
    VecWholeArchitecture,
    make_vec_env,
)
from nas_gym.search_spaces import SearchSpace
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
                assert info["evaluation"].keys() - their_info["evaluation"].keys() == {
                    "cached",
                    "seconds",
                }
                info["evaluation"] = {n: info["evaluation"][n] for n in their_info["evaluation"]}
                np.testing.assert_equal(info, their_info)


ATTRIBUTES = (
    "action_space",
    "observation_space",
    "spec",
    "render_mode",
    "metadata",
    "reward_range",
    "decisions",
    "nothing",
    "_nothing",
)
"""What Stable-Baselines3, sb3-contrib and users look up in environments, there or not."""


def both_made(**arguments: Any) -> tuple[VecEnv, VecEnv]:
    """Ours, and Stable-Baselines3's own."""
    env_id, env_kwargs = "nas_gym/NASBench201-v0", CHEAP["nas_gym/NASBench201-v0"]
    given = {"env_id": env_id, "n_envs": 3, "env_kwargs": env_kwargs, **arguments}
    return make_vec_env(**given), env_util.make_vec_env(**given)


def answer(ask: Callable[[], Any]) -> Any:
    """A result, or the type of the error."""
    try:
        return ask()
    except Exception as error:
        return type(error)


@pytest.mark.parametrize("indices", [None, 0, [0, 2], [1]])
def test_it_answers_as_a_dummy_vec_env_does(indices: Any) -> None:
    ours, theirs = both_made()
    for env in (ours, theirs):
        env.reset()
        env.step(np.array([1, 2, 3]))
    assert ours.render_mode == theirs.render_mode == "rgb_array"
    assert ours.metadata == theirs.metadata
    for name in ATTRIBUTES:
        mine, their = (answer(partial(env.get_attr, name, indices)) for env in (ours, theirs))
        np.testing.assert_equal(mine, their, err_msg=name)
        assert ours.has_attr(name) == theirs.has_attr(name)
    for env in (ours, theirs):
        masks = [method() for method in env.get_attr("action_masks", indices)]
        np.testing.assert_array_equal(masks, env.env_method("action_masks", indices=indices))
        wrapped = env.env_method("get_wrapper_attr", "action_masks", indices=indices)
        np.testing.assert_array_equal(masks, [method() for method in wrapped])
        assert all(each.has_wrapper_attr("decisions") for each in env.get_attr("unwrapped"))
    masks, their_masks = (
        each.env_method("action_masks", indices=indices) for each in (ours, theirs)
    )
    np.testing.assert_array_equal(masks, their_masks)
    for kind in (Monitor, gym.Wrapper, ContinuousAction):
        assert ours.env_is_wrapped(kind, indices) == theirs.env_is_wrapped(kind, indices)
    for name in ("nothing", "_nothing"):
        assert answer(partial(ours.env_method, name)) is AttributeError
    np.testing.assert_equal(ours.get_images(), theirs.get_images())
    np.testing.assert_equal(ours.render(), theirs.render())
    assert ours.seed(5) == theirs.seed(5) == [5, 6, 7]
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    np.testing.assert_equal(ours.reset_infos, theirs.reset_infos)
    for env in (ours, theirs):
        env.set_attr("own", 3, indices)
    for one in range(3):
        mine, their = (answer(partial(env.get_attr, "own", one)) for env in (ours, theirs))
        assert mine == their


def test_what_the_episodes_share_is_set_for_all_of_them() -> None:
    env = vec_env(SEARCH_SPACES["conditional"])
    env.reset()
    with pytest.raises(NASGymError, match="reward: the episodes share it"):
        env.set_attr("reward", None, indices=[0, 1])
    env.set_attr("reward", lambda evaluation: 1e-7 / 3)
    for _ in range(4):
        _, rewards, dones, infos = env.step(np.zeros(3, dtype=np.int64))
    assert dones.all()
    assert rewards.tolist() == [np.float32(1e-7 / 3)] * 3
    assert [info["episode"]["r"] for info in infos] == [1e-7 / 3] * 3
    assert env.get_attr("get_episode_rewards")[0]() == [1e-7 / 3]
    for name, arguments in (("step", (0,)), ("reset", ())):
        with pytest.raises(NASGymError, match=rf"lock-step; call their environment's {name}\(\)"):
            env.get_attr("unwrapped")[0].get_wrapper_attr(name)(*arguments)
    env.close()
    with pytest.warns(UserWarning, match="assumes it is `rgb_array`"):
        assert env.get_images() == [None] * 3


def test_options_begin_episodes_with_a_prefix() -> None:
    env = vec_env(SEARCH_SPACES["conditional"], n_envs=2)
    env.set_options({"choices": [2, 1]})
    assert env.reset().tolist() == [[3, 2, 0, 0]] * 2
    env.set_options([{"choices": [2]}, {"choices": [1]}])
    assert env.reset().tolist() == [[3, 0, 0, 0], [2, 0, 0, 0]]
    assert not env.reset().any()
    apart = [{"choices": [2]}, {"choices": [1, 1]}]
    wrong: Any
    for wrong in ({"choice": [2]}, [{"choices": [2]}, {}], apart, {"choices": 2}):
        env.set_options(wrong)
        with pytest.raises(NASGymError, match="options: in lock-step"):
            env.reset()


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
    arguments = CHEAP["nas_gym/NASNet-v0"]
    envs = [make_vec_env("nas_gym/NASNet-v0", 2, seed, env_kwargs=arguments) for seed in (3, 3, 4)]
    assert all(isinstance(env, NASVecEnv) for env in envs)
    assert envs[0].num_envs == 2
    samples = [env.action_space.sample() for env in envs for _ in range(9)]
    assert samples[:9] == samples[9:18] != samples[18:]
    seeds = [env.get_attr("memory")[0].evaluator.settings.seed for env in envs]
    assert len(set(seeds)) == 1  # the children's own seeds do not follow from this one
    mistakes: list[tuple[str, dict[str, Any]]] = [
        ("unexpected keyword argument 'epoch'", {"env_kwargs": {"epoch": 3}}),
        ("n_envs: .* got 0", {"n_envs": 0}),
        ("n_envs: .* from 1 to 1,048,576, got 1000000000000", {"n_envs": 10**12}),
        ("vec_env_kwargs: in lock-step", {"vec_env_kwargs": {"start_method": "fork"}}),
        ("'info_keyword'", {"monitor_kwargs": {"info_keyword": ()}}),
        ("no environment of nas_gym, or it is wrapped", {"env_id": "CartPole-v1"}),
        ("or it is wrapped", {"env_id": lambda: ContinuousAction(gym.make("nas_gym/NASNet-v0"))}),
    ]
    for message, given in mistakes:
        with pytest.raises(NASGymError, match=message):
            make_vec_env(**{"env_id": "nas_gym/NASNet-v0", **given})


@pytest.mark.parametrize("vec_env_cls", [None, DummyVecEnv])
def test_what_an_environment_opened_is_closed_with_it(vec_env_cls: Any) -> None:
    closed: list[NASEnv] = []

    class Opening(NASEnv):
        def close(self) -> None:
            super().close()
            closed.append(self)

    search_space = NASBench201SearchSpace()
    env = make_vec_env(
        lambda: Opening(search_space, RecordedStub(search_space)), 2, vec_env_cls=vec_env_cls
    )
    assert closed == []
    env.close()
    assert closed


def test_a_seed_does_not_change_a_recorded_reward() -> None:
    search_space = NASBench201SearchSpace()
    rewards = []
    for seed in (None, 0, 1):
        env = make_vec_env(lambda: NASEnv(search_space, RecordedStub(search_space)), 2, seed)
        env.reset()
        rewards.append([env.step(np.array([1, 2]))[1].tolist() for _ in range(6)])
    assert rewards[0] == rewards[1] == rewards[2]


def test_its_arguments_are_those_of_stable_baselines3() -> None:
    ours, theirs = inspect.signature(make_vec_env), inspect.signature(env_util.make_vec_env)
    assert list(ours.parameters) == list(theirs.parameters)
    for mine, their in zip(ours.parameters.values(), theirs.parameters.values(), strict=True):
        assert (mine.default, mine.kind) == (their.default, their.kind)


def monitored(path: Path) -> list[tuple[float, str, str]]:
    """Return reward, length and architecture of the episodes in a monitor file."""
    _, *lines = path.read_text().splitlines()
    rows = csv.DictReader(lines)
    return [(round(float(row["r"]), 6), row["l"], row["architecture"]) for row in rows]


@pytest.mark.parametrize("vec_env_cls", [None, DummyVecEnv])
def test_monitor_files_are_those_of_stable_baselines3(tmp_path: Path, vec_env_cls: Any) -> None:
    shared = {"start_index": 4, "monitor_kwargs": {"info_keywords": ("architecture",)}}
    search_space = NASBench201SearchSpace()

    def make() -> NASEnv:
        return NASEnv(search_space, RecordedStub(search_space))

    makers = (partial(make_vec_env, vec_env_cls=vec_env_cls), env_util.make_vec_env)
    for name, maker in zip(("ours", "theirs"), makers, strict=True):
        env = maker(make, 2, monitor_dir=str(tmp_path / name), **shared)  # type: ignore[operator]
        env.reset()
        for _ in range(12):
            env.step(np.array([1, 3]))
        env.close()
    ours, theirs = (sorted((tmp_path / name).iterdir()) for name in ("ours", "theirs"))
    assert [path.name for path in ours] == [path.name for path in theirs]
    assert [path.name for path in ours] == ["4.monitor.csv", "5.monitor.csv"]
    for mine, their in zip(ours, theirs, strict=True):
        rows = [monitored(path) for path in (mine, their)]
        assert rows[0] == rows[1]
        assert len(rows[0]) == 2


@pytest.mark.parametrize(
    ("wrapper_class", "in_lock_step"),
    [
        (None, True),
        (ContinuousAction, True),
        (WholeArchitecture, True),
        (lambda env: ContinuousAction(WholeArchitecture(env)), False),
    ],
)
def test_a_wrapper_class_gives_the_same_trajectories_in_any_vec_env(
    wrapper_class: Any, in_lock_step: bool
) -> None:
    search_space = NASBench201SearchSpace()
    made = []
    for vec_env_cls in (None, DummyVecEnv):
        env = make_vec_env(
            lambda: NASEnv(search_space, RecordedStub(search_space)),
            3,
            wrapper_class=wrapper_class,
            vec_env_cls=vec_env_cls,
        )
        assert len({id(each) for each in env.get_attr("budget")}) == 1
        made.append((env, env.reset()))
    (ours, start), (theirs, their_start) = made
    assert isinstance(ours.unwrapped, NASVecEnv) is in_lock_step
    assert not isinstance(theirs.unwrapped, NASVecEnv)
    np.testing.assert_array_equal(start, their_start)
    assert ours.action_space == theirs.action_space
    ours.action_space.seed(0)
    for _ in range(13):
        actions = np.stack([ours.action_space.sample() for _ in range(3)])
        for mine, their in zip(ours.step(actions)[:3], theirs.step(actions)[:3], strict=True):
            np.testing.assert_array_equal(mine, their)
    assert ours.get_attr("budget")[0] == theirs.get_attr("budget")[0]


class Doubled(NASEnv):
    """An environment whose class changes the step."""

    def step(self, action: Any) -> Any:
        observation, reward, *rest = super().step(action)
        return observation, 2 * reward, *rest


def test_a_step_of_ones_own_is_taken() -> None:
    search_space = NASBench201SearchSpace()
    env = make_vec_env(lambda: Doubled(search_space, RecordedStub(search_space)), 2)
    plain = vec_env(search_space, 2)
    for each in (env, plain):
        each.reset()
    for _ in range(6):
        doubled, single = (each.step(np.array([1, 2]))[1] for each in (env, plain))
    assert doubled.tolist() == (2 * single).tolist()
    assert single.all()


@pytest.mark.parametrize("vec_env_cls", [None, DummyVecEnv])
@pytest.mark.parametrize("stopping", [True, False])
def test_a_budget_ends_learning(vec_env_cls: Any, stopping: bool) -> None:
    stub = StubEvaluator()
    env = make_vec_env(
        lambda **arguments: NASEnv(LayersSearchSpace(), stub, **arguments),
        8,
        env_kwargs={"limits": {"asked": 20}},
        vec_env_cls=vec_env_cls,
    )
    agent = PPO("MlpPolicy", env, n_steps=16, batch_size=64, seed=0, device="cpu")
    agent.learn(1_000, callback=StopOnBudget() if stopping else None)
    assert env.get_attr("budget")[0].asked == 20
    assert (agent.num_timesteps < 128) is stopping
    assert sum(len(batch) for batch in stub.asked) <= 20
    ended = [info["r"] > 0 for info in agent.ep_info_buffer or ()]
    assert ended == sorted(ended, reverse=True)  # the truncated ones are worth 0, and come last


def test_an_evaluation_ends_where_the_budget_does(tmp_path: Path) -> None:
    """`evaluate_policy` counts the episodes that a `Monitor` has seen."""
    single = NASEnv(NASBench201SearchSpace(), StubEvaluator(), limits={"asked": 3})
    env = make_vec_env(
        lambda: single,
        n_envs=2,
        monitor_dir=str(tmp_path),
        monitor_kwargs={"info_keywords": ("architecture",)},
    )
    agent = PPO("MlpPolicy", env, device="cpu")
    rewards, lengths = evaluate_policy(agent, env, 6, return_episode_rewards=True)
    assert isinstance(rewards, list)
    assert [reward > 0 for reward in rewards] == [True, True, True, False, False, False]
    assert lengths == [6, 6, 6, 6, 1, 1]
    env.close()
    assert len((tmp_path / "0.monitor.csv").read_text().splitlines()) == 2 + 3
    exhausted = NASVecEnv(NASVectorEnv.of(single, 2, autoreset_mode="SameStep"))
    exhausted.reset()
    *_, infos = exhausted.step(np.array([0, 0]))
    assert [(info["episode"]["r"], info["episode"]["l"]) for info in infos] == [(0.0, 1)] * 2


def test_a_whole_architecture_beyond_the_budget_is_truncated() -> None:
    search_space = LayersSearchSpace()
    limited = vec_env(search_space, 3, limits={"asked": 4})
    env = VecWholeArchitecture(limited)
    actions = np.array([[0, 1, 0, 0], [0, 2, 0, 0], [0, 3, 0, 0]])
    ends = []
    for _ in range(3):
        _, rewards, dones, infos = env.step(actions)
        assert dones.all()
        ends.append([info["TimeLimit.truncated"] for info in infos])
        assert ["evaluation" in info for info in infos] == [not end for end in ends[-1]]
        assert (rewards[np.array(ends[-1])] == 0).all()
        decided = [bool(info["terminal_observation"].all()) for info in infos]
        assert decided == [bool(info["terminal_observation"].any()) for info in infos]
        assert decided == [not end for end in ends[-1]]
    assert ends == [[False] * 3, [False, True, True], [True] * 3]
    assert limited.venv.budget.asked == 4


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_scores_on_top_of_whole_architectures(name: str) -> None:
    """The order in which the single wrappers compose."""
    search_space = SEARCH_SPACES[name]
    ours = VecContinuousAction(VecWholeArchitecture(vec_env(search_space)))
    shared = Memory(RecordedStub(search_space))
    theirs = DummyVecEnv(
        [lambda: ContinuousAction(WholeArchitecture(Monitor(NASEnv(search_space, shared))))] * 3
    )
    assert ours.action_space == theirs.action_space
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    ours.action_space.seed(0)
    for _ in range(5):
        scores = np.stack([ours.action_space.sample() for _ in range(3)])
        *arrays, infos = ours.step(scores)
        *their_arrays, their_infos = theirs.step(scores)
        for mine, their in zip(arrays, their_arrays, strict=True):
            np.testing.assert_array_equal(mine, their)
        for info, their_info in zip(infos, their_infos, strict=True):
            assert info["architecture"] == their_info["architecture"]


def test_wrappers_of_lock_step_say_what_they_take() -> None:
    inner = vec_env(NASBench201SearchSpace(), 2)
    cartpole = DummyVecEnv([lambda: gym.make("CartPole-v1")])
    wrong: Any
    for wrong in (inner.venv, VecContinuousAction(inner), cartpole):
        with pytest.raises(NASGymError, match=r"VecWholeArchitecture: expected a NASVecEnv, got "):
            VecWholeArchitecture(wrong)
    for wrong in (inner.venv, 3):
        with pytest.raises(NASGymError, match="VecContinuousAction: expected a VecEnv, got "):
            VecContinuousAction(wrong)
    with pytest.raises(NASGymError, match="venv: expected a NASVectorEnv, got "):
        NASVecEnv(inner)  # type: ignore[arg-type]
    whole = VecWholeArchitecture(inner)
    whole.set_options({"choices": [1]})
    with pytest.raises(NASGymError, match=r"options: an action makes all choices; got \["):
        whole.reset()
    for actions in (np.ones((2, 5)), np.ones((2, 6)), np.ones((1, 6), np.int64), "2", 1.9):
        with pytest.raises(gym.error.InvalidAction, match=r"integers of shape \(2, 6\), got shape"):
            whole.step(actions)  # type: ignore[arg-type]


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
        inner = NASVecEnv(venv)
        env: VecEnv = VecWholeArchitecture(inner) if whole else inner
        env.reset()
        depths: list[int] = []
        while len(depths) < 4:
            size = (2, venv.decisions) if whole else 2
            *_, infos = env.step(np.ones(size, dtype=np.int64))
            texts = [info["architecture"] for info in infos if "architecture" in info]
            depths += [text.count("filter_height") for text in texts]
        assert depths == [2, 2, 3, 3]


@pytest.mark.parametrize("wrapper_class", [None, ContinuousAction, WholeArchitecture])
def test_one_hot_codes_in_any_vec_env(wrapper_class: Any) -> None:
    given: dict[str, Any] = {"env_kwargs": {"observation": "one-hot"}}
    given["wrapper_class"] = wrapper_class
    kinds = (None, DummyVecEnv)
    made = [make_vec_env("nas_gym/TinyBench-v0", 2, **given, vec_env_cls=kind) for kind in kinds]
    made[0].action_space.seed(0)
    ours, theirs = (np.asarray(env.reset()) for env in made)
    for _ in range(7):
        np.testing.assert_array_equal(ours, theirs)
        assert ours.shape == (2, 36)
        assert ours.dtype == theirs.dtype == np.float32
        actions = np.stack([made[0].action_space.sample() for _ in range(2)])
        mine, their = (env.step(actions) for env in made)
        ours, theirs = np.asarray(mine[0]), np.asarray(their[0])
        for info, other in zip(mine[3], their[3], strict=True):
            if "terminal_observation" in info:
                last = other["terminal_observation"]
                np.testing.assert_array_equal(info["terminal_observation"], last)
    with pytest.raises(NASGymError, match="info: Stable-Baselines3's VecEnv has 'records'"):
        make_vec_env("nas_gym/TinyBench-v0", env_kwargs={"info": "numbers"})


@pytest.mark.parametrize("name", SEARCH_SPACES)
def test_whole_architectures_are_what_the_wrapper_makes_of_them(name: str) -> None:
    search_space = SEARCH_SPACES[name]
    inner = vec_env(search_space)
    ours = VecWholeArchitecture(inner)
    shared = Memory(RecordedStub(search_space))
    theirs = DummyVecEnv([lambda: WholeArchitecture(Monitor(NASEnv(search_space, shared)))] * 3)
    assert ours.action_space == theirs.action_space
    np.testing.assert_array_equal(ours.reset(), theirs.reset())
    np.testing.assert_array_equal(get_action_masks(ours), get_action_masks(theirs))
    rng = np.random.default_rng(0)
    for _ in range(5):
        actions = rng.integers(search_space.num_choices, size=(3, inner.venv.decisions))
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
    assert inner.venv.budget == shared.budget
