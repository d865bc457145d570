"""The wrappers: what they change, what they refuse, and that they compose."""

import doctest
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from hypothesis import given
from hypothesis import strategies as st
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3

from nas_gym import NASBench201SearchSpace, NASEnv, NASGymError, NASNetSearchSpace, wrappers
from nas_gym.evaluation.budget import Limits
from nas_gym.evaluation.memory import Memory
from nas_gym.sb3 import StopOnBudget
from nas_gym.wrappers import (
    MASK_PRESETS,
    ContinuousAction,
    MaskInObservation,
    WholeArchitecture,
)
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator, nested

SEARCH_SPACES = {"NASNet": NASNetSearchSpace(2), "conditional": LayersSearchSpace()}
every_search_space = pytest.mark.parametrize("name", SEARCH_SPACES)
Wrap = Callable[[gym.Env[Any, Any]], gym.Env[Any, Any]]
WRAPS: dict[str, Wrap] = {
    "ContinuousAction": ContinuousAction,
    "WholeArchitecture": WholeArchitecture,
    "MaskInObservation": lambda env: MaskInObservation(env, "pettingzoo"),
    "scores of a whole architecture": lambda env: ContinuousAction(WholeArchitecture(env)),
}


def stub_env(name: str = "NASNet", **arguments: Any) -> NASEnv:
    return NASEnv(SEARCH_SPACES[name], StubEvaluator(), **arguments)


@every_search_space
@pytest.mark.parametrize("wrap", WRAPS)
def test_checkers_pass(wrap: str, name: str) -> None:
    env = WRAPS[wrap](stub_env(name, render_mode="rgb_array"))
    with pytest.warns(UserWarning, match="different from the unwrapped version"):
        check_env(env, skip_render_check=True)
    check_env_for_sb3(env, warn=False)


@pytest.mark.parametrize("wrap", ["ContinuousAction", "WholeArchitecture", "MaskInObservation"])
def test_wrapped_environments_are_made_again_from_their_spec(wrap: str) -> None:
    env = WRAPS[wrap](gym.make("nas_gym/NASBench201-v0", device="cpu"))
    assert env.spec is not None
    again = gym.make(env.spec)
    assert type(again) is type(env)
    assert again.spec == env.spec
    limited = gym.make("nas_gym/NASBench201-v0", limits={"made": 3})
    assert limited.spec is not None
    assert gym.make(limited.spec).get_wrapper_attr("limits") == Limits(made=3)


def test_doctests() -> None:
    result = doctest.testmod(wrappers, optionflags=doctest.IGNORE_EXCEPTION_DETAIL)
    assert result.attempted > 10
    assert result.failed == 0


@every_search_space
def test_the_best_valid_choice_is_taken(name: str) -> None:
    env = ContinuousAction(stub_env(name))
    number = SEARCH_SPACES[name].num_actions
    assert env.action_space == gym.spaces.Box(-1, 1, (number,), np.float32)
    rng = np.random.default_rng(0)
    for _ in range(5):
        env.reset()
        terminated, step = False, 0
        while not terminated:
            mask = env.get_wrapper_attr("action_masks")()
            scores = rng.uniform(-1, 1, number).astype(np.float32)
            observation, _, terminated, _, info = env.step(scores)
            best = max(np.flatnonzero(mask), key=lambda choice: scores[choice])
            assert observation[step] == best + 1
            assert not info["invalid_action"]
            step += 1


def test_of_equal_scores_the_first_valid_one_wins() -> None:
    env = ContinuousAction(stub_env("conditional"))
    env.reset()
    assert env.step(np.zeros(4, dtype=np.float32))[0][0] == 1
    assert env.step(np.ones(4, dtype=np.float32))[0][1] == 2  # "none" is not valid here


@given(name=st.sampled_from(sorted(SEARCH_SPACES)), seed=st.integers(0, 2**32 - 1))
def test_a_whole_architecture_is_the_episode_of_its_choices(name: str, seed: int) -> None:
    env, single = WholeArchitecture(stub_env(name)), stub_env(name)
    env.action_space.seed(seed)
    action = np.asarray(env.action_space.sample())
    start, _ = env.reset(seed=0)
    assert not start.any()
    observation, reward, terminated, truncated, info = env.step(action)
    single.reset(seed=0)
    steps = [single.step(choice) for choice in action]
    np.testing.assert_array_equal(observation, steps[-1][0])
    assert (reward, terminated, truncated) == (steps[-1][1], True, False)
    assert info["architecture"] == steps[-1][4]["architecture"]
    assert info["evaluation"] == steps[-1][4]["evaluation"]
    assert info["invalid_action"] is any(step[4]["invalid_action"] for step in steps)
    if name == "NASNet":
        assert not info["invalid_action"]


