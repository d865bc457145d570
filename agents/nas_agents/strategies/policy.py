"""The policy of an agent that is a strategy: the best architecture that it found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule


class BestArchitecture(BasePolicy):
    """Designs one architecture: the best that was found, or at first that of the first choices.

    It reads off the observation how much is decided, so it acts in environments whose observations
    are `NASEnv`'s, or those in one-hot code.
    """

    best: torch.Tensor
    """(T,) int64."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        num_choices: Sequence[int],
    ) -> None:
        super().__init__(observation_space, action_space)
        sizes = np.array(num_choices) + 1
        self.starts = torch.as_tensor(np.cumsum(sizes) - sizes)  # of each entry's one-hot code
        self.register_buffer("best", torch.zeros(len(num_choices), dtype=torch.int64))

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)
        if not isinstance(self.action_space, spaces.Discrete):
            return self.best.expand(len(observation), -1)
        one_hot = isinstance(self.observation_space, spaces.Box)
        undecided = observation[:, self.starts] == 1 if one_hot else observation == 0
        steps = (~undecided).sum(dim=1)
        return self.best[steps.clamp(max=len(self.best) - 1)]
