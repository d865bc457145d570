"""The benchmark of these programs, and how far an agent's networks are above random ones.

The argument of a program is its seed, 0 by default: ``python examples/clients/skrl_ppo.py 3``.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError

ENV_ID = "nas_gym/NASBench201-Recorded-v0"
try:
    gym.make(ENV_ID)
except NASGymError:  # neither its file nor its package is there
    ENV_ID = "nas_gym/TinyBench-v0"
SEED = int(sys.argv[1]) if len(sys.argv) > 1 else 0


def random_rewards(number: int = 2048) -> NDArray[np.float64]:
    """Return the rewards of random networks, (number,)."""
    envs = gym.make_vec(ENV_ID, num_envs=number)
    envs.action_space.seed(1)
    envs.reset(seed=1)
    ended = np.zeros(number, dtype=np.bool_)
    while not ended.all():
        _, rewards, ended, _, _ = envs.step(envs.action_space.sample())
    return rewards


def report(name: str, rewards: Iterable[float]) -> float:
    """Print the margin of rewards over random networks' in standard errors, and return it."""
    ours, others = np.array(list(rewards)), random_rewards()
    error = np.sqrt(ours.var(ddof=1) / len(ours) + others.var(ddof=1) / len(others))
    margin = float((ours.mean() - others.mean()) / error)
    print(
        f"{name}, seed {SEED}, in {ENV_ID}: {ours.mean():.4f} over {len(ours)} networks, random "
        f"{others.mean():.4f}, margin {margin:.1f} standard errors"
    )
    return margin
