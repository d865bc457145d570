"""``--agent auto``: the agent that suits the number of children of a search.

`model-based` where children are few: its proposals take longer the more was evaluated. Where they
are many, `lstm-ppo` finds as much as any, and what it designs is good, too. The measurements are in
``docs/agents.md``.
"""

from __future__ import annotations

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.catalogue.registry import AUTO
from nas_agents.controllers.reinforce import Reinforce
from nas_gym import NASEnv, Objectives
from nas_gym.weight_sharing.evaluator import WeightSharing

FEW, MANY, IN_PARALLEL = "model-based", "lstm-ppo", "regularized-evolution"
SHARED, SEVERAL_OBJECTIVES = "enas", "nsga2"
CHOICES = (FEW, MANY, IN_PARALLEL, SHARED, SEVERAL_OBJECTIVES)
MOST_FEW = 1_000
"""Number of children up to which they are few."""
FEWEST_UPDATES = 10
"""Number of updates below which an agent is as good as random search: in `docs/agents.md`, PPO has
made 6 after 60 children, and 15 after 150."""


def suited_agent(env: NASEnv, episodes: int | None, envs: int, workers: int) -> str:
    """Return the name of the agent that suits a search.

    Without a number of children, they count as few where they are trained, which costs more than a
    proposal of the model-based agent, and as many where they are looked up. Many children on more
    workers than there are networks at a time (``envs``) are proposed by evolution, which lets no
    worker wait; children that share weights, by ENAS; those of several objectives, by NSGA-II.
    ``episodes`` is None if time or accuracy ends the search.
    """
    if isinstance(env.reward, Objectives):
        return SEVERAL_OBJECTIVES
    if isinstance(env.memory.evaluator, WeightSharing):
        return SHARED
    few = env.memory.recorded is None if episodes is None else episodes <= MOST_FEW
    if few:
        return FEW
    return MANY if workers <= envs else IN_PARALLEL


def too_few_updates(agent: BaseAlgorithm, decisions: int, episodes: int) -> str | None:
    """Return a line about an agent that will hardly learn in a search; None if it may.

    Of the agent's updates, those after rollouts are counted.
    """
    each = _episodes_an_update(agent, decisions)
    if each is None or episodes >= FEWEST_UPDATES * each:
        return None
    return (
        f"{type(agent).__name__} learns after every {each} children, so {episodes} children are "
        f"{episodes // each} updates, too few to do better than random search; give --episodes "
        f"{FEWEST_UPDATES * each} or more, or --agent {AUTO}"
    )


def _episodes_an_update(agent: BaseAlgorithm, decisions: int) -> int | None:
    """Return the number of episodes between an agent's updates; None if it has no such number."""
    if isinstance(agent, Reinforce):
        return agent.n_episodes
    if isinstance(agent, OnPolicyAlgorithm):
        return max(1, agent.n_steps * agent.n_envs // decisions)
    deltas = getattr(agent, "n_delta", None)  # ARS: two policies each
    return None if deltas is None else 2 * int(deltas)
