"""The agents that ``--agent`` names, with defaults that suit a reward at the end of an episode."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import VecEnv

from nas_gym.errors import InvalidSettings, choices_hint


@dataclass(frozen=True)
class AgentEntry:
    """Where an algorithm is, and its defaults for episodes of T decisions in N environments."""

    path: str
    defaults: Callable[[int, int], dict[str, Any]]


def _ppo(decisions: int, environments: int) -> dict[str, Any]:
    """Updates after ten architectures; NASNet's controller did after twenty."""
    episodes = max(1, 10 // environments)
    return {
        "n_steps": episodes * decisions,
        "batch_size": episodes * decisions * environments // 2,
        "n_epochs": 8,
        "learning_rate": 1e-3,
        "ent_coef": 0.01,
        **_TERMINAL_REWARD,
    }


def _a2c(decisions: int, environments: int) -> dict[str, Any]:
    """Updates after five architectures."""
    episodes = max(1, 5 // environments)
    return {
        "n_steps": episodes * decisions,
        "learning_rate": 1e-3,
        "ent_coef": 0.01,
        **_TERMINAL_REWARD,
    }


_TERMINAL_REWARD = {"gamma": 1.0, "gae_lambda": 1.0}
"""The whole reward comes with the last decision, and every decision had its part in it."""

AGENTS = {
    "ppo": AgentEntry("stable_baselines3:PPO", _ppo),
    "maskable-ppo": AgentEntry("sb3_contrib:MaskablePPO", _ppo),
    "a2c": AgentEntry("stable_baselines3:A2C", _a2c),
    "random": AgentEntry(
        "nas_agents.random_search:RandomSearch", lambda decisions, environments: {}
    ),
}


def agent_entry(name: str) -> AgentEntry:
    """The agent of that name, or of the form ``module:Class``.

    Raises:
        InvalidSettings: there is none.
    """
    if name in AGENTS:
        return AGENTS[name]
    if ":" in name:
        return AgentEntry(name, lambda decisions, environments: {})
    hint = choices_hint(name, (*AGENTS, "module:Class"))
    raise InvalidSettings(f"agent: {name!r} is not known; {hint}")


def load_algorithm(entry: AgentEntry) -> type[BaseAlgorithm]:
    """The algorithm's class.

    Raises:
        InvalidSettings: it cannot be imported, or is no Stable-Baselines3 algorithm.
    """
    module_name, _, class_name = entry.path.partition(":")
    try:
        algorithm = getattr(importlib.import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(f"agent: {entry.path!r} cannot be imported: {error}") from error
    if not (isinstance(algorithm, type) and issubclass(algorithm, BaseAlgorithm)):
        raise InvalidSettings(f"agent: {entry.path!r} is no Stable-Baselines3 algorithm")
    return algorithm


def make_agent(
    name: str,
    env: VecEnv,
    decisions: int,
    seed: int,
    tensorboard_log: str | None = None,
    arguments: Mapping[str, Any] | None = None,
) -> BaseAlgorithm:
    """The agent, ready to learn in ``env``, whose episodes have so many decisions.

    Args:
        name: One of `AGENTS`, or ``module:Class``.
        env: The environments it acts in.
        decisions: T, the length of an episode.
        seed: Of the agent's own draws.
        tensorboard_log: The folder of its TensorBoard logs.
        arguments: Arguments of the algorithm that take the place of our defaults.

    Raises:
        InvalidSettings: the agent is not known, or refuses its arguments.
    """
    entry = agent_entry(name)
    algorithm = load_algorithm(entry)
    given = {**entry.defaults(decisions, env.num_envs), **(arguments or {})}
    common = {"seed": seed, "tensorboard_log": tensorboard_log, "device": "cpu", "verbose": 0}
    try:
        return algorithm("MlpPolicy", env, **{**common, **given})
    except (TypeError, ValueError, AssertionError) as error:
        raise InvalidSettings(f"agent: {name} cannot be made: {error}") from error