@every_search_space
def test_masks_of_a_whole_architecture_allow_all(name: str) -> None:
    env = WholeArchitecture(stub_env(name))
    sizes = SEARCH_SPACES[name].num_choices
    _, info = env.reset()
    assert env.action_masks().tolist() == [True] * sum(sizes)
    assert [len(mask) for mask in info["action_mask"]] == list(sizes)
    assert env.action_space.sample(info["action_mask"]) in env.action_space


def test_scores_of_a_whole_architecture() -> None:
    env = ContinuousAction(WholeArchitecture(stub_env("conditional")))
    assert env.action_space.shape == (3 + 4 * 3,)
    env.reset()
    scores = np.full(15, -1.0, dtype=np.float32)
    scores[[1, 3 + 2, 7 + 3, 11 + 1]] = 1.0  # depth 2, of widths 16 and 32; no third layer
    observation, _, terminated, _, info = env.step(scores)
    assert terminated
    assert observation.tolist() == [2, 3, 4, 1]
    assert info["invalid_action"]


@pytest.mark.parametrize("preset", MASK_PRESETS)
@every_search_space
def test_masks_in_observations_are_those_of_the_environment(name: str, preset: str) -> None:
    env = MaskInObservation(stub_env(name), preset)
    single = stub_env(name)
    first, second, dtype = MASK_PRESETS[preset]
    observed, (plain, info) = env.reset(seed=0)[0], single.reset(seed=0)
    terminated = False
    while not terminated:
        assert observed in env.observation_space
        assert set(observed) == {first, second}
        np.testing.assert_array_equal(observed[first], plain)
        np.testing.assert_array_equal(observed[second], info["action_mask"])
        assert observed[second].dtype == dtype
        observed, *_ = env.step(1)
        plain, _, terminated, _, info = single.step(1)


def episode(env: gym.Env[Any, Any], action: int) -> tuple[float, bool, bool, dict[str, Any]]:
    env.reset()
    ended = False
    while not ended:
        _, reward, terminated, truncated, info = env.step(action)
        ended = terminated or truncated
    return float(reward), terminated, truncated, info


@pytest.mark.parametrize(
    ("limits", "episodes"),
    [
        ({"asked": 3}, [0, 0, 0]),
        ({"made": 2}, [0, 0, 0, 1]),
        ({"seconds": 10}, [0, 1, 2]),  # 0.5, 6.5 and 12.5
        ({"asked": 9, "made": 1}, [4]),
    ],
)
def test_the_network_that_spends_the_budget_is_the_last(
    limits: dict[str, float], episodes: list[int]
) -> None:
    search_space = NASBench201SearchSpace()
    env = NASEnv(search_space, RecordedStub(search_space), limits=limits)
    for number, action in enumerate(episodes, start=1):
        _, terminated, truncated, info = episode(env, action)
        assert (terminated, truncated) == (True, False)
        assert "evaluation" in info
        assert info["budget_exhausted"] is (number == len(episodes))
    _, info = env.reset()
    assert info["budget_exhausted"]
    spent = env.get_wrapper_attr("budget").asked
    for _ in range(2):
        observation, reward, terminated, truncated, info = env.step(0)
        assert not observation.any()
        assert (reward, terminated, truncated) == (0.0, False, True)
        assert info["budget_exhausted"]
        assert info["action_mask"].all()
        env.reset()
    assert env.get_wrapper_attr("budget").asked == spent


def test_an_episode_under_way_is_truncated_when_others_spend_the_budget() -> None:
    shared = Memory(StubEvaluator())
    one, other = (NASEnv(SEARCH_SPACES["NASNet"], shared, limits={"asked": 1}) for _ in "12")
    one.reset()
    before, *_ = one.step(1)
    assert episode(other, 0)[3]["budget_exhausted"]
    observation, reward, terminated, truncated, info = one.step(1)
    np.testing.assert_array_equal(observation, before)
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert info["budget_exhausted"]
    assert "action_mask" in info
    assert "evaluation" not in info
    one.reset()
    assert one.step(1)[3]
    assert shared.budget.asked == 1


