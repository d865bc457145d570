"""Makes the agents that ``--agent`` names."""

from __future__ import annotations

import importlib
import inspect
import math
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.catalogue.entries import AGENTS, AgentEntry, Plan, none
from nas_agents.strategies import Strategy
from nas_agents.strategies.as_agent import StrategyAgent
from nas_gym import SearchSpace
from nas_gym.errors import InvalidSettings, choices_hint, require, require_number, require_truth
from nas_gym.sb3 import VecContinuousAction


class CannotAct(InvalidSettings):
    """The agent does not support the environment's action space."""


def agent_entry(name: str) -> AgentEntry:
    """The agent of that name, or of the form ``module:Class``.

    Raises:
        InvalidSettings: there is none.
    """
    if name in AGENTS:
        return AGENTS[name]
    if ":" in name:
        return AgentEntry(name, none)
    hint = choices_hint(name, (*AGENTS, "module:Class"))
    raise InvalidSettings(f"agent: {name!r} is not known; {hint}")


def load_algorithm(entry: AgentEntry) -> type[BaseAlgorithm]:
    """The algorithm's class; that of a `Strategy` is `StrategyAgent`.

    Raises:
        InvalidSettings: it cannot be imported, or is neither a Stable-Baselines3 algorithm nor a
            `Strategy`.
    """
    return StrategyAgent if load_strategy(entry) else _load(entry)


def load_strategy(entry: AgentEntry) -> type[Strategy] | None:
    """The strategy's class; None if the agent is a Stable-Baselines3 algorithm.

    Raises:
        InvalidSettings: as `load_algorithm`.
    """
    found = _load(entry)
    return found if issubclass(found, Strategy) else None


def _load(entry: AgentEntry) -> type[Any]:
    """The class that an entry names."""
    module, _, name = entry.path.partition(":")
    found = _attribute(module, name)
    if not (isinstance(found, type) and issubclass(found, (BaseAlgorithm, Strategy))):
        raise InvalidSettings(
            f"agent: {entry.path!r} is no Stable-Baselines3 algorithm and no Strategy"
        )
    return found


