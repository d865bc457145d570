"""`WeightSharingEnv`: the environments whose children can share the weights of a supernet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from nas_gym.data.loading import load_dataset
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.family_env import TrainingEnv
from nas_gym.rewards import Reward
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings

EVALUATORS = ("trained", "weight-sharing")


class WeightSharingEnv(TrainingEnv):
    """An environment whose children are trained one by one, or evaluated inside a supernet.

    Args:
        dataset: As in `TrainingEnv`.
        image_size: As in `TrainingEnv`.
        evaluator: "trained", or "weight-sharing".
        reward: As in `TrainingEnv`.
        device: As in `TrainingEnv`.
        render_mode: As in `NASEnv`.
        **arguments: As in `TrainingEnv`; with shared weights, fields of `WeightSharingSettings` in
            the place of those of `TrainingSettings`.

    Raises:
        InvalidSettings, InvalidDataset: as in `TrainingEnv`.
    """

    sharing_defaults: ClassVar[dict[str, Any]] = {
        "form": "released_search",
        "epochs": 150,
        "batch_size": 32,
        "learning_rate": 0.05,
        "weight_decay": 2e-4,
    }
    """Arguments, with shared weights, where these differ from ``defaults``."""

    def __init__(
        self,
        dataset: str = "digits",
        image_size: int | None = None,
        evaluator: str = "trained",
        reward: str | Mapping[str, Any] | Reward = "accuracy",
        device: str = "auto",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        if evaluator not in EVALUATORS:
            hint = choices_hint(evaluator, EVALUATORS)
            raise InvalidSettings(f"evaluator: {evaluator!r} is not known; {hint}")
        if evaluator == "trained":
            super().__init__(dataset, image_size, reward, device, render_mode, **arguments)
            return
        of_search_space, settings = self.split_arguments(
            {**self.sharing_defaults, **arguments}, WeightSharingSettings
        )
        assert isinstance(settings, WeightSharingSettings)
        search_space = self.search_space_type(**of_search_space)
        images = load_dataset(dataset, image_size)
        shared = WeightSharing(search_space, images, settings, device)
        NASEnv.__init__(self, search_space, shared, reward, render_mode)
