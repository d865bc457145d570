"""Rewards as normal scores of their ranks among all so far."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort

import numpy as np
from scipy.special import ndtri
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs, VecEnvStepReturn

TAIL = 0.01
"""Share of the ranks at either end that have one score."""


class Ranks:
    """Ranks each reward among all so far."""

    def __init__(self) -> None:
        self.rewards: list[float] = []
        """All so far, in order."""

    def score(self, reward: float) -> float:
        """Return the normal score of a new reward among all; equal ones have their mean rank."""
        insort(self.rewards, reward)
        before = bisect_left(self.rewards, reward) + bisect_right(self.rewards, reward)
        share = before / (2 * len(self.rewards))
        return float(ndtri(np.clip(share, TAIL, 1 - TAIL)))


class VecRankedReward(VecEnvWrapper):
    """Replaces the reward of each finished network by the normal score of its rank so far.

    Good networks differ by hundredths, and failed ones by far more: as they stand, the failures are
    most of what a value function has to fit. Ranks have one scale in every search. Rewards are 0
    until an episode ends. The reward itself remains in ``infos``, as ``episode``'s ``r``; a
    truncated episode's stays as it is.
    """

    def __init__(self, venv: VecEnv) -> None:
        super().__init__(venv)
        self.ranks = Ranks()

    def reset(self) -> VecEnvObs:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        rewards = rewards.copy()
        for index in np.flatnonzero(dones).tolist():
            if not infos[index].get("TimeLimit.truncated", False):
                rewards[index] = self.ranks.score(float(rewards[index]))
        return observations, rewards, dones, infos