@pytest.mark.parametrize(
    "wrong", [[1] * 9, [1] * 11, "2", 1.9, [0.0] * 10, [[1] * 10], [[1], [1, 2]], None, ["1"] * 10]
)
def test_a_whole_architecture_takes_all_its_choices_and_nothing_else(wrong: Any) -> None:
    stub = StubEvaluator()
    env = WholeArchitecture(NASEnv(NASNetSearchSpace(1), stub))
    env.reset()
    with pytest.raises(gym.error.InvalidAction, match=r"expected integers of shape \(10,\), got "):
        env.step(wrong)
    assert not stub.asked
    assert env.step([1] * 10)[2]  # type: ignore[arg-type]


def test_a_whole_architecture_takes_no_prefix() -> None:
    env = WholeArchitecture(stub_env("conditional"))
    with pytest.raises(NASGymError, match="options: an action makes all choices; got"):
        env.reset(options={"choices": [0]})
    env.reset(options={})


def test_a_whole_architecture_has_a_vector_reward() -> None:
    objectives = ["accuracy", "-parameters"]
    inner = gym.make("nas_gym/MO-TinyBench-v0", objectives=objectives)
    assert isinstance(inner.unwrapped, NASEnv)
    env = WholeArchitecture(inner)
    env.reset()
    reward: Any = env.step(np.array([3, 3, 1, 3, 2, 3]))[1]
    assert reward in inner.unwrapped.reward_space


def test_a_spent_budget_truncates_a_whole_architecture() -> None:
    env = WholeArchitecture(stub_env("conditional", limits={"made": 1}))
    env.reset()
    assert env.step(np.array([0, 1, 0, 0]))[2:4] == (True, False)
    env.reset()
    observation, reward, terminated, truncated, info = env.step(np.array([2, 1, 1, 1]))
    assert (reward, terminated, truncated) == (0.0, False, True)
    assert not observation.any()  # the first decision is not made
    assert info["budget_exhausted"]


def test_an_agent_learns_to_the_end_of_its_budget() -> None:
    stub = StubEvaluator()
    env = NASEnv(SEARCH_SPACES["conditional"], stub, limits={"asked": 20})
    PPO("MlpPolicy", env, n_steps=64, batch_size=64, seed=0, device="cpu").learn(512)
    assert env.get_wrapper_attr("budget").asked == 20
    stopping = NASEnv(SEARCH_SPACES["conditional"], stub, limits={"asked": 20})
    agent = PPO("MlpPolicy", stopping, n_steps=16, batch_size=16, seed=0, device="cpu")
    agent.learn(10_000, callback=StopOnBudget())
    assert agent.num_timesteps == 4 * 20
    assert stopping.get_wrapper_attr("budget").asked == 20


@pytest.mark.parametrize(
    ("wrap", "message"),
    [
        (lambda: ContinuousAction(gym.make("CartPole-v1")), r"has no action_masks\(\)"),
        (lambda: ContinuousAction(ContinuousAction(stub_env())), "expected Discrete or Multi"),
        (lambda: WholeArchitecture(gym.make("CartPole-v1")), "is no environment of nas_gym"),
        (lambda: WholeArchitecture(ContinuousAction(stub_env())), "in it first"),
        (lambda: MaskInObservation(gym.make("CartPole-v1"), "rllib"), r"has no action_masks\(\)"),
        (lambda: MaskInObservation(stub_env(), "torch"), "preset: 'torch' .* mean 'torchrl'"),
        (lambda: stub_env(limits={}), "limits: .*give at least one of asked, made, seconds"),
        (lambda: stub_env(limits={"asked": 0}), "asked: .* greater than or equal to 1, got 0"),
        (lambda: stub_env(limits={"seconds": float("nan")}), "seconds: .* got nan"),
        (lambda: stub_env(limits={"asked": nested(3_000)}), r"asked: .* got \[\["),
        (lambda: stub_env(limits={"made": "3"}), "made: .* got '3'"),
        (lambda: stub_env(limits={"evaluations": 3}), "limits: 'evaluations' is not known"),
        (lambda: stub_env(limits=3), "limits: expected an object .* got 3"),
    ],
)
def test_mistakes_are_refused(wrap: Callable[[], Any], message: str) -> None:
    with pytest.raises(NASGymError, match=message):
        wrap()


@pytest.mark.parametrize("action", ["a", None, [0.1, 0.2], ["a"] * 5, {}, 10**400])
def test_scores_that_are_none_are_one_clear_error(action: Any) -> None:
    env = ContinuousAction(gym.make("nas_gym/TinyBench-v0"))
    env.reset(seed=0)
    with pytest.raises(NASGymError, match="action: expected 5 scores, got"):
        env.step(action)