def agent_arguments(
    name: str, plan: Plan, given: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """What an agent is made with, as plain data: our defaults, and what takes their place.

    Args:
        name: One of `AGENTS`, or ``module:Class``.
        plan: What the defaults follow from.
        given: Arguments of the algorithm, or of the strategy. ``policy`` is one of an algorithm's
            own names for policies, or ``module.Class``, as ``replay_buffer_class`` is;
            ``noise_std`` stands for an
            ``action_noise``: the standard deviation of normal noise on the actions.

    Raises:
        InvalidSettings: the agent is not known, or the plan does not suit it.
    """
    entry = agent_entry(name)
    arguments = {**entry.defaults(plan), **(given or {})}
    if load_strategy(entry):
        return arguments
    policy = next(iter(load_algorithm(entry).policy_aliases), "MlpPolicy")
    return {"policy": policy, **arguments}


def make_agent(
    name: str,
    env: VecEnv,
    arguments: Mapping[str, Any],
    seed: int,
    tensorboard_log: str | None = None,
    wrap: bool = False,
) -> BaseAlgorithm:
    """The agent, ready to learn in ``env``.

    Args:
        name: One of `AGENTS`, or ``module:Class``.
        env: The environments it acts in.
        arguments: What `agent_arguments` gives.
        seed: Of the agent's own draws.
        tensorboard_log: The folder of its TensorBoard logs.
        wrap: Whether an agent that acts through scores is given `VecContinuousAction`.

    Raises:
        CannotAct: the agent does not support the environment's action space.
        InvalidSettings: the agent is not known, or refuses its arguments.
    """
    common = {"seed": seed, "tensorboard_log": tensorboard_log, "device": "cpu", "verbose": 0}
    strategy = load_strategy(agent_entry(name))
    if strategy is not None:
        return _made(name, env, {**common, "strategy": strategy, "arguments": arguments})
    if wrap and agent_entry(name).continuous:
        return _made(name, VecContinuousAction(env), {**common, **arguments})
    try:
        return _made(name, env, {**common, **arguments})
    except CannotAct:
        if not wrap:
            raise
        return _made(name, VecContinuousAction(env), {**common, **arguments})


def make_strategy(
    name: str, search_space: SearchSpace, arguments: Mapping[str, Any], seed: int
) -> Strategy:
    """The strategy behind an agent, for searches that need no environment.

    Args:
        name: One of `AGENTS`, or ``module:Class``.
        search_space: Whose sequences of choices it proposes.
        arguments: What `agent_arguments` gives.
        seed: Of its draws.

    Raises:
        InvalidSettings: the agent is not known, is no strategy, or refuses its arguments.
    """
    strategy = load_strategy(agent_entry(name))
    if strategy is None:
        raise InvalidSettings(
            f"agent: {name} decides step by step, and is no strategy; use one of "
            "'random', 'regularized-evolution', or another Strategy"
        )
    try:
        return strategy(search_space, seed, **arguments)
    except (TypeError, ValueError) as error:
        raise InvalidSettings(f"agent: {name} cannot be made: {error}") from error


def _made(name: str, env: VecEnv, arguments: Mapping[str, Any]) -> BaseAlgorithm:
    """The agent in just this environment."""
    algorithm = load_algorithm(agent_entry(name))
    try:
        _check(inspect.signature(algorithm).parameters, arguments)
        return algorithm(env=env, **_objects(arguments, env.action_space))
    except (TypeError, ValueError, AssertionError, RuntimeError) as error:
        if "as action spaces but" in str(error):  # as BaseAlgorithm says it
            raise CannotAct(_remedy(name, env.action_space, str(error))) from error
        raise InvalidSettings(f"agent: {name} cannot be made: {error}") from error


def _check(parameters: Mapping[str, inspect.Parameter], arguments: Mapping[str, Any]) -> None:
    """Raises `InvalidSettings` for what an algorithm would take, and fail of later or ignore."""
    for argument, value in arguments.items():
        default = parameters[argument].default if argument in parameters else None
        if isinstance(default, bool):
            require_truth(argument, value)
        elif isinstance(default, int | float) and isinstance(value, str | bool):
            raise InvalidSettings(f"{argument}: expected a number, got {value!r}")
    if arguments.get("noise_std") is not None:
        require("action_noise" in parameters, "noise_std: it adds no noise to its actions")
        require_number("noise_std", arguments["noise_std"], 0, math.inf)


def _objects(arguments: Mapping[str, Any], action_space: spaces.Space[Any]) -> dict[str, Any]:
    """The arguments with objects in the place of the plain data that stands for them."""
    made = deepcopy(dict(arguments))  # QRDQN, for one, adds to its policy_kwargs
    for argument in ("policy", "replay_buffer_class"):
        path = made.get(argument)
        if isinstance(path, str) and "." in path:
            module, _, name = path.rpartition(".")
            made[argument] = _attribute(module, name)
    deviation = made.pop("noise_std", None)
    if deviation is not None and isinstance(action_space, spaces.Box):
        zeros = np.zeros(action_space.shape)
        made["action_noise"] = NormalActionNoise(zeros, zeros + deviation)
    return made


def _attribute(module: str, name: str) -> Any:
    """What a module has under a name."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(f"agent: {module}:{name} cannot be imported: {error}") from error


def _remedy(name: str, action_space: spaces.Space[Any], error: str) -> str:
    """Which wrapper lets an agent act that does not support the action space."""
    text = f"agent: {name} cannot act in this environment, whose actions are {action_space}"
    if "Box" in error.partition("as action spaces but")[0]:
        return (
            f"{text}: it acts in a Box; wrap the environment in nas_gym.wrappers.ContinuousAction, "
            "or a NASVecEnv in nas_gym.sb3.VecContinuousAction"
        )
    return f"{text}: {error}"
