"""Steps of episodes, their returns and weights, and the papers' baseline: a moving average."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

LATE_RATIO_LIMIT = 4.0
"""By what factor the probability of a decision that was drawn by an earlier policy may have changed
until its reward counts no more."""


class Step(NamedTuple):
    """One decision in each of N environments."""

    observations: Tensor  # (N, ...)
    actions: Tensor  # (N,) or (N, T)
    masks: NDArray[np.bool_] | None  # (N, A)
    rewards: NDArray[np.float32]  # (N,)
    dones: NDArray[np.bool_]  # (N,)
    log_probs: Tensor | None = None  # (N,) when they were drawn, if the policy has changed since


@dataclass
class MovingAverage:
    """b, the baseline of the rewards: b <- decay * b + (1 - decay) * R after each reward R."""

    decay: float = 0.95
    """NASNet's (Zoph et al. 2018, appendix A.1)."""
    bias_correction: bool = False
    """Start b at 0 and divide it by 1 - decay^n after n rewards, as in NAS-Bench-201; otherwise it
    starts at the first reward."""
    own_reward: bool = False
    """Average rewards into b before they are compared with it, as in NAS-Bench-201 and in ENAS's
    released code; otherwise after, so that b contains earlier ones only."""
    mean_reward: bool = False
    """Take the mean of an update's rewards as one reward, as in ProxylessNAS-R's released code;
    otherwise each, so that the last ones weigh most."""
    average: float = 0.0
    num_rewards: int = 0
    _last: float = 0.0  # what `update` returned
    _held: bool = False

    @property
    def value(self) -> float:
        """b; 0 before the first reward."""
        if self.bias_correction and self.num_rewards:
            return self.average / (1 - self.decay**self.num_rewards)
        return self.average

    def update(self, rewards: NDArray[np.floating]) -> float:
        """Return the baseline for these rewards, (n,), and average them into it.

        Before the first reward of all, the baseline is the mean of these. Within `held`, they are
        those of the last call, and the baseline is the same.
        """
        if self._held:
            return self._last
        earlier = self.value if self.num_rewards else float(rewards.mean())
        for reward in [float(rewards.mean())] if self.mean_reward else rewards.tolist():
            if not (self.num_rewards or self.bias_correction):
                self.average = reward
            self.average = self.decay * self.average + (1 - self.decay) * reward
            self.num_rewards += 1
        self._last = self.value if self.own_reward else earlier
        return self._last

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have `update` take nothing in: an agent learns once more from the same rewards."""
        self._held = True
        try:
            yield
        finally:
            self._held = False


def episode_returns(
    rewards: NDArray[np.float32], dones: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return, for each of S steps in N environments, (S, N): returns, finished, first.

    The sum of the rewards up to the episode's end; True if the episode ended; True at the first
    step of an episode here.
    """
    returns = rewards.astype(np.float64)
    finished = dones.copy()
    for step in reversed(range(len(rewards) - 1)):
        under_way = ~dones[step]
        returns[step] += returns[step + 1] * under_way
        finished[step] |= finished[step + 1]
    first = np.ones_like(dones)
    first[1:] = dones[:-1]
    return returns, finished, first


def late_weights(
    ratios: NDArray[np.floating], advantages: NDArray[np.floating]
) -> NDArray[np.floating]:
    """Return the weights of decisions that an earlier policy mu drew, by their pi / mu.

    They are V-trace's min(1, pi / mu) (Espeholt et al. 2018, https://arxiv.org/abs/1802.01561,
    section 4.1), and 0 where pi has moved by `LATE_RATIO_LIMIT` already as the advantage wants it:
    PPO's clipping, with a wide range. Otherwise hundreds of late rewards, all of which want the
    same, make the policy converge before it sees what it has become.
    """
    up = (advantages > 0) & (ratios > LATE_RATIO_LIMIT)
    down = (advantages < 0) & (ratios < 1 / LATE_RATIO_LIMIT)
    return np.where(up | down, 0, np.minimum(ratios, 1))
