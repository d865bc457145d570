"""Every agent is made with defaults that suit its environment, and acts in all of them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium import spaces
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from examples.rl_zoo import configurations as rl_zoo
from nas_agents.catalogue.agents import MULTI_OBJECTIVE, CannotAct, find_agent
from nas_agents.catalogue.defaults import FOREVER, Plan
from nas_agents.catalogue.environments import registered_search_spaces
from nas_agents.catalogue.registry import AGENTS
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_agents.strategies import Strategy
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import InvalidSettings, NASBench201SearchSpace, NASVectorEnv, SearchSpace
from nas_gym.sb3 import NASVecEnv, VecContinuousAction
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import STUB_ID
from tests.helpers import LayersSearchSpace, StubEvaluator

ANYWHERE = [
    name
    for name, entry in AGENTS.items()
    if not (entry.env_arguments or name in MULTI_OBJECTIVE or find_agent(name).trains_in_parts)
]
"""Those that need no environment of their own kind."""
LEARNERS = [name for name in ANYWHERE if find_agent(name).strategy is None]
ROOT = Path(__file__).parents[3]


def vec_env(search_space: SearchSpace, number: int = 1) -> NASVecEnv:
    return NASVecEnv(NASVectorEnv(search_space, StubEvaluator(), number, autoreset_mode="SameStep"))


def make_agent(
    name: str, env: VecEnv, plan: Plan, given: dict[str, Any] | None = None, wrap: bool = False
) -> BaseAlgorithm:
    agent = find_agent(name)
    return agent.make(env, agent.arguments(plan, given), 0, wrap=wrap)


class EpisodeOver(Exception):
    """The first episode has ended."""


class OneEpisode(VecEnvWrapper):
    """Ends the agent's learning with the first episode."""

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        result = self.venv.step_wait()
        if result[2].any():
            raise EpisodeOver
        return result


SEARCH_SPACES = {**registered_search_spaces(), "conditional": LayersSearchSpace()}


@pytest.mark.parametrize("name", ANYWHERE)
def test_every_agent_acts_in_every_environment(name: str) -> None:
    for search_space in SEARCH_SPACES.values():
        env, plan = vec_env(search_space), Plan(len(search_space.decisions), 10)
        agent = make_agent(name, OneEpisode(env), plan, wrap=True)
        with pytest.raises(EpisodeOver):
            agent.learn(plan.decisions)
        assert env.venv.budget.asked == 1


@pytest.mark.parametrize("name", LEARNERS)
def test_every_agent_updates(name: str) -> None:
    search_space = LayersSearchSpace()
    number = 1 if name == "ars" else 3
    plan = Plan(len(search_space.decisions), 30, number)
    env = vec_env(search_space, number)
    agent = make_agent(name, env, plan, wrap=True)
    before = {key: value.clone() for key, value in agent.policy.state_dict().items()}
    agent.learn(plan.decisions * 24)
    after = agent.policy.state_dict()
    assert any(not value.equal(after[key]) for key, value in before.items())
    assert all(bool(value.isfinite().all()) for value in after.values())


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(("decisions", "number"), [(6, 1), (6, 7), (33, 3), (50, 1), (50, 64)])
def test_defaults_are_of_whole_episodes_and_undiscounted(
    name: str, decisions: int, number: int
) -> None:
    if name in ("ars", "reinforce", "nas"):
        return  # they have no discount, and try whole episodes
    arguments = find_agent(name).arguments(Plan(decisions, 500, number))
    assert arguments["gamma"] == 1.0
    returns = arguments.get("replay_buffer_kwargs", arguments)
    assert returns["n_steps"] % decisions == 0
    assert returns["gamma"] == 1.0
    assert arguments.get("train_freq", decisions) == decisions
    if "batch_size" in arguments and "gae_lambda" in arguments:
        rollout, batch = arguments["n_steps"] * number, arguments["batch_size"]
        assert math.ceil(rollout / batch) == round(rollout / batch)  # and no batch of one decision


def test_exploration_ends_even_where_time_alone_ends_the_search() -> None:
    short, endless = (find_agent("dqn").arguments(Plan(6, episodes)) for episodes in (200, FOREVER))
    assert short["exploration_fraction"] == 0.5
    assert endless["exploration_fraction"] * FOREVER == pytest.approx(1000)
    assert endless["learning_starts"] == 50 * 6


def test_arguments_take_the_place_of_defaults() -> None:
    env = VecContinuousAction(vec_env(NASBench201SearchSpace()))
    given = {"noise_std": 0.25, "learning_rate": 0.5}
    agent = make_agent("td3", env, Plan(6, 100), given)
    assert isinstance(agent, OffPolicyAlgorithm)
    assert agent.learning_rate == 0.5
    assert isinstance(agent.action_noise, NormalActionNoise)
    np.testing.assert_array_equal(agent.action_noise._sigma, np.full(5, 0.25))


