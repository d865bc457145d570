"""Networks and a replay buffer for TD3 and DDPG, for actions that are scores of choices.

`nas_gym.wrappers.ContinuousAction` takes the valid choice with the highest score. So the reward is
a step function of the scores: flat nearly everywhere, while a deterministic policy gradient follows
its slope alone. Three changes give that slope a meaning:

1. The replay buffer keeps the choice that was taken, not the scores: one score is 1 and the others
   are -1. The critic learns the value of that choice (as Wolpertinger's does: Dulac-Arnold et al.
   2015, https://arxiv.org/abs/1512.07679, algorithm 2).
2. The critic is linear in the scores: it gives each choice a value, as DQN's network does, and its
   slope is the difference of two choices' values wherever the scores are.
3. The actor's scores are a softmax, so that one rises as others fall (as the relaxed discrete
   actions of Lowe et al. 2017, https://arxiv.org/abs/1706.02275, section 4.1), with bounded logits,
   so that every choice keeps some probability.

Tensors in the networks: features (N, F), scores (N, A) in [-1, 1], values (N, 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.policies import ContinuousCritic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor, create_mlp
from stable_baselines3.td3.policies import Actor, TD3Policy
from torch import Tensor, nn

from nas_gym.errors import require

LARGEST_LOGIT = 3.0
"""It limits the share of the best of five choices to 0.99."""


class Scores(nn.Module):
    """Logits, (N, A), to scores, (N, A): their softmax, scaled to (-1, 1)."""

    def forward(self, logits: Tensor) -> Tensor:
        bounded = LARGEST_LOGIT * torch.tanh(logits / LARGEST_LOGIT)
        return 2 * torch.softmax(bounded, dim=-1) - 1


class ValueOfScores(nn.Module):
    """Features and scores, (N, F + A), to values, (N, 1), linear in the scores."""

    def __init__(
        self, features_dim: int, choices: int, net_arch: list[int], activation: type[nn.Module]
    ) -> None:
        super().__init__()
        self.sizes = [features_dim, choices]
        self.of_choices = nn.Sequential(*create_mlp(features_dim, choices, net_arch, activation))

    def forward(self, both: Tensor) -> Tensor:
        features, scores = both.split(self.sizes, dim=1)
        weighted: Tensor = self.of_choices(features) * (scores + 1) / 2  # (N, A)
        return weighted.sum(dim=1, keepdim=True)


class ChoiceActor(Actor):
    """TD3's actor with `Scores` instead of its last layer's tanh."""

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        *layers, _ = self.mu
        self.mu = nn.Sequential(*layers, Scores())


class ChoiceCritic(ContinuousCritic):
    """TD3's critics, each a `ValueOfScores`."""

    def __init__(
        self,
        *,
        net_arch: list[int],
        features_dim: int,
        activation_fn: type[nn.Module],
        **keywords: Any,
    ) -> None:
        super().__init__(net_arch=[], features_dim=features_dim, **keywords)
        choices = int(np.prod(self.action_space.shape or ()))
        for number in range(len(self.q_networks)):
            network = ValueOfScores(features_dim, choices, net_arch, activation_fn)
            self.q_networks[number] = network
            setattr(self, f"qf{number}", network)  # as ContinuousCritic names them


class ChoicePolicy(TD3Policy):
    """TD3's policy, made of `ChoiceActor` and `ChoiceCritic`; with `ChoiceReplayBuffer`."""

    def make_actor(self, features_extractor: BaseFeaturesExtractor | None = None) -> Actor:
        keywords = self._update_features_extractor(self.actor_kwargs, features_extractor)
        return ChoiceActor(**keywords).to(self.device)

    def make_critic(
        self, features_extractor: BaseFeaturesExtractor | None = None
    ) -> ContinuousCritic:
        keywords = self._update_features_extractor(self.critic_kwargs, features_extractor)
        return ChoiceCritic(**keywords).to(self.device)


class ChoiceReplayBuffer(NStepReplayBuffer):
    """Stores the choices that were taken instead of their scores.

    They are read off the next observation, which has one entry more: c + 1 for choice c.
    """

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        # (T,): a decision's choices, and one for undecided
        sizes = getattr(self.observation_space, "nvec", np.zeros(1))
        require(
            sizes.ndim == 1 and sizes.max() - 1 == self.action_dim,
            "replay_buffer_class: ChoiceReplayBuffer needs the environment's own observations, and "
            "a score for each choice of one decision, got "
            f"{self.observation_space} and {self.action_space}",
        )

    def add(
        self, obs: NDArray[Any], next_obs: NDArray[Any], action: NDArray[Any], *others: Any
    ) -> None:
        """Add a step of N environments: (N, T) observations, (N, A) scores."""
        episodes, decisions = np.nonzero((obs == 0) & (next_obs > 0))
        taken = np.full_like(action, -1.0)
        taken[episodes, next_obs[episodes, decisions] - 1] = 1.0
        super().add(obs, next_obs, taken, *others)
