"""`Agent`: what ``--agent`` names, looked up once, and ready to be made."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import HumanOutputFormat, KVWriter, Logger
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.catalogue.arguments import as_objects, check_arguments, imported, parameters_of
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.registry import AGENTS, AUTO, AgentEntry
from nas_agents.controllers.random_weights import VecRandomWeights
from nas_agents.controllers.ranked_reward import VecRankedReward
from nas_agents.controllers.sharing.shared_weights import SHARING
from nas_agents.strategies import MultiFidelity, Strategy
from nas_agents.strategies.as_agent import StrategyAgent
from nas_agents.strategies.base import begun
from nas_gym import Objectives, SearchSpace
from nas_gym.errors import InvalidSettings, require
from nas_gym.rewards import AnyReward
from nas_gym.sb3 import VecContinuousAction
from nas_gym.settings import require_known

OWN = ("env", "_init_setup_model", "search_space")
"""Arguments of constructors that no user gives."""
MULTI_OBJECTIVE = ("nsga2", "conditioned-ppo")
"""Agents that take vector rewards."""
BOX = (
    "it acts in a Box; wrap the environment in nas_gym.wrappers.ContinuousAction, or a NASVecEnv "
    "in nas_gym.sb3.VecContinuousAction"
)


class CannotAct(InvalidSettings):
    """The agent does not support the environment's action space."""


def find_agent(name: str) -> Agent:
    """Return the agent of a name in `AGENTS`, or of the form ``module:Class``."""
    require(name != AUTO, f"agent: {AUTO!r} stands for what a search chooses; name an agent here")
    if ":" not in name:
        require_known([name], (AUTO, *AGENTS, "module:Class"), "agent: ")
    entry = AGENTS.get(name, AgentEntry(name))
    found = imported("agent", *entry.path.split(":", 1))
    if isinstance(found, type) and issubclass(found, Strategy):
        return Agent(name, entry, StrategyAgent, found)
    if isinstance(found, type) and issubclass(found, BaseAlgorithm):
        return Agent(name, entry, found)
    raise InvalidSettings(
        f"agent: {entry.path!r} is no Stable-Baselines3 algorithm and no Strategy"
    )


