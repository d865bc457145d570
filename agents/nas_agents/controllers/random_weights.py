"""`VecRandomWeights`: one policy for all trade-offs, since every child has weights of its own.

The policy is conditioned on the weights (Abels et al. 2019, https://arxiv.org/abs/1809.07803), so
after the search it designs a child for any weights that it is given.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from nas_gym.errors import require

Observations = dict[str, NDArray[Any]]


class VecRandomWeights(VecEnvWrapper):
    """Makes vector rewards numbers, by weights that are drawn for each child and are observed.

    An observation has the partial ``architecture``, (N, T), and the child's ``weights``, (N, K),
    drawn uniformly from the simplex at its start. The reward is the sum of the objectives, each
    scaled to [0, 1] between its least and its greatest value so far, times the weights. A child
    that failed is worth 0 and changes no scale.
    """

    def __init__(self, venv: VecEnv, seed: int | None = None) -> None:
        vectors = venv.has_attr("reward_dim")
        require(vectors, f"VecRandomWeights: the rewards of {venv} are no vectors; use an MO- id")
        number = venv.get_attr("reward_dim")[0]
        weights = spaces.Box(0.0, 1.0, (number,), np.float32)
        both = {"architecture": venv.observation_space, "weights": weights}
        super().__init__(venv, observation_space=spaces.Dict(both))
        self.rng = np.random.default_rng(seed)
        self.least = np.full(number, np.inf)
        self.greatest = np.full(number, -np.inf)
        self.weights = self._draw(venv.num_envs)

    def _draw(self, number: int) -> NDArray[np.float32]:
        return self.rng.dirichlet(np.ones(len(self.least)), number).astype(np.float32)

    def _observed(self, observations: Any) -> Observations:
        return {"architecture": observations, "weights": self.weights.copy()}

    def reset(self) -> Observations:
        self.weights = self._draw(self.num_envs)
        return self._observed(self.venv.reset())

    def step_wait(self) -> VecEnvStepReturn:
        observations, vectors, ended, infos = self.venv.step_wait()
        rewards = np.zeros(self.num_envs, dtype=np.float32)
        if ended.any():
            good = [info.get("evaluation", {}).get("status") == "ok" for info in infos]
            if any(good):
                self.least = np.minimum(self.least, vectors[good].min(axis=0))
                self.greatest = np.maximum(self.greatest, vectors[good].max(axis=0))
            spread = np.where(self.greatest > self.least, self.greatest - self.least, 1.0)
            scaled = (vectors[good] - self.least) / spread
            rewards[good] = (scaled * self.weights[good]).sum(axis=1)
            for index in np.flatnonzero(ended):
                last = infos[index]["terminal_observation"]
                weights = self.weights[index].copy()
                infos[index]["terminal_observation"] = {"architecture": last, "weights": weights}
            self.weights[ended] = self._draw(int(ended.sum()))
        return self._observed(observations), rewards, ended, infos
