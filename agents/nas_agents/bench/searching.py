"""Makes one search of a benchmark, and returns what it found at which expense."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

import nas_gym
from nas_agents.bench.settings import Search
from nas_agents.catalogue.agents import Agent, find_agent
from nas_agents.catalogue.automatic import suited_agent
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.environments import make_environment
from nas_agents.catalogue.registry import AUTO
from nas_agents.controllers.asynchronous import check_batches
from nas_agents.drivers.asynchronous import within
from nas_agents.drivers.lock_step import learning
from nas_agents.runs.progress import MOST_REPEATS
from nas_agents.search.evaluators import check_limits, planned_episodes
from nas_gym import Memory, NASEnv, NASVectorEnv
from nas_gym.envs.composition import trains_children
from nas_gym.errors import require
from nas_gym.objectives import Objectives
from nas_gym.sb3 import NASVecEnv


@lru_cache(maxsize=8)
def environment(env_id: str, arguments: str) -> NASEnv:
    """Return the environment of arguments in JSON, made once a process."""
    env = make_environment(env_id, json.loads(arguments))
    check_limits(env)
    one = f"take the id without MO-, {env_id.replace('/MO-', '/')!r}, or leave objectives out"
    require(not isinstance(env.reward, Objectives), f"reward: {env_id!r} has several; {one}")
    evaluator = env.memory.evaluator
    changes = getattr(evaluator, "changes", False)
    require(
        not (trains_children(evaluator) or changes),
        f"environment: {env_id!r} trains children, and a benchmark looks them up; use a recorded "
        "one (`nas-gym envs`), or compare searches by `nas-gym compare`",
    )
    return env


def environment_of(search: Search) -> NASEnv:
    """Return the environment of a search."""
    return environment(search.env_id, json.dumps(search.env_arguments, sort_keys=True))


def plan_of(search: Search) -> Plan:
    """Return the plan that the agent's defaults follow from."""
    env = environment_of(search)
    if search.budget == "simulated-seconds":
        return Plan(env.decisions, planned_episodes(env, search.limit), search.envs)
    return Plan(env.decisions, max(1, round(search.limit)), search.envs)


def resolved(search: Search) -> Search:
    """Return the search with its agent's name and all arguments that it is made with."""
    plan, name = plan_of(search), search.agent
    if name == AUTO:
        name = suited_agent(environment_of(search), plan.episodes, envs=search.envs, workers=1)
    agent = find_agent(name)
    counts = f"agent: {search.agent!r} trains children in parts, and a benchmark counts whole ones"
    require(not agent.trains_in_parts, f"{counts}; use `nas-gym search`")
    agent.check_reward(environment_of(search).reward)
    needs = agent.entry.env_arguments
    require(not needs, f"agent: {search.agent!r} needs an environment of {dict(needs)}")
    arguments = agent.arguments(plan, search.agent_arguments)
    return replace(search, agent=name, agent_arguments=arguments)


class BudgetSpent(Exception):
    """Raised within an agent's step."""


