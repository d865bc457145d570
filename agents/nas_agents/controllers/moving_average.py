"""What the papers' controllers learn from: episodes' rewards, and a moving average of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import require, require_truth


@dataclass
class MovingAverage:
    """b, what a reward is compared with: b <- decay * b + (1 - decay) * R after each reward R.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    decay: float = 0.95
    """NASNet's (Zoph et al. 2018, appendix A.1)."""
    bias_correction: bool = False
    """Whether b starts at 0 and is divided by 1 - decay^n after n rewards, as in NAS-Bench-201;
    otherwise it starts at the first reward."""
    own_reward: bool = False
    """Whether the rewards that are compared with b are averaged into it before, as in NAS-Bench-201
    and in ENAS's released code, or after, so that b knows earlier ones alone."""
    average: float = 0.0
    rewards: int = 0
    """How many it has averaged."""

    def __post_init__(self) -> None:
        require(
            isinstance(self.decay, float | int) and 0 <= self.decay < 1,
            f"baseline_decay: expected a number in [0, 1), got {self.decay!r}",
        )
        require_truth("bias_correction", self.bias_correction)
        require_truth("own_reward", self.own_reward)

    @property
    def value(self) -> float:
        """b; 0 before the first reward."""
        if self.bias_correction and self.rewards:
            return self.average / (1 - self.decay**self.rewards)
        return self.average

    def before(self, rewards: NDArray[np.floating]) -> float:
        """B for these rewards, (n,), the next ones in their order; it then knows them too.

        Before there was any reward at all, it is their mean.
        """
        first = not self.rewards
        earlier = self.value
        for reward in rewards.tolist():
            if not (self.rewards or self.bias_correction):
                self.average = reward
            self.average = self.decay * self.average + (1 - self.decay) * reward
            self.rewards += 1
        if self.own_reward:
            return self.value
        return float(rewards.mean()) if first else earlier


def episode_returns(
    rewards: NDArray[np.float32], dones: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """What followed each of S steps in N environments: (S, N) each.

    The sum of the rewards up to the end of the episode; whether it ended; whether the step is the
    first one of its episode here.
    """
    returns, known = rewards.astype(np.float64), dones.copy()
    for step in reversed(range(len(rewards) - 1)):
        under_way = ~dones[step]
        returns[step] += returns[step + 1] * under_way
        known[step] |= known[step + 1]
    first = np.ones_like(dones)
    first[1:] = dones[:-1]
    return returns, known, first
