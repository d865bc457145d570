"""Policies of Stable-Baselines3's algorithms, for the observations of nas_gym."""

from __future__ import annotations

from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.torch_layers import FlattenExtractor
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

NEVER = -1e8
"""The logit of a choice that cannot be made, as in sb3-contrib: its probability is 0, and so is its
part of the entropy."""


class OneHot(FlattenExtractor):
    """The one-hot code of a `MultiDiscrete` observation, (N, sum of its sizes).

    Stable-Baselines3 computes the same code, but counts its entries in NumPy's integers, which
    PyTorch's LSTM does not take for a size.
    """

    def __init__(self, observation_space: spaces.Space[Any]) -> None:
        super().__init__(observation_space)
        self._features_dim = int(self._features_dim)


class LstmPolicy(RecurrentActorCriticPolicy):
    """RecurrentPPO's ``MlpLstmPolicy`` over the one-hot code of the partial architecture."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **{"features_extractor_class": OneHot, **keywords})


class IndependentLogits(BasePolicy):
    """A softmax of its own for each decision, whatever was chosen before: T x A parameters.

    The policy of REINFORCE in NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326;
    AutoDL-Projects, exps/NAS-Bench-201-algos/reinforce.py) and NAS-Bench-101. It acts in the
    environment, one decision a step, and in `nas_gym.wrappers.WholeArchitecture`, all at once.

    Args:
        observation_space: Partial architectures, `MultiDiscrete` of T entries.
        action_space: `Discrete`, or `MultiDiscrete` of T entries.
        lr_schedule: The learning rate.
        init_std: The standard deviation of the first logits, around 0.
        optimizer_class, optimizer_kwargs: As in every policy of Stable-Baselines3.
    """

    beyond: torch.Tensor  # (T, A) bool

    def __init__(
        self,
        observation_space: spaces.MultiDiscrete,
        action_space: spaces.Discrete | spaces.MultiDiscrete,
        lr_schedule: Schedule,
        init_std: float = 1e-3,
        optimizer_class: type[torch.optim.Optimizer] = torch.optim.Adam,
        optimizer_kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(
            observation_space,
            action_space,
            optimizer_class=optimizer_class,
            optimizer_kwargs=optimizer_kwargs,
        )
        sizes = torch.as_tensor(observation_space.nvec.astype("int64") - 1)  # (T,)
        self.whole = isinstance(action_space, spaces.MultiDiscrete)
        self.logits = nn.Parameter(init_std * torch.randn(len(sizes), int(sizes.max())))  # (T, A)
        beyond = torch.arange(self.logits.shape[1]) >= sizes[:, None]
        self.ragged = bool(beyond.any())
        self.register_buffer("beyond", beyond)
        self.optimizer = optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def log_probabilities(
        self, observations: torch.Tensor, action_masks: Any = None
    ) -> torch.Tensor:
        """(N, A) for the next decision of N partial architectures; (T, A) of whole ones."""
        logits: torch.Tensor = self.logits
        if self.ragged:
            logits = logits.masked_fill(self.beyond, NEVER)
        if self.whole:
            return logits.log_softmax(-1)
        decided = (observations > 0).sum(1).clamp(max=len(logits) - 1)
        logits = logits[decided]
        if action_masks is not None:
            valid = torch.as_tensor(action_masks, dtype=torch.bool, device=logits.device)
            logits = logits.masked_fill(~valid.reshape(logits.shape), NEVER)
        return logits.log_softmax(-1)

    def evaluate_actions(
        self, observations: torch.Tensor, actions: torch.Tensor, action_masks: Any = None
    ) -> tuple[None, torch.Tensor, torch.Tensor]:
        """No values; the actions' log-probabilities, (N,), and the policy's entropies, (N,)."""
        log_p = self.log_probabilities(observations, action_masks)
        if self.whole:
            chosen = log_p.expand(len(actions), -1, -1).gather(2, actions[:, :, None])
            entropy = -(log_p.exp() * log_p).sum()
            return None, chosen.sum((1, 2)), entropy.expand(len(actions))
        entropy = -(log_p.exp() * log_p).sum(-1)
        return None, log_p.gather(1, actions[:, None])[:, 0], entropy

    def _predict(
        self, observation: PyTorchObs, deterministic: bool = False, action_masks: Any = None
    ) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)
        log_p = self.log_probabilities(observation, action_masks)
        if deterministic:
            best = log_p.argmax(-1)
            return best.expand(len(observation), -1) if self.whole else best
        if self.whole:
            return torch.multinomial(log_p.exp(), len(observation), replacement=True).T
        return torch.multinomial(log_p.exp(), 1)[:, 0]