class Meter:
    """Counts what a search spends, and keeps each network that was better than all before it."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.best: list[list[Any]] = []
        """[spent, evaluations, reward, choices] at each improvement."""
        self.rewards: list[float] = []
        self.spent = 0.0
        self.evaluations = self._repeats = 0

    def add(self, choices: NDArray[np.int64], reward: float, made: Mapping[str, Any]) -> None:
        """Count the evaluation of a network, given by its choices, (T,).

        Raises:
            BudgetSpent: this was the last, or it exceeds the budget and does not count.
            InvalidSettings: the reward is not finite, so nobody could read it again.
        """
        says = f"reward: network {len(self.rewards) + 1} has {reward}; expected finite numbers"
        require(math.isfinite(reward), says)
        free = made["cached"] and not self.search.pay_repeats
        cost = made["seconds"] if self.search.budget == "simulated-seconds" else 1.0
        spent = self.spent + (0.0 if free else cost)
        if spent > self.search.limit:
            raise BudgetSpent
        self._repeats = self._repeats + 1 if spent == self.spent else 0
        self.spent = spent
        self.evaluations += not free
        self.rewards.append(reward)
        if not self.best or reward > self.best[-1][2]:
            self.best.append([spent, self.evaluations, float(reward), choices.tolist()])
        if spent == self.search.limit or self._repeats == MOST_REPEATS:
            raise BudgetSpent

    def record(self) -> dict[str, Any]:
        """Return what the search found, as plain JSON data."""
        last = self.rewards[-max(1, len(self.rewards) // 5) :]
        return {
            "best": self.best,
            "asked": len(self.rewards),
            "evaluations": self.evaluations,
            "spent": self.spent,
            "last_fifth": sum(last) / len(last) if last else None,
        }


def run_search(search: Search) -> dict[str, Any]:
    """Make a `resolved` search; return it with its result, a line of a benchmark's folder."""
    started = time.process_time()
    agent, env, meter = find_agent(search.agent), environment_of(search), Meter(search)
    parts = (env.search_space, Memory(env.memory.evaluator), env.reward)
    fresh = NASEnv(*parts, observation=env.observation)
    with suppress(BudgetSpent):
        if agent.strategy is not None:
            _propose(agent, fresh, meter)
        else:
            _learn(agent, fresh, meter)
    return {
        **search.to_dict(),
        **meter.record(),
        "fingerprint": fingerprint(search),
        "nas_gym": nas_gym.__version__,
        "cpu_seconds": round(time.process_time() - started, 3),
    }


def fingerprint(search: Search) -> str | None:
    """Return the digest of the record in which a search looks up."""
    found: str | None = getattr(environment_of(search).memory.evaluator, "fingerprint", None)
    return found


def _propose(agent: Agent, env: NASEnv, meter: Meter) -> None:
    """Search with a strategy, without end; the meter ends it."""
    search = meter.search
    strategy = agent.make_strategy(env.search_space, search.agent_arguments, search.seed)
    memory = env.memory
    strategy.prepare(env.reward, memory)
    while True:
        stage = env.search_space.stage(memory.budget.asked)
        proposal = strategy.proposal()
        choices = proposal if stage is env.search_space else within(stage, proposal)
        evaluation = memory.evaluate_choices(stage, choices[np.newaxis])[0]
        reward = float(env.reward(evaluation))
        meter.add(choices, reward, vars(evaluation))
        strategy.observe_evaluation(proposal, reward, vars(evaluation))


class Metered(VecEnvWrapper):
    """Hands the episodes of N environments in lock-step to a meter."""

    def __init__(self, venv: NASVecEnv, meter: Meter) -> None:
        super().__init__(venv)
        self._meter, self._vector = meter, venv.venv

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        for index in np.flatnonzero(dones):
            info, finished = infos[index], self._vector.finished
            assert finished is not None
            self._meter.add(finished.choices[index], info["episode"]["r"], info["evaluation"])
        return observations, rewards, dones, infos


def _learn(agent: Agent, env: NASEnv, meter: Meter) -> None:
    """Search with a Stable-Baselines3 algorithm, without end; the meter ends it."""
    search, plan = meter.search, plan_of(meter.search)
    vector = NASVectorEnv.of(env, search.envs, autoreset_mode="SameStep")
    vec_env = Metered(NASVecEnv(vector), meter)
    algorithm = agent.make(vec_env, search.agent_arguments, search.seed, wrap=True)
    for _ in learning(algorithm, plan.episodes * plan.decisions, plan.decisions):
        pass


def check_search(search: Search) -> None:
    """Make the environments and the agent of a search once, so that what is wrong shows early."""
    agent, env = find_agent(search.agent), environment_of(search)
    if agent.strategy is not None:
        agent.make_strategy(env.search_space, search.agent_arguments, search.seed)
        return
    vector = NASVectorEnv.of(env, search.envs, autoreset_mode="SameStep")
    check_batches(agent.make(NASVecEnv(vector), search.agent_arguments, search.seed, wrap=True))
