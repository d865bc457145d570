"""Independent searches side by side, each in its own episode of one `NASVectorEnv`.

Where a search is repeated under many seeds and its children are looked up instead of trained, all
searches share the cost of one environment: 500 searches of 100 children take less than a second.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from nas_agents.strategies.base import Strategy
from nas_gym import NASVectorEnv
from nas_gym.errors import require


@dataclass(frozen=True)
class Round:
    """Result of one architecture of each of N searches."""

    choices: NDArray[np.int64]  # (N, T)
    rewards: NDArray[np.float64]  # (N,)
    accuracy: NDArray[np.float64]  # (N,) validation accuracy, in [0, 1]
    seconds: NDArray[np.float64]
    """(N,) duration of the evaluation when it was made, also where it was answered from memory:
    all N searches share the environment's memory."""


def side_by_side(strategies: Sequence[Strategy], env: NASVectorEnv) -> Iterator[Round]:
    """Play N searches round by round, without end; each observes its own rewards only.

    Args:
        strategies: The N searches.
        env: N episodes in lock-step, in the mode "NextStep".

    Raises:
        InvalidSettings: the number of episodes is not N, or the mode is another.
    """
    wrong = f"env: expected an episode for each of {len(strategies)} searches, got {env.num_envs}"
    require(env.num_envs == len(strategies), wrong)
    mode = env.metadata["autoreset_mode"]
    require(mode is AutoresetMode.NEXT_STEP, f"env: expected the mode 'NextStep', got {mode}")
    while True:
        env.reset()
        choices = np.array([strategy.propose() for strategy in strategies])
        for actions in choices.T:
            _, rewards, _, _, info = env.step(actions)
        for strategy, own, reward in zip(strategies, choices, rewards.tolist(), strict=True):
            strategy.observe(own, reward)
        yield Round(choices, rewards, info["accuracy"], info["seconds"])
