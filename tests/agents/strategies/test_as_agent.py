"""A strategy as a Stable-Baselines3 algorithm, in every kind of environment."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.evaluation import evaluate_policy
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from nas_agents.catalogue.agents import MULTI_OBJECTIVE, CannotAct, find_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.strategies import Strategy
from nas_agents.strategies.as_agent import StrategyAgent
from nas_agents.strategies.random_search import RandomSearch
from nas_agents.strategies.regularized_evolution import RegularizedEvolution
from nas_gym import Architecture, InvalidSettings, NASEnv, NASSearchSpace, NASVectorEnv, SearchSpace
from nas_gym.sb3 import NASVecEnv, StopOnBudget, make_vec_env
from nas_gym.search_spaces import Choices
from nas_gym.wrappers import WholeArchitecture
from tests.agents.strategies.test_base import STRATEGIES
from tests.helpers import LayersSearchSpace, RecordedStub, StubEvaluator

EPISODES = 12
DECISIONS = 4
SMALL = {"population": 5, "sample": 2}


class Diary(Strategy):
    """Draws at random, and keeps what it proposed and what it heard."""

    def __init__(self, search_space: SearchSpace, seed: int | None = None) -> None:
        super().__init__(search_space, seed)
        self.proposed: list[list[int]] = []
        self.heard: list[tuple[list[int], float]] = []

    def propose(self) -> Choices:
        choices = self.sample()
        self.proposed.append(choices.tolist())
        return choices

    def observe(self, choices: Choices, reward: float) -> None:
        self.heard.append((choices.tolist(), reward))


def single(**arguments: Any) -> NASEnv:
    return NASEnv(LayersSearchSpace(), StubEvaluator(), **arguments)


def whole() -> gym.Env[Any, Any]:
    return WholeArchitecture(single())


def lock_step(number: int = 3) -> NASVecEnv:
    return NASVecEnv(
        NASVectorEnv(LayersSearchSpace(), StubEvaluator(), number, autoreset_mode="SameStep")
    )


ENVIRONMENTS: dict[str, Callable[[], Any]] = {
    "one": single,
    "monitored": lambda: Monitor(single()),
    "lock-step": lock_step,
    "dummy": lambda: DummyVecEnv([single] * 3),
    "whole": whole,
    "whole, three": lambda: DummyVecEnv([whole] * 3),
    "one-hot": lambda: single(observation="one-hot"),
}


def agent_in(env: Any, strategy: type[Strategy] = Diary, **arguments: Any) -> StrategyAgent:
    return StrategyAgent(strategy, env, seed=0, **arguments)


def diary(agent: StrategyAgent) -> Diary:
    assert isinstance(agent.strategy, Diary)
    return agent.strategy


def worth(choices: list[int]) -> float:
    evaluation = StubEvaluator().evaluate([LayersSearchSpace().decode(choices)])[0]
    return evaluation.accuracy


def steps(env: Any, episodes: int) -> int:
    """How many time steps so many episodes take."""
    return episodes if "Multi" in str(env.action_space) else episodes * DECISIONS


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_every_proposal_is_played_and_its_reward_handed_back(name: str) -> None:
    env = ENVIRONMENTS[name]()
    agent = agent_in(env).learn(steps(env, EPISODES))
    assert agent.num_timesteps == steps(env, EPISODES)
    strategy = diary(agent)
    assert len(strategy.heard) == EPISODES
    assert strategy.proposed == [choices for choices, _ in strategy.heard]
    for choices, reward in strategy.heard:
        assert reward == pytest.approx(worth(choices))


@pytest.mark.parametrize("number", [1, 3])
def test_proposals_do_not_depend_on_the_kind_of_environment(number: int) -> None:
    kinds = [lock_step(number), DummyVecEnv([single] * number), DummyVecEnv([whole] * number)]
    diaries = [diary(agent_in(env).learn(steps(env, EPISODES))) for env in kinds]
    for other in diaries[1:]:
        assert other.proposed == diaries[0].proposed


def test_environments_in_processes_of_their_own() -> None:
    env = SubprocVecEnv([single] * 2)
    try:
        agent = agent_in(env).learn(EPISODES * DECISIONS)
    finally:
        env.close()
    assert diary(agent).proposed == diary(agent_in(lock_step(2)).learn(48)).proposed
    assert len(diary(agent).heard) == EPISODES


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_it_predicts_the_best_that_it_found(name: str, tmp_path: Path) -> None:
    env = ENVIRONMENTS[name]()
    agent = agent_in(env).learn(steps(env, EPISODES))
    best = max(diary(agent).heard, key=lambda each: each[1])
    agent.save(tmp_path / "agent")
    for each in (agent, StrategyAgent.load(tmp_path / "agent")):
        vec_env = agent.get_env()
        assert vec_env is not None
        mean, deviation = evaluate_policy(each, vec_env, n_eval_episodes=3, warn=False)
        assert mean == pytest.approx(best[1])
        assert deviation == pytest.approx(0, abs=1e-9)


def test_before_it_has_found_any_it_predicts_the_first_choices() -> None:
    env = single()
    agent = agent_in(env)
    observation, _ = env.reset()
    ended = False
    while not ended:
        action, _ = agent.predict(observation)
        observation, _, ended, _, info = env.step(int(action))
    assert Architecture.from_json(info["architecture"]) == LayersSearchSpace().decode([0, 1, 0, 0])


@pytest.mark.parametrize("played", [16, 18])
def test_a_saved_search_goes_on_as_if_it_had_not_ended(played: int, tmp_path: Path) -> None:
    """Also in the middle of an episode, which is then played again."""
    together = agent_in(single(), RegularizedEvolution, arguments=SMALL).learn(80)
    apart = agent_in(single(), RegularizedEvolution, arguments=SMALL).learn(played)
    apart.save(tmp_path / "agent")
    loaded = StrategyAgent.load(tmp_path / "agent", env=single())
    loaded.learn(80 - played // DECISIONS * DECISIONS, reset_num_timesteps=False)
    assert isinstance(together.strategy, RegularizedEvolution)
    assert isinstance(loaded.strategy, RegularizedEvolution)
    for one, other in zip(together.strategy.population, loaded.strategy.population, strict=True):
        assert one[0] == other[0]
        np.testing.assert_array_equal(one[1], other[1])


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name not in MULTI_OBJECTIVE])
def test_every_strategy_is_saved_and_loaded(name: str, tmp_path: Path) -> None:
    found = find_agent(name)
    agent = found.make(lock_step(), found.arguments(Plan(DECISIONS, 100)), 2)
    agent.learn(3 * DECISIONS * 8).save(tmp_path / "agent")
    loaded = StrategyAgent.load(tmp_path / "agent", env=lock_step())
    assert isinstance(agent, StrategyAgent)
    for _ in range(20):
        proposals = [each.strategy.propose() for each in (agent, loaded)]
        np.testing.assert_array_equal(proposals[0], proposals[1])
        for each in (agent, loaded):
            each.strategy.observe(proposals[0], float(proposals[0].sum()))


def test_learning_can_be_continued() -> None:
    agent = agent_in(lock_step())
    agent.learn(18).learn(18, reset_num_timesteps=False)  # one and a half rounds each
    strategy = diary(agent)
    assert len(strategy.proposed) == len(strategy.heard) == 9
    agent.learn(12)
    assert len(strategy.heard) == 12


def test_a_callback_ends_it_and_sees_the_episodes() -> None:
    class Stop(BaseCallback):
        rewards: list[float]

        def _on_step(self) -> bool:
            if self.locals["dones"].any():
                self.rewards = self.locals["rewards"].tolist()
            return self.n_calls < 8

    callback = Stop()
    agent = agent_in(lock_step()).learn(1000, callback=callback)
    assert agent.num_timesteps == 24
    assert callback.rewards == pytest.approx([reward for _, reward in diary(agent).heard[-3:]])


def test_it_logs(capsys: pytest.CaptureFixture[str]) -> None:
    agent_in(single(), verbose=1).learn(20 * DECISIONS)
    printed = capsys.readouterr().out
    assert printed.count("best_reward") == 2
    assert "ep_rew_mean" in printed


def test_an_episode_that_was_truncated_has_no_reward() -> None:
    shared = single()

    def spending() -> gym.Env[Any, Any]:
        return NASEnv(shared.search_space, shared.memory, limits={"asked": 1})

    agent = agent_in(DummyVecEnv([spending, spending])).learn(100, callback=StopOnBudget())
    assert agent.num_timesteps < 100
    strategy = diary(agent)
    assert len(strategy.proposed) > len(strategy.heard) == 1


def test_a_strategy_hears_its_own_proposal_where_the_search_space_has_not_grown_yet() -> None:
    """NAS's depth schedule: what is proposed beyond the depth has no effect, as in any agent."""
    stub = StubEvaluator()
    env = NASEnv(NASSearchSpace(3, depth_schedule=(1, 1, 4)), stub)
    strategy = diary(agent_in(env).learn(12 * env.decisions))
    assert strategy.proposed == [choices for choices, _ in strategy.heard]
    depths = [len(each.body()["layers"]) for asked in stub.asked for each in asked]
    assert depths == sorted(depths)
    assert set(depths) == {1, 2, 3}