@dataclass(frozen=True)
class Agent:
    """An algorithm with the defaults that suit a search."""

    name: str
    """Its name in `AGENTS`, or ``module:Class``."""
    entry: AgentEntry
    algorithm: type[BaseAlgorithm]
    """The algorithm's class; `StrategyAgent` for a strategy."""
    strategy: type[Strategy] | None = None
    """The strategy's class, if the agent is one."""

    @property
    def trains_in_parts(self) -> bool:
        """True if it trains children, which another agent proposes, part by part."""
        return self.strategy is not None and issubclass(self.strategy, MultiFidelity)

    def check_reward(self, reward: AnyReward) -> None:
        """Raise `InvalidSettings` if the agent cannot learn from such rewards.

        Only agents for several objectives take vectors; random search takes any reward.
        """
        for_vectors = self.entry.conditioned or getattr(self.strategy, "multi_objective", False)
        vector, any_reward = isinstance(reward, Objectives), self.name == "random"
        names = ", ".join(repr(name) for name in MULTI_OBJECTIVE)
        require(
            any_reward or for_vectors or not vector,
            f"agent: {self.name} learns from a number, and the reward of this environment is a "
            f"vector; use {names} or 'random', or the environment without MO- in its id",
        )
        require(
            any_reward or vector or not for_vectors,
            f"agent: {self.name} is for several objectives, and the reward of this environment is "
            "a number; use its id with MO-, such as nas_gym/MO-NASNet-v0",
        )

    def env_arguments(self, env_id: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return an environment's arguments, with those that the agent needs."""
        arguments = {**self.entry.env_arguments, **given}
        shares = self.entry.env_arguments and arguments["evaluator"] == "weight-sharing"
        if shares and env_id.startswith("nas_gym/") and env_id not in SHARING:
            raise InvalidSettings(
                f"environment: the agent {self.name!r} needs children that share weights, and "
                f"those of {env_id!r} cannot; use one of {', '.join(SHARING)}, or another agent"
            )
        return arguments

    def arguments(self, plan: Plan, given: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return what the agent is made with, as plain data: its defaults, replaced by ``given``.

        ``given`` are arguments of the algorithm, or of the strategy. ``policy`` is one of the
        algorithm's own names of policies, or ``module.Class``, as ``replay_buffer_class`` is;
        ``noise_std`` stands for an ``action_noise``: the standard deviation of normal noise on the
        actions. An agent that trains children in parts has a ``proposer``, an agent's name
        ("random"), and ``proposer_arguments``, what that one is made with.
        """
        arguments = {**self.entry.defaults(plan), **(given or {})}
        if self.trains_in_parts:
            arguments = {"proposer": "random", "proposer_arguments": {}, **arguments}
            proposer = find_agent(str(arguments["proposer"]))
            of_proposer = arguments["proposer_arguments"]
            says = "proposer_arguments: expected an object of arguments"
            require(isinstance(of_proposer, Mapping), f"{says}, got {of_proposer!r}")
            arguments["proposer_arguments"] = proposer.arguments(plan, of_proposer)
        if self.strategy is not None:
            return arguments
        return {"policy": next(iter(self.algorithm.policy_aliases), "MlpPolicy"), **arguments}

    def make(
        self, env: VecEnv, arguments: Mapping[str, Any], seed: int, wrap: bool = False
    ) -> BaseAlgorithm:
        """Make the agent, ready to learn in ``env``; `CannotAct` if it cannot act there.

        ``arguments`` are the result of `arguments`. With ``wrap``, it acts through
        `VecContinuousAction` where it needs a Box of actions.
        """
        made: type[Any] = self.algorithm
        own = arguments
        if self.strategy is not None:
            made, own = self.strategy, {"strategy": self.strategy, "arguments": arguments}
        self._check(made, arguments)
        common = {"seed": seed, "tensorboard_log": None, "device": "cpu", "verbose": 0}
        given = {**common, **own}
        if self.entry.conditioned:
            env = VecRandomWeights(env, seed)
        if self.entry.ranked:
            env = VecRankedReward(env)
        if wrap and self.entry.continuous:
            return self._made(VecContinuousAction(env), given, arguments)
        try:
            return self._made(env, given, arguments)
        except CannotAct:
            if not wrap or self.strategy is not None:
                raise
            return self._made(VecContinuousAction(env), given, arguments)

    def make_strategy(
        self, search_space: SearchSpace, arguments: Mapping[str, Any], seed: int
    ) -> Strategy:
        """Make the strategy behind the agent, for searches that need no environment; see `make`."""
        if self.strategy is None:
            raise InvalidSettings(
                f"agent: {self.name} decides step by step, and is no strategy; use one of "
                "'random', 'regularized-evolution', or another Strategy"
            )
        self._check(self.strategy, arguments)
        try:
            made = self.strategy(search_space, seed, **arguments)
        except Exception as error:
            raise self._refused(error, arguments) from error
        return begun(made)

    def _check(self, made: type[Any], arguments: Mapping[str, Any]) -> None:
        hidden = (*OWN, "seed") if self.strategy is not None else OWN
        parameters = {n: kind for n, kind in parameters_of(made).items() if n not in hidden}
        check_arguments(parameters, arguments, f"agent: {self.name} has no argument")

    def _made(
        self, env: VecEnv, given: Mapping[str, Any], arguments: Mapping[str, Any]
    ) -> BaseAlgorithm:
        """Make the agent in just this environment."""
        try:
            made = self.algorithm(env=env, **as_objects(given, env.action_space))
        except Exception as error:
            supported, unsupported, _ = str(error).partition("as action spaces but")
            if not unsupported:  # BaseAlgorithm says it so
                raise self._refused(error, arguments) from error
            remedy = BOX if "Box" in supported else str(error)
            raise CannotAct(
                f"agent: {self.name} cannot act in this environment, whose actions are "
                f"{env.action_space}: {remedy}"
            ) from error
        if given["tensorboard_log"] is None:  # the default logger makes a folder for nothing
            shown: list[KVWriter] = [HumanOutputFormat(sys.stdout)] if given["verbose"] else []
            made.set_logger(Logger(None, shown))
        return made

    def _refused(self, error: Exception, arguments: Mapping[str, Any]) -> InvalidSettings:
        """Return the error that says with which arguments an agent cannot be made, and why.

        Those that the algorithm's own error names are named; if it names none, all are.
        """
        if isinstance(error, InvalidSettings):
            return error
        why = str(error) or type(error).__name__
        named = {name: arguments[name] for name in arguments if name in why} or arguments
        values = ", ".join(f"{name}={value!r}" for name, value in named.items())
        made = f"made with {values}" if values else "made"
        return InvalidSettings(f"agent: {self.name} cannot be {made}: {why}")
