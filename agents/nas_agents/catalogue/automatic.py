"""``--agent auto``: the agent that suits the number of children of a search.

Best validation accuracy after a number of children in NAS-Bench-201 (CIFAR-10, 12 epochs; its best
cell has 0.8489), mean of ten seeds, 100 to 109, and standard deviation between them
(`python examples/benchmarks/agents.py --best 60,150,500,2000 --seeds 10 --agents ...`):

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `random` | 0.8336 (0.0044) | 0.8356 (0.0034) | 0.8410 (0.0032) | 0.8456 (0.0023) |
| `model-based` | 0.8484 (0.0008) | 0.8489 (0.0000) | 0.8489 (0.0000) | |
| `ppo` | 0.8313 (0.0063) | 0.8447 (0.0032) | 0.8489 (0.0000) | 0.8489 (0.0000) |
| `reinforce` | 0.8376 (0.0086) | 0.8429 (0.0069) | 0.8466 (0.0052) | 0.8468 (0.0053) |
| `regularized-evolution` | 0.8336 (0.0044) | 0.8416 (0.0041) | 0.8489 (0.0000) | 0.8489 (0.0000) |

A proposal of `model-based` takes a longer time the more was evaluated, up to its last 500 children:
13 s for 500 children of 6 decisions, as long as 2,000 take `ppo`. It searches where children are
few. Where they are many, `ppo` finds as much, and learns: its last 400 of 2,000 children have
0.847 on average, those of `regularized-evolution` 0.816.
"""

from __future__ import annotations

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from nas_agents.controllers.reinforce import Reinforce
from nas_gym import NASEnv
from nas_gym.weight_sharing.evaluator import WeightSharing

AUTO = "auto"
FEW, MANY, IN_PARALLEL, SHARED = "model-based", "ppo", "regularized-evolution", "enas"
CHOICES = (FEW, MANY, IN_PARALLEL, SHARED)
MOST_FEW = 500
"""Number of children up to which they are few."""
FEWEST_UPDATES = 10
"""Number of updates below which an agent is as good as random search: in the table above, PPO has
made 6 after 60 children, and 15 after 150."""


def suited_agent(env: NASEnv, episodes: int | None, envs: int, workers: int) -> str:
    """Return the name of the agent that suits a search.

    Without a number of children, they count as few where they are trained, which costs more than a
    proposal of the model-based agent, and as many where they are looked up. Many children on more
    workers than there are networks at a time are proposed by evolution, which lets no worker wait;
    children that share weights, by ENAS.

    Args:
        env: The environment.
        episodes: Number of children; None if time or accuracy ends the search.
        envs: Number of networks designed, and then evaluated, at a time.
        workers: Number of children trained at a time.
    """
    if isinstance(env.memory.evaluator, WeightSharing):
        return SHARED
    few = env.memory.recorded is None if episodes is None else episodes <= MOST_FEW
    if few:
        return FEW
    return MANY if workers <= envs else IN_PARALLEL


def too_few_updates(agent: BaseAlgorithm, decisions: int, episodes: int) -> str | None:
    """Return a line about an agent that will hardly learn in a search; None if it may.

    Args:
        agent: The agent, of whose updates those after rollouts are counted.
        decisions: Number of decisions of an episode.
        episodes: Number of episodes of the search.
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
