"""Random search (Bergstra & Bengio 2012, https://jmlr.org/papers/v13/bergstra12a.html)

as a Stable-Baselines3 algorithm: every choice is drawn uniformly among the valid ones, and nothing
is learned. It is the baseline that stands beside every result of a search.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, PyTorchObs, Schedule


class UniformPolicy(BasePolicy):
    """Draws actions uniformly; it looks at no observation."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Discrete,
        lr_schedule: Schedule,
    ) -> None:
        super().__init__(observation_space, action_space)

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        batch = len(observation)
        return torch.tensor([self.action_space.sample() for _ in range(batch)])


class RandomSearch(BaseAlgorithm):
    """Uniform choices among the valid ones, in environments with a `Discrete` action space."""

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"MlpPolicy": UniformPolicy}

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: GymEnv | str,
        seed: int | None = None,
        verbose: int = 0,
        tensorboard_log: str | None = None,
        device: torch.device | str = "cpu",
        _init_setup_model: bool = True,
    ) -> None:
        super().__init__(
            policy,
            env,
            learning_rate=0.0,
            seed=seed,
            verbose=verbose,
            tensorboard_log=tensorboard_log,
            device=device,
            supported_action_spaces=(spaces.Discrete,),
        )
        if _init_setup_model:
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        self.rng = np.random.default_rng(self.seed)
        self.policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule
        ).to(self.device)

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 1,
        tb_log_name: str = "RandomSearch",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> RandomSearch:
        total_timesteps, callbacks = self._setup_learn(
            total_timesteps, callback, reset_num_timesteps, tb_log_name, progress_bar
        )
        assert self.env is not None
        assert isinstance(self.action_space, spaces.Discrete)
        masked = is_masking_supported(self.env)
        everything = np.ones((self.env.num_envs, int(self.action_space.n)), dtype=np.bool_)
        callbacks.on_training_start(locals(), globals())
        while self.num_timesteps < total_timesteps:
            masks = get_action_masks(self.env) if masked else everything
            actions = np.array([self.rng.choice(np.flatnonzero(mask)) for mask in masks])
            _, rewards, dones, infos = self.env.step(actions)
            self.num_timesteps += self.env.num_envs
            self._update_info_buffer(infos, dones)
            callbacks.update_locals(locals())
            if not callbacks.on_step():
                break
        callbacks.on_training_end()
        return self