def test_rewards_that_do_not_suit_a_strategy_are_refused() -> None:
    vectors = make_vec_env("nas_gym/MO-TinyBench-v0")
    with pytest.raises(InvalidSettings, match=r"Diary learns from numbers, .* are vectors; ids"):
        agent_in(vectors)
    with pytest.raises(InvalidSettings, match=r"Several learns from vectors, .* are numbers; ids"):
        agent_in(single(), type("Several", (Diary,), {"multi_objective": True}))
    agent_in(vectors, RandomSearch).learn(6)
    with pytest.raises(InvalidSettings, match="strategy, env: give both"):
        StrategyAgent(Diary)


def test_what_it_cannot_act_in() -> None:
    with pytest.raises(InvalidSettings, match="no environment of nas_gym"):
        agent_in(gym.make("CartPole-v1"))
    random = find_agent("random")
    pendulum: VecEnv = DummyVecEnv([partial(gym.make, "Pendulum-v1")])
    with pytest.raises(CannotAct, match="random cannot act in this environment"):
        random.make(pendulum, {}, 0)
    with pytest.raises(InvalidSettings, match="random has no argument 'colour'"):
        random.make(lock_step(), {"colour": "red"}, 0)


def test_names_of_ones_own() -> None:
    agent = find_agent("tests.agents.strategies.test_as_agent:Diary").make(lock_step(), {}, 0)
    assert isinstance(agent, StrategyAgent)
    assert isinstance(agent.strategy, Diary)
    with pytest.raises(InvalidSettings, match="no Stable-Baselines3 algorithm and no Strategy"):
        find_agent("tests.agents.strategies.test_as_agent:SMALL")


def test_recorded_rewards_reach_the_strategy() -> None:
    search_space = LayersSearchSpace()
    env = NASVecEnv(
        NASVectorEnv(search_space, RecordedStub(search_space), 5, autoreset_mode="SameStep")
    )
    strategy = diary(agent_in(env).learn(5 * DECISIONS))
    stub = RecordedStub(search_space)
    for choices, reward in strategy.heard:
        assert reward == pytest.approx(stub.evaluation(sum(choices)).accuracy)
