"""``--agent auto``: the agent that suits the number of children of a search.

What agents found with a number of evaluations, 20 searches each, mean and standard error
(`docs/benchmarks.md` has the commands, and more agents). NAS-Bench-201, test accuracy on CIFAR-10
in percent:

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `model-based` | 94.17 ± 0.06 | 94.28 ± 0.04 | 94.37 ± 0.00 |  |
| `local-search` | 94.10 ± 0.06 | 94.36 ± 0.01 | 94.37 ± 0.00 | 94.37 ± 0.00 |
| `regularized-evolution` | 93.78 ± 0.10 | 94.09 ± 0.07 | 94.28 ± 0.04 | 94.31 ± 0.04 |
| `lstm-ppo` | 93.55 ± 0.11 | 94.07 ± 0.05 | 94.32 ± 0.03 | 94.37 ± 0.00 |
| `ppo` | 93.82 ± 0.09 | 94.28 ± 0.04 | 94.37 ± 0.01 | 94.37 ± 0.01 |
| `reinforce` | 93.51 ± 0.15 | 94.16 ± 0.05 | 94.37 ± 0.00 | 94.37 ± 0.00 |
| `random` | 93.59 ± 0.08 | 93.77 ± 0.07 | 93.98 ± 0.05 | 94.18 ± 0.05 |

A chain of 8 layers under a synthetic reward whose optimum is worth 1, 6,561 networks:

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `model-based` | 0.9965 ± 0.0019 | 1.0000 ± 0.0000 | 1.0000 ± 0.0000 |  |
| `local-search` | 0.9919 ± 0.0025 | 1.0000 ± 0.0000 | 1.0000 ± 0.0000 | 1.0000 ± 0.0000 |
| `regularized-evolution` | 0.9556 ± 0.0073 | 0.9814 ± 0.0036 | 0.9969 ± 0.0017 | 1.0000 ± 0.0000 |
| `lstm-ppo` | 0.8745 ± 0.0120 | 0.9846 ± 0.0031 | 0.9888 ± 0.0029 | 0.9930 ± 0.0024 |
| `ppo` | 0.8958 ± 0.0082 | 0.9858 ± 0.0036 | 0.9897 ± 0.0032 | 0.9897 ± 0.0032 |
| `reinforce` | 0.8564 ± 0.0109 | 0.9350 ± 0.0082 | 0.9624 ± 0.0040 | 0.9624 ± 0.0040 |
| `random` | 0.8674 ± 0.0156 | 0.9117 ± 0.0098 | 0.9434 ± 0.0070 | 0.9772 ± 0.0043 |

NASNet's 50 decisions under such a reward:

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `model-based` | 0.7618 ± 0.0061 | 0.8554 ± 0.0055 | 0.9394 ± 0.0032 |  |
| `local-search` | 0.7351 ± 0.0092 | 0.8249 ± 0.0054 | 0.9321 ± 0.0042 | 0.9641 ± 0.0027 |
| `regularized-evolution` | 0.6572 ± 0.0059 | 0.7302 ± 0.0052 | 0.8352 ± 0.0055 | 0.9603 ± 0.0029 |
| `lstm-ppo` | 0.6368 ± 0.0050 | 0.7040 ± 0.0062 | 0.9039 ± 0.0054 | 0.9824 ± 0.0015 |
| `ppo` | 0.6343 ± 0.0055 | 0.6612 ± 0.0079 | 0.7042 ± 0.0070 | 0.8609 ± 0.0053 |
| `reinforce` | 0.6442 ± 0.0067 | 0.6601 ± 0.0063 | 0.6984 ± 0.0044 | 0.8188 ± 0.0146 |
| `random` | 0.6345 ± 0.0054 | 0.6568 ± 0.0042 | 0.6674 ± 0.0028 | 0.6812 ± 0.0031 |

So `model-based` searches where children are few, and in small search spaces, where it has the
optimum after 500. In NASNet's decisions it found no more after 1,000 than after 500 in earlier
searches. Under a limit of 25 ms in Once-for-All's surrogate, two searches of 300 were as good as
those of 1,000 by evolution and by REINFORCE. Its proposals take longer the more was evaluated, up
to its last 500 children: 0.03 s for 6 decisions, 0.1 s for 50. Where children are many, `lstm-ppo`
finds the best networks of all agents, and what it designs at the end is good, too. In a small
search space it settles early on networks that it knows.
"""

from __future__ import annotations

import math

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
"""Number of updates below which an agent is as good as random search: in the table above, PPO has
made 6 after 60 children, and 15 after 150."""


def suited_agent(env: NASEnv, episodes: int | None, envs: int, workers: float) -> str:
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
    each = episodes_an_update(agent, decisions)
    if each is None or episodes >= FEWEST_UPDATES * each:
        return None
    return (
        f"{type(agent).__name__} learns after every {counted(each, 'child')}, so "
        f"{counted(episodes, 'child')} are {counted(episodes // each, 'update')}, too few "
        f"to do better than random search; allow {FEWEST_UPDATES * each} children or more, or "
        f"give --agent {AUTO}"
    )


def episodes_an_update(agent: BaseAlgorithm, decisions: int) -> int | None:
    """Return the number of episodes between an agent's updates; None if it has no such number."""
    if isinstance(agent, Reinforce):
        return math.ceil(agent.n_episodes / agent.n_envs) * agent.n_envs
    if isinstance(agent, OnPolicyAlgorithm):
        return max(1, agent.n_steps * agent.n_envs // decisions)
    deltas = getattr(agent, "n_delta", None)  # ARS: two policies each
    return None if deltas is None else 2 * int(deltas)
