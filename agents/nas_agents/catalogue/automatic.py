"""``--agent auto``: the agent that suits the number of children of a search.

Best validation accuracy after a number of children in NAS-Bench-201 (CIFAR-10, 12 epochs; its best
cell has 0.8489), mean of ten seeds, 100 to 109, and standard deviation between them (`nas-gym
bench nas_gym/NASBench201-Recorded-v0 --set epochs=12 --first-seed 100 --seeds 10 --evaluations 60
--evaluations 150 ...`; evolution's first three by searches of 500, since longer ones have a larger
population; five seeds of `lstm-ppo`; `ppo` before it learned from ranks):

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `random` | 0.8336 (0.0044) | 0.8356 (0.0034) | 0.8410 (0.0032) | 0.8456 (0.0023) |
| `model-based` | 0.8484 (0.0008) | 0.8489 (0.0000) | 0.8489 (0.0000) | |
| `lstm-ppo` | 0.8284 (0.0069) | 0.8451 (0.0041) | 0.8489 (0.0000) | 0.8489 (0.0000) |
| `ppo` | 0.8313 (0.0063) | 0.8447 (0.0032) | 0.8489 (0.0000) | 0.8489 (0.0000) |
| `reinforce` | 0.8376 (0.0086) | 0.8429 (0.0069) | 0.8466 (0.0052) | 0.8468 (0.0053) |
| `regularized-evolution` | 0.8398 (0.0053) | 0.8450 (0.0038) | 0.8483 (0.0009) | 0.8489 (0.0000) |

The same of NASNet's 50 decisions under a synthetic reward, whose optimum is worth 1; from seed 100
on, three of `model-based`, five of `lstm-ppo` (20 architectures at a time), one of `ppo` before it
learned from ranks, ten of evolution and of local search (`python examples/benchmarks/controller.py
--first-seed 100 --seeds 5 --episodes 500 --agents lstm-ppo`; for the others, `--environments 1`):

| agent | 60 | 150 | 500 | 2,000 |
|---|---|---|---|---|
| `model-based` | 0.754 (0.046) | 0.867 (0.007) | 0.942 (0.016) | |
| `lstm-ppo` | 0.616 (0.030) | 0.695 (0.026) | 0.890 (0.023) | 0.954 (0.011) |
| `ppo` | 0.628 | 0.641 | 0.644 | 0.828 |
| `regularized-evolution` | 0.647 (0.033) | 0.720 (0.036) | 0.822 (0.033) | 0.955 (0.018) |
| `local-search` | 0.722 (0.040) | 0.810 (0.034) | 0.920 (0.016) | 0.964 (0.011) |

So `model-based` searches where children are few. What it found after 500, it has after 1,000: 0.942
in NASNet's decisions, where `lstm-ppo` is between 0.890 and 0.954 by then. Under a limit of 25 ms
in Once-for-All's surrogate, two searches of 300 were as good as those of 1,000 by evolution and by
REINFORCE (`docs/benchmarks.md`). Its proposals take longer the more was evaluated,
up to its last 500 children: 0.03 s for 6 decisions, 0.2 s for 50. Where children are many,
`lstm-ppo` finds as much as any, and what it designs is good, too: in NAS-Bench-201, its last 400 of
2,000 children have 0.849 on average, those of `ppo` 0.847, of `regularized-evolution` 0.816.
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
"""Number of updates below which an agent is as good as random search: in the table above, PPO has
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
