"""Policies for Stable-Baselines3's algorithms in nas_gym's environments."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from nas_agents.strategies.softmax_table import NEVER, equal_logits
from nas_gym.settings import NonNegative, validated


class LstmPolicy(RecurrentActorCriticPolicy):
    """RecurrentPPO's ``MlpLstmPolicy`` over the one-hot code of the partial architecture."""

    def make_features_extractor(self) -> BaseFeaturesExtractor:
        extractor = super().make_features_extractor()
        # Not one of NumPy's integers, which PyTorch's LSTM does not accept as a size
        extractor._features_dim = int(extractor.features_dim)
        return extractor


class IndependentLogits(BasePolicy):
    """A table of logits, (T, A): each decision is independent of earlier choices.

    The policy of REINFORCE in NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326;
    AutoDL-Projects, exps/NAS-Bench-201-algos/reinforce.py) and NAS-Bench-101. It acts in the
    environment, one decision a step, and in `nas_gym.wrappers.WholeArchitecture`, all at once.

    Args:
        observation_space: Partial architectures, `MultiDiscrete` of T entries.
        action_space: `Discrete`, or `MultiDiscrete` of T entries.
        init_std: Standard deviation of the initial logits, around 0.
        lr_schedule, optimizer_class, optimizer_kwargs: As in every policy of Stable-Baselines3.
    """

    @validated
    def __init__(
        self,
        observation_space: spaces.MultiDiscrete,
        action_space: spaces.Discrete | spaces.MultiDiscrete,
        lr_schedule: Schedule,
        init_std: NonNegative = 1e-3,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        optimizer: Any = {"optimizer_class": optimizer_class, "optimizer_kwargs": optimizer_kwargs}
        super().__init__(observation_space, action_space, **optimizer)
        self.whole = isinstance(action_space, spaces.MultiDiscrete)
        logits = torch.from_numpy(equal_logits((observation_space.nvec - 1).tolist())).float()
        self.logits = nn.Parameter(logits + init_std * torch.randn(logits.shape))
        keywords = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = optimizer_class(self.parameters(), **keywords)

    def log_probs(self, observations: Tensor, action_masks: Any = None) -> Tensor:
        """Return log-probabilities: (N, A) of the next decisions, or (T, A) of whole networks."""
        if self.whole:
            return self.logits.log_softmax(-1)
        logits = self.logits[(observations > 0).sum(1).clamp(max=len(self.logits) - 1)]
        if action_masks is not None:
            masks = torch.as_tensor(action_masks, dtype=torch.bool, device=logits.device)
            logits = logits.masked_fill(~masks.reshape(logits.shape), NEVER)
        return logits.log_softmax(-1)

    def evaluate_actions(
        self, observations: Tensor, actions: Tensor, action_masks: Any = None
    ) -> tuple[None, Tensor, Tensor]:
        """Return None for values, the actions' log-probabilities, (N,), and entropies, (N,)."""
        log_probs = self.log_probs(observations, action_masks)
        entropy = -(log_probs.exp() * log_probs).sum(-1).expand(actions.shape)
        log_probs = log_probs.expand(*actions.shape, -1).gather(-1, actions[..., None])
        return None, log_probs.flatten(1).sum(1), entropy.reshape(len(actions), -1).sum(1)

    def _predict(
        self, observation: PyTorchObs, deterministic: bool = False, action_masks: Any = None
    ) -> Tensor:
        assert isinstance(observation, Tensor)
        log_probs = self.log_probs(observation, action_masks)
        if deterministic:
            best = log_probs.argmax(-1)
            return best.expand(len(observation), -1) if self.whole else best
        if self.whole:
            return torch.multinomial(log_probs.exp(), len(observation), replacement=True).T
        return torch.multinomial(log_probs.exp(), 1)[:, 0]
