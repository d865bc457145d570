"""Policies of Stable-Baselines3's algorithms, for the observations of nas_gym."""

from __future__ import annotations

from typing import Any

from gymnasium import spaces
from sb3_contrib.common.recurrent.policies import RecurrentActorCriticPolicy
from stable_baselines3.common.torch_layers import FlattenExtractor


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
