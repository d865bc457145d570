"""`TrainingEnv`: the environments whose children are really trained."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from nas_gym.data.loading import load_dataset
from nas_gym.env import NASEnv
from nas_gym.errors import require_arguments
from nas_gym.networks import NetworkSettings
from nas_gym.rewards import Reward
from nas_gym.search_spaces import SearchSpace
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer


class TrainingEnv(NASEnv):
    """An environment of one search space whose children are trained on a data set.

    A subclass names its search space, its network's settings and its defaults; its docstring is
    its page. All arguments are plain JSON-able values.

    Args:
        dataset: A name, an ``.npz`` file, or a folder of images by class.
        image_size: Scale images to this height and width.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`, or a
            mapping of the ``name`` and of parameters.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        render_mode: As in `NASEnv`.
        **arguments: Arguments of the search space, fields of the network's settings, and fields of
            `TrainingSettings`.

    Raises:
        InvalidSettings, InvalidDataset: an argument is not known or not valid, or the data set or
            the device cannot be had.
    """

    search_space_type: ClassVar[type[SearchSpace]]
    network_settings_type: ClassVar[type[NetworkSettings]]
    defaults: ClassVar[dict[str, Any]] = {}
    """Arguments where these differ from the search space's own and from the settings' own."""

    def __init__(
        self,
        dataset: str = "digits",
        image_size: int | None = None,
        reward: str | Mapping[str, Any] | Reward = "accuracy",
        device: str = "auto",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        of_search_space, settings = self.split_arguments(arguments)
        search_space = self.search_space_type(**of_search_space)
        trainer = Trainer(load_dataset(dataset, image_size), settings, device)
        super().__init__(search_space, trainer, reward, render_mode)

    @classmethod
    def default_search_space(cls) -> SearchSpace:
        """The search space of an environment that is made without arguments."""
        return cls.search_space_type(**cls.split_arguments({})[0])

    @classmethod
    def split_arguments(
        cls,
        given: dict[str, Any],
        settings_type: type[TrainingSettings] = TrainingSettings,
    ) -> tuple[dict[str, Any], TrainingSettings]:
        """What of ``given`` is the search space's, and the settings that the rest makes.

        Args:
            given: Arguments of the environment.
            settings_type: The settings that are to be made, with the network's in them.

        Raises:
            InvalidSettings: a name or a value is not valid.
        """
        of_search_space = list(inspect.signature(cls.search_space_type).parameters)
        of_network = [field.name for field in fields(cls.network_settings_type)]
        of_training = [field.name for field in fields(settings_type) if field.name != "network"]
        known = (*of_search_space, *of_network, *of_training)
        require_arguments(given, known)
        values = {**cls.defaults, **given}

        def chosen(names: list[str]) -> dict[str, Any]:
            return {name: values[name] for name in names if name in values}

        network = cls.network_settings_type(**chosen(of_network))
        return chosen(of_search_space), settings_type(network=network, **chosen(of_training))
