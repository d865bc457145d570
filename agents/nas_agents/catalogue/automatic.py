"""``--agent auto``: the agent that suits the number of children of a search.

`docs/benchmarks.md`, "All agents, four budgets", has what agents found with 60 to 2,000 evaluations
in three search spaces: NAS-Bench-201, a chain of 6,561 networks, and NASNet's 50 decisions.

So `model-based` searches where children are few, and in small search spaces, where it has the
optimum after 500. In NASNet's decisions it found no more after 1,000 than after 500 in earlier
searches. Under a limit of 25 ms in Once-for-All's surrogate, two searches of 300 were as good as
those of 1,000 by evolution and by REINFORCE. Its proposals take longer the more was evaluated, up
to its last 500 children: 0.03 s for 6 decisions, 0.1 s for 50. Where children are many, `lstm-ppo`
finds the best networks of all agents, and what it designs at the end is good, too. In a small
search space it settles early on networks that it knows.
"""

from __future__ import annotations

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.catalogue.registry import AUTO
from nas_agents.controllers.reinforce import Reinforce
from nas_gym import InvalidSettings, NASEnv, Objectives, SearchSpace
from nas_gym.errors import counted
from nas_gym.weight_sharing.evaluator import WeightSharing

FEW, MANY, IN_PARALLEL = "model-based", "lstm-ppo", "regularized-evolution"
SHARED, SEVERAL_OBJECTIVES = "enas", "nsga2"
CHOICES = (FEW, MANY, IN_PARALLEL, SHARED, SEVERAL_OBJECTIVES)
MOST_FEW = 1_000
"""Number of children up to which they are few."""
SMALL = 10
"""A search space is small if it has at most this many times as many networks as a search has
children: a policy gradient soon proposes only networks that it has proposed before."""
FEWEST_UPDATES = 10
"""Number of updates below which an agent is as good as random search: in these benchmarks, PPO has
made 6 after 60 children, and 15 after 150."""


def suited_agent(env: NASEnv, episodes: int | None, envs: int, workers: int) -> str:
    """Return the name of the agent that suits a search.

    Children in a small search space count as few. Without a number, they do where they are
    trained, which costs more than a proposal of the model-based agent, and not where they are
    looked up. Many children on more workers than there are networks at a time (``envs``) are
    proposed by evolution, which lets no worker wait; children that share weights, by ENAS; those of
    several objectives, by NSGA-II. ``episodes`` is None if time or accuracy ends the search.
    """
    if isinstance(env.reward, Objectives):
        return SEVERAL_OBJECTIVES
    if isinstance(env.memory.evaluator, WeightSharing):
        return SHARED
    if episodes is None:
        few = env.memory.recorded is None
    else:
        few = episodes <= MOST_FEW or _is_small(env.search_space, episodes)
    if few:
        return FEW
    return MANY if workers <= envs else IN_PARALLEL


def _is_small(search_space: SearchSpace, episodes: int) -> bool:
    try:
        return search_space.size <= SMALL * episodes
    except InvalidSettings:  # too large to count
        return False


def too_few_updates(agent: BaseAlgorithm, decisions: int, episodes: int) -> str | None:
    """Return a line about an agent that will hardly learn in a search; None if it may.

    Of the agent's updates, those after rollouts are counted.
    """
    each = _episodes_an_update(agent, decisions)
    if each is None or episodes >= FEWEST_UPDATES * each:
        return None
    return (
        f"{type(agent).__name__} learns after every {counted(each, 'child')}, so "
        f"{counted(episodes, 'child')} are {counted(episodes // each, 'update')}, too few "
        f"to do better than random search; give --episodes {FEWEST_UPDATES * each} "
        f"or more, or --agent {AUTO}"
    )


def _episodes_an_update(agent: BaseAlgorithm, decisions: int) -> int | None:
    """Return the number of episodes between an agent's updates; None if it has no such number."""
    if isinstance(agent, Reinforce):
        return agent.n_episodes
    if isinstance(agent, OnPolicyAlgorithm):
        return max(1, agent.n_steps * agent.n_envs // decisions)
    deltas = getattr(agent, "n_delta", None)  # ARS: two policies each
    return None if deltas is None else 2 * int(deltas)