@pytest.mark.parametrize(
    ("name", "given", "says"),
    [
        ("ppo", {"ent_coef": "abc"}, "ent_coef: expected a valid number, got 'abc'"),
        ("reinforce", {"ent_coef": "abc"}, "ent_coef: expected a valid number, got 'abc'"),
        ("dqn", {"gradient_steps": "abc"}, "gradient_steps: expected a valid integer, got 'abc'"),
        ("maskable-ppo", {"gamma": True}, "gamma: expected a valid number, got True"),
        ("ppo", {"normalize_advantage": "no"}, "normalize_advantage: expected a valid boolean"),
        ("ppo", {"device": "nowhere"}, "agent: ppo cannot be made with .*nowhere"),
        ("td3", {"noise_std": -1}, "noise_std: expected a number from 0"),
        ("ppo", {"noise_std": 0.1}, "ppo has no argument 'noise_std'"),
        ("dqn", {"noise_std": 0.1}, "dqn has no argument 'noise_std'"),
        ("ppo", {"n_step": 3}, "ppo has no argument 'n_step'; did you mean 'n_steps'"),
        ("nasnet", {"n_stepz": 3}, "nasnet has no argument 'n_stepz'; did you mean 'n_steps'"),
        ("tpe", {"startups": 3}, "tpe has no argument 'startups'; did you mean 'startup'"),
        ("tpe", {"startup": "3"}, "startup: expected a valid integer, got '3'"),
        ("dqn", {"replay_buffer_class": -1}, "replay_buffer_class: expected a subclass of Repl"),
        ("dqn", {"replay_buffer_class": "json.loads"}, "replay_buffer_class: expected a type"),
        ("ppo", {"tensorboard_log": 0}, "tensorboard_log: expected a valid string, got 0"),
        ("ppo", {"tensorboard_log": "sqlite:///x"}, "tensorboard_log: expected a folder here"),
        ("ppo", {"tensorboard_log": "\udc80"}, "tensorboard_log: expected a folder here"),
        ("ppo", {"tensorboard_log": "/dev/null/x"}, "tensorboard_log: expected a folder here"),
        ("ppo", {"tensorboard_log": "x" * 300}, "tensorboard_log: expected a folder here"),
        ("dqn", {"train_freq": 0}, "train_freq: expected a number from 1 to .*, got 0"),
        ("dqn", {"train_freq": (0, "step")}, "train_freq: expected a number from 1 to .*, got 0"),
        ("ars", {"n_delta": -1}, "n_delta: expected a number from 1 to .*, got -1"),
        ("ppo", {"policy": 3}, "policy: expected a valid string or a subclass of .*, got 3"),
        ("ppo", {"policy": "no.Such"}, "policy: no:Such cannot be imported"),
        ("ppo", {"policy": "NoSuch"}, "agent: ppo cannot be made with policy='NoSuch'"),
        ("ppo", {"n_steps": 0}, "n_steps: expected a number from 1 to .*, got 0"),
        ("ppo", {"n_steps": 10**20}, "n_steps: expected a number from 1 to .*, got 1000"),
        ("ppo", {"batch_size": 0}, "batch_size: expected a number from 1 to .*, got 0"),
        ("ppo", {"gamma": "x"}, "gamma: expected a valid number, got 'x'"),
        ("ppo", {"policy_kwargs": 5}, "policy_kwargs: expected a valid dictionary, got 5"),
        ("ppo", {"policy_kwargs": {"x": 5}}, "agent: ppo cannot be made with .*'x': 5"),
        ("ppo", {"learning_rate": -1}, "learning_rate: expected a number from .*, got -1"),
        ("ppo", {"learning_rate": 1e20}, "learning_rate: expected a number from .*, got 1e"),
        ("random", {"seed": 1}, "random has no argument 'seed'"),
    ],
)
def test_arguments_that_would_fail_later_or_be_ignored(
    name: str, given: dict[str, Any], says: str
) -> None:
    env = vec_env(NASBench201SearchSpace())
    with pytest.raises(InvalidSettings, match=says):
        make_agent(name, env, Plan(6, 10), given, wrap=True)


def test_words_stay_allowed_where_the_algorithm_has_them() -> None:
    env = vec_env(NASBench201SearchSpace())
    for value in ("auto_0.1", 0.2):
        agent = make_agent("sac", env, Plan(6, 10), {"ent_coef": value}, wrap=True)
        assert getattr(agent, "ent_coef") == value  # noqa: B009


class Silent(PPO):
    """An agent of the user's own, which says nothing of why it cannot be made."""

    def __init__(self, policy: str, env: Any, odd: int = 1, **arguments: Any) -> None:
        if odd % 2 == 0:
            raise AssertionError
        super().__init__(policy, env, **arguments)


def test_an_error_without_a_text_names_the_arguments() -> None:
    name = "tests.agents.catalogue.test_agents:Silent"
    with pytest.raises(InvalidSettings, match=r"made with .*odd=2: AssertionError"):
        make_agent(name, vec_env(NASBench201SearchSpace()), Plan(6, 10), {"odd": 2})


