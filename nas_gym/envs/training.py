"""From an environment's flat keyword arguments to the evaluator that trains its children."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from nas_gym.errors import InvalidSettings, choices_hint
from nas_gym.evaluation.datasets import load_dataset
from nas_gym.evaluation.settings import TrainingSettings
from nas_gym.evaluation.training import Trainer
from nas_gym.networks import NetworkSettings


def training_settings(
    network: type[NetworkSettings], defaults: Mapping[str, Any], given: Mapping[str, Any]
) -> TrainingSettings:
    """`TrainingSettings` from keyword arguments that name their fields, or the network's.

    Args:
        network: The family's settings; their fields and those of `TrainingSettings` can be given.
        defaults: What holds where nothing is given.
        given: What the user gave.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    of_network = [field.name for field in fields(network)]
    of_training = [field.name for field in fields(TrainingSettings) if field.name != "network"]
    for name in given:
        if name not in (*of_network, *of_training):
            hint = choices_hint(name, (*of_network, *of_training))
            raise InvalidSettings(f"{name!r} is not an argument of this environment; {hint}")
    values = {**defaults, **given}
    return TrainingSettings(
        network=network(**{name: values[name] for name in of_network if name in values}),
        **{name: values[name] for name in of_training if name in values},
    )


def trainer(
    dataset: str, image_size: int | None, device: str, settings: TrainingSettings
) -> Trainer:
    """The evaluator that trains children on a data set.

    Raises:
        InvalidDataset, InvalidSettings: the data set or the device cannot be had.
    """
    return Trainer(load_dataset(dataset, image_size), settings, device)
