"""The LSTM controller as a policy of Stable-Baselines3 and of sb3-contrib's MaskablePPO.

    MaskablePPO(MaskableControllerPolicy, env, policy_kwargs={"controller": "nasnet"})

A masked recurrent controller that needs no recurrent algorithm: see `nas_agents.controllers.lstm`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import nn

from nas_agents.controllers.lstm import LSTMController
from nas_agents.controllers.settings import controller_settings
from nas_gym.errors import require
from nas_gym.settings import validated


class _Heads(nn.Module):
    """Passes the controller's logits to the policy, and its features to the value head."""

    def __init__(self, value_gradient: bool) -> None:
        super().__init__()
        self.value_gradient = value_gradient

    def forward(self, outputs: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, ...]:
        return self.forward_actor(outputs), self.forward_critic(outputs)

    def forward_actor(self, outputs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return outputs[1]

    def forward_critic(self, outputs: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        return outputs[0] if self.value_gradient else outputs[0].detach()


class _ControllerPolicy(BasePolicy):
    """Mix-in of both policies: the logits are the controller's, without further networks.

    Args:
        observation_space: Partial architectures, as nas_gym's environments have them.
        action_space: `Discrete`, one decision a step.
        lr_schedule: The learning rate.
        controller: A name in `nas_agents.controllers.settings.CONTROLLERS`, or the settings that
            differ from the defaults of `ControllerSettings`.
        value_gradient: Pass the gradient of the value head's error on to the LSTM.
        **keywords: As in the base.

    Raises:
        InvalidSettings: an argument is not valid, or the controller cannot act in these spaces.
    """

    features_extractor: LSTMController
    _get_action_dist_from_latent: Callable[[torch.Tensor], Any]
    action_net: Any
    mlp_extractor: Any
    value_net: nn.Linear

    @validated
    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        controller: str | Mapping[str, Any] | None = None,
        value_gradient: bool = True,
        **keywords: Any,
    ) -> None:
        require(
            isinstance(action_space, spaces.Discrete),
            f"controller: it makes one decision a step, in Discrete actions; got {action_space}",
        )
        self._value_gradient = value_gradient
        fixed = {
            "net_arch": [],
            "ortho_init": False,
            "share_features_extractor": True,
            "features_extractor_class": LSTMController,
            "features_extractor_kwargs": {"settings": asdict(controller_settings(controller))},
        }
        super().__init__(
            observation_space,
            action_space,
            lr_schedule,  # as the other base takes it
            **{**keywords, **fixed},
        )

    def _build(self, lr_schedule: Schedule) -> None:
        settings = self.features_extractor.settings
        self.mlp_extractor = _Heads(self._value_gradient)
        self.action_net = nn.Identity()
        self.value_net = nn.Linear(settings.hidden_size, 1)
        for parameter in self.value_net.parameters():
            nn.init.uniform_(parameter, -settings.init_range, settings.init_range)
        self.optimizer = self.optimizer_class(
            self.parameters(),
            lr=lr_schedule(1),  # type: ignore[call-arg]
            **self.optimizer_kwargs,
        )

    def _get_constructor_parameters(self) -> dict[str, Any]:
        settings = self.features_extractor.settings
        return {
            "observation_space": self.observation_space,
            "action_space": self.action_space,
            "lr_schedule": self._dummy_schedule,
            "controller": asdict(settings),
            "value_gradient": self.mlp_extractor.value_gradient,
            "optimizer_class": self.optimizer_class,
            "optimizer_kwargs": self.optimizer_kwargs,
        }

    def extract_features(  # type: ignore[override]
        self, obs: PyTorchObs, features_extractor: Any = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the controller's features, (N, H), and logits, (N, A)."""
        assert isinstance(obs, torch.Tensor)
        return self.features_extractor.logits(obs)

    def get_distribution(self, obs: PyTorchObs, action_masks: Any = None) -> Any:
        """Return the distribution of the next decisions of N partial architectures, (N, T)."""
        distribution = self._get_action_dist_from_latent(self.extract_features(obs)[1])
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return distribution

    def predict_values(self, obs: PyTorchObs) -> torch.Tensor:
        """Return the values of N partial architectures, (N, 1)."""
        values: torch.Tensor = self.value_net(self.extract_features(obs)[0])
        return values


class ControllerPolicy(_ControllerPolicy, ActorCriticPolicy):
    """The LSTM controller for PPO, A2C and TRPO."""


class MaskableControllerPolicy(_ControllerPolicy, MaskableActorCriticPolicy):
    """The LSTM controller for MaskablePPO and `nas_agents.controllers.reinforce.Reinforce`."""