class NoObserve(Strategy):
    """A strategy of the user's own, of which a method is missing."""

    def propose(self) -> Any:
        """Propose nothing."""


def test_a_strategy_without_arguments_that_cannot_be_made() -> None:
    agent = find_agent("tests.agents.catalogue.test_agents:NoObserve")
    with pytest.raises(InvalidSettings, match=r"NoObserve cannot be made: .*abstract method"):
        agent.make_strategy(NASBench201SearchSpace(), {}, 0)


class NoStart(RandomSearch):
    """A strategy of the user's own, which does not begin as a strategy does."""

    def __init__(self, search_space: Any, seed: int | None = None) -> None:
        self.seed = seed


def test_a_strategy_that_did_not_begin_is_told_how() -> None:
    agent = find_agent("tests.agents.catalogue.test_agents:NoStart")
    with pytest.raises(InvalidSettings, match=r"call super\(\).__init__\(search_space, seed\)"):
        agent.make_strategy(NASBench201SearchSpace(), {}, 0)
    with pytest.raises(InvalidSettings, match=r"call super\(\).__init__\(search_space, seed\)"):
        agent.make(vec_env(NASBench201SearchSpace()), {}, 0)


class MyPPO(PPO):
    """An agent of the user's own, which acts in the environment as it is."""


class MySAC(SAC):
    """An agent of the user's own, which acts in a Box alone."""


class Binary(OnPolicyAlgorithm):
    """An agent that can act in no environment of ours."""

    policy_aliases = PPO.policy_aliases

    def __init__(self, policy: str, env: Any, **arguments: Any) -> None:
        super().__init__(
            policy, env, 1e-3, 4, 1.0, 1.0, 0.0, 0.5, 0.5, False, -1,
            supported_action_spaces=(spaces.MultiBinary,), **arguments,
        )  # fmt: skip


def test_agents_of_the_users_own_are_wrapped_where_they_need_it() -> None:
    plan = Plan(6, 10)
    for path, wrapped in (("MyPPO", False), ("MySAC", True)):
        name = f"tests.agents.catalogue.test_agents:{path}"
        env = vec_env(NASBench201SearchSpace())
        agent = make_agent(name, env, plan, wrap=True)
        assert isinstance(agent.env, VecContinuousAction) is wrapped


@pytest.mark.parametrize("name", ["sac", "td3", "tests.agents.catalogue.test_agents:MySAC"])
def test_an_agent_that_cannot_act_is_told_the_wrapper(name: str) -> None:
    env = vec_env(NASBench201SearchSpace())
    with pytest.raises(CannotAct, match=r"Discrete\(5\).*nas_gym.wrappers.ContinuousAction"):
        make_agent(name, env, Plan(6, 10))


def test_an_agent_that_no_wrapper_helps() -> None:
    name = "tests.agents.catalogue.test_agents:Binary"
    env = vec_env(NASBench201SearchSpace())
    with pytest.raises(CannotAct, match="MultiBinary"):
        make_agent(name, env, Plan(6, 10), wrap=True)


def test_ars_would_design_equal_networks() -> None:
    with pytest.raises(InvalidSettings, match=r"envs: ars .* 8 equal networks; use 1"):
        find_agent("ars").arguments(Plan(6, 10, environments=8))


def test_scores_choose_the_best_valid_choice() -> None:
    env = VecContinuousAction(vec_env(LayersSearchSpace(), 2))
    env.reset()
    observations, *_ = env.step(np.array([[0.1, 0.9, 0.3, 1.0], [0.5, 0.5, -1.0, 1.0]]))
    assert isinstance(observations, np.ndarray)
    assert observations[:, 0].tolist() == [2, 1]  # there is no choice 4; of equal ones, the first
    with pytest.raises(
        InvalidSettings, match="expected Discrete or MultiDiscrete actions, got Box"
    ):
        VecContinuousAction(env)
    with pytest.raises(InvalidSettings, match="no action_masks"):
        VecContinuousAction(DummyVecEnv([lambda: gym.make("CartPole-v1")]))


def test_several_networks_at_a_time(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, "sac", episodes=14, envs=4)
    result = search(settings, tmp_path / "run")
    records = episodes_of(result.run)
    assert len(records) == result.summary["evaluations"]["asked"] == 16
    record = json.loads((result.run / "settings.json").read_text())
    assert record["agent_made_with"]["train_freq"] == 20


@pytest.mark.parametrize("name", [name for name in LEARNERS if rl_zoo.in_zoo(name)])
def test_the_rl_zoo_files_hold_the_same_defaults(name: str) -> None:
    file = ROOT / "examples" / "rl_zoo" / f"{rl_zoo.ZOO_NAMES.get(name, name)}.yml"
    again = "run `python examples/rl_zoo/configurations.py`"
    assert file.read_text(encoding="utf-8") == rl_zoo.configuration(name), again
