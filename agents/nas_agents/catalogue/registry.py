"""The agents that ``--agent`` names. Their classes are imported when one is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from nas_agents.catalogue import defaults
from nas_agents.catalogue.defaults import Arguments, Plan

AUTO = "auto"
"""Name of the agent that suits the budget; see `nas_agents.catalogue.automatic`."""
CLASSES = ("policy", "replay_buffer_class", "rollout_buffer_class")
"""Arguments that name a class, as ``module.Class``."""


@dataclass(frozen=True)
class AgentEntry:
    """An agent: its algorithm, and its defaults."""

    path: str
    """``module:Class`` of a Stable-Baselines3 algorithm, or of a
    `nas_agents.strategies.Strategy`."""
    defaults: Callable[[Plan], Arguments] = lambda plan: {}  # the algorithm's own
    ranked: bool = False
    """True if it learns from ranks: `nas_agents.controllers.ranked_reward.VecRankedReward`."""
    continuous: bool = False
    """True if it acts through `nas_gym.wrappers.ContinuousAction`."""
    conditioned: bool = False
    """True if it takes vector rewards, through `VecRandomWeights` of
    `nas_agents.controllers.random_weights`."""
    env_arguments: Mapping[str, Any] = field(default_factory=dict)
    """The environment's arguments that it needs, unless others are given."""


def _sharing(path: str, own: Callable[[Plan], Arguments]) -> AgentEntry:
    """Return an agent whose children share weights."""
    shares = {"evaluator": "weight-sharing"}
    return AgentEntry(f"nas_agents.controllers.sharing.{path}", own, env_arguments=shares)


AGENTS = {
    "ppo": AgentEntry("stable_baselines3:PPO", defaults.ppo, ranked=True),
    "a2c": AgentEntry("stable_baselines3:A2C", defaults.a2c),
    "dqn": AgentEntry("stable_baselines3:DQN", defaults.dqn),
    "sac": AgentEntry("stable_baselines3:SAC", defaults.sac, continuous=True),
    "td3": AgentEntry("stable_baselines3:TD3", defaults.td3, continuous=True),
    "ddpg": AgentEntry("stable_baselines3:DDPG", defaults.td3, continuous=True),
    "maskable-ppo": AgentEntry("sb3_contrib:MaskablePPO", defaults.ppo, ranked=True),
    "recurrent-ppo": AgentEntry("sb3_contrib:RecurrentPPO", defaults.recurrent_ppo),
    "trpo": AgentEntry("sb3_contrib:TRPO", defaults.trpo),
    "qr-dqn": AgentEntry("sb3_contrib:QRDQN", defaults.qr_dqn),
    "ars": AgentEntry("sb3_contrib:ARS", defaults.ars, continuous=True),
    "tqc": AgentEntry("sb3_contrib:TQC", defaults.sac, continuous=True),
    "crossq": AgentEntry("sb3_contrib:CrossQ", defaults.crossq, continuous=True),
    "random": AgentEntry("nas_agents.strategies.random_search:RandomSearch"),
    "regularized-evolution": AgentEntry(
        "nas_agents.strategies.regularized_evolution:RegularizedEvolution",
        defaults.regularized_evolution,
    ),
    "local-search": AgentEntry("nas_agents.strategies.local_search:LocalSearch"),
    "grid": AgentEntry("nas_agents.strategies.grid:Grid"),
    "tpe": AgentEntry("nas_agents.strategies.tpe:TPE"),
    "nsga2": AgentEntry("nas_agents.strategies.nsga2:NSGA2", defaults.nsga2),
    "conditioned-ppo": AgentEntry(
        "sb3_contrib:MaskablePPO", defaults.conditioned_ppo, conditioned=True
    ),
    "asha": AgentEntry("nas_agents.strategies.asha:ASHA"),
    "model-based": AgentEntry("nas_agents.strategies.model_based:ModelBased"),
    "reinforce": AgentEntry("nas_agents.controllers.reinforce:Reinforce", defaults.reinforce),
    "nas": AgentEntry("nas_agents.controllers.reinforce:Reinforce", defaults.nas),
    "nasnet": AgentEntry("nas_agents.controllers.nasnet_ppo:BaselinePPO", defaults.nasnet),
    "lstm-ppo": AgentEntry("nas_agents.controllers.nasnet_ppo:BaselinePPO", defaults.lstm_ppo),
    "enas": _sharing("enas:ENAS", defaults.enas),
    "tunas": _sharing("tunas:TuNAS", defaults.tunas),
    "proxylessnas": _sharing("tunas:TuNAS", defaults.proxylessnas),
}
