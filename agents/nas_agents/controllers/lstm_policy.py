"""The LSTM controller as a policy of Stable-Baselines3 and of sb3-contrib's MaskablePPO.

MaskablePPO(MaskableControllerPolicy, env, policy_kwargs={"controller": "nasnet"})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from gymnasium import spaces
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from stable_baselines3.common.type_aliases import PyTorchObs, Schedule
from torch import Tensor, nn

from nas_agents.controllers.lstm import LSTMController
from nas_agents.controllers.recurrent_cells import RecurrentCellController
from nas_agents.controllers.settings import controller_settings
from nas_gym.errors import require
from nas_gym.settings import validated


class _Heads(nn.Module):
    """Passes the controller's logits to the policy, and its features to the value head."""

    def __init__(self, value_gradient: bool) -> None:
        super().__init__()
        self.value_gradient = value_gradient

    def forward(self, outputs: tuple[Tensor, Tensor]) -> tuple[Tensor, ...]:
        return self.forward_actor(outputs), self.forward_critic(outputs)

    def forward_actor(self, outputs: tuple[Tensor, Tensor]) -> Tensor:
        return outputs[1]

    def forward_critic(self, outputs: tuple[Tensor, Tensor]) -> Tensor:
        return outputs[0] if self.value_gradient else outputs[0].detach()


class _ControllerPolicy(BasePolicy):
    """Mix-in of both policies: the logits are the controller's, without further networks.

    ``controller`` is a name in `settings.CONTROLLERS`, or the `ControllerSettings` that differ from
    the defaults; with ``value_gradient``, the value head's error has a gradient in the LSTM, too.
    """

    features_extractor: Any  # an LSTMController, or a RecurrentCellController
    _get_action_dist_from_latent: Callable[[Tensor], Any]
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
        require(
            isinstance(observation_space, spaces.MultiDiscrete),
            'controller: it reads the choices themselves, observation="choices"; got '
            f"{observation_space}",
        )
        self._value_gradient = value_gradient
        keywords |= {"net_arch": [], "ortho_init": False, "share_features_extractor": True}
        chosen = controller_settings(controller)
        extractor = RecurrentCellController if chosen.attends_nodes else LSTMController
        keywords["features_extractor_class"] = extractor
        keywords["features_extractor_kwargs"] = {"settings": asdict(chosen)}
        # The other base takes the learning rate
        super().__init__(observation_space, action_space, lr_schedule, **keywords)

    def _build(self, lr_schedule: Schedule) -> None:
        settings = self.features_extractor.settings
        self.mlp_extractor = _Heads(self._value_gradient)
        self.action_net = nn.Identity()
        self.value_net = nn.Linear(settings.hidden_size, 1)
        for parameter in self.value_net.parameters():
            nn.init.uniform_(parameter, -settings.init_range, settings.init_range)
        keywords = {"lr": lr_schedule(1), **self.optimizer_kwargs}
        self.optimizer = self.optimizer_class(self.parameters(), **keywords)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return super()._get_constructor_parameters() | {
            "controller": asdict(self.features_extractor.settings),
            "value_gradient": self.mlp_extractor.value_gradient,
        }

    def extract_features(  # type: ignore[override]
        self, obs: PyTorchObs, features_extractor: Any = None
    ) -> tuple[Tensor, Tensor]:
        """Return the controller's features, (N, H), and logits, (N, A)."""
        assert isinstance(obs, Tensor)
        logits: tuple[Tensor, Tensor] = self.features_extractor.logits(obs)
        return logits

    def get_distribution(self, obs: PyTorchObs, action_masks: Any = None) -> Any:
        """Return the distribution of the next decisions of N partial architectures, (N, T)."""
        distribution = self._get_action_dist_from_latent(self.extract_features(obs)[1])
        if action_masks is not None:
            distribution.apply_masking(action_masks)
        return distribution

    def predict_values(self, obs: PyTorchObs) -> Tensor:
        """Return the values of N partial architectures, (N, 1)."""
        values: Tensor = self.value_net(self.extract_features(obs)[0])
        return values


class ControllerPolicy(_ControllerPolicy, ActorCriticPolicy):
    """The LSTM controller for PPO, A2C and TRPO."""


class MaskableControllerPolicy(_ControllerPolicy, MaskableActorCriticPolicy):
    """The LSTM controller for MaskablePPO and `nas_agents.controllers.reinforce.Reinforce`."""
