"""`Subject`: the trained network to compress, wherever it is from."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas_gym.architecture import published
from nas_gym.data import Dataset
from nas_gym.data.batches import Statistics, channel_statistics, shape_of
from nas_gym.errors import InvalidSettings, require
from nas_gym.families.compression.network import torchvision_model
from nas_gym.models import Model, Normalization, load_image_model
from nas_gym.networks import ImageShape, default_settings
from nas_gym.networks.costs import evaluating
from nas_gym.networks.limits import weightless
from nas_gym.outside.json_text import short
from nas_gym.settings import from_mapping
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer

DEFAULT = "NAS-Bench-201-ResNet"
"""The published architecture that is trained where no model is given, with `_CELLS`."""
_CELLS = {"cells": 1, "filters": 8}
_EPOCHS = 4


@dataclass(frozen=True)
class Subject:
    """A trained classifier, its normalization, and how its network is built.

    The network is a copy, so that whoever gave it can move it and train it further.
    """

    network: nn.Module
    statistics: Statistics
    """Mean and deviation of each channel, (C,) of 0-255."""
    original: Mapping[str, Any]
    """As `CompressedArchitecture.original` has it."""
    settings: Mapping[str, Any]


def subject_of(
    model: str | Path | nn.Module | None,
    dataset: Dataset,
    normalization: Mapping[str, Any] | None,
    device: torch.device,
    seed: int,
) -> Subject:
    """Return the subject of an environment's arguments, as `CompressionEnv` has them."""
    shape = shape_of(dataset)
    if model is None:
        return _default(_Hashed(dataset), device, seed)
    if isinstance(model, (str, Path)):
        folder = Path(model)
        model = load_image_model(folder if (folder / "model.json").exists() else folder / "model")
    if isinstance(model, Model):
        theirs = model.image_shape
        same = theirs == shape
        says = f"model: it takes {theirs}, and {dataset.name!r} has {shape}"
        require(same, f"{says}; give the data set that it was trained on, or image_size")
        mean, std = (np.array(each) for each in asdict(model.facts.normalization).values())
        origin = (model.architecture.to_dict(), model.facts.network)
        copied = deepcopy(model.network).to(device)
        return Subject(copied, (255 * mean, 255 * std), *origin)
    expected = "expected a model folder, a nas_gym.Model or a torch.nn.Module"
    require(isinstance(model, nn.Module), f"model: {expected}, got {short(model)}")
    assert isinstance(model, nn.Module)
    statistics = channel_statistics(dataset, dataset.train)
    if normalization is not None:
        given = from_mapping(Normalization, "normalization", normalization)
        right = len(given.mean) == shape.channels
        require(right, f"normalization: expected {shape.channels} numbers, one a channel")
        statistics = (255 * np.array(given.mean), 255 * np.array(given.std))
    network = deepcopy(model).to(device)
    _check_logits(network, shape, device)
    return Subject(network, statistics, _named(network, shape.classes), {})


class _Hashed:
    """A data set that equals another of the same content."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Hashed) and other.dataset.digest == self.dataset.digest

    def __hash__(self) -> int:
        return hash(self.dataset.digest)


@lru_cache(maxsize=4)
def _default(hashed: _Hashed, device: torch.device, seed: int) -> Subject:
    """Train the default network; the same arguments give the same network."""
    dataset, architecture = hashed.dataset, published(DEFAULT).canonical()
    network = replace(default_settings(architecture), **_CELLS)
    settings = TrainingSettings(network, epochs=_EPOCHS, batch_size=64, seed=seed)
    trainer = Trainer(dataset, settings, str(device), architecture_type=type(architecture))
    evaluation, trained = trainer.train_one(architecture)
    if trained is None:
        raise InvalidSettings(f"model: the default one failed: {evaluation.message}; give one")
    statistics = trainer.task.statistics  # type: ignore[attr-defined]
    return Subject(trained, statistics, architecture.to_dict(), asdict(network))


def _check_logits(network: nn.Module, shape: ImageShape, device: torch.device) -> None:
    """Raise `InvalidSettings` unless a network gives logits for images of a shape."""
    try:
        with evaluating(network), torch.no_grad():
            logits = network(shape.batch(2, device))
    except Exception as error:
        says = f"model: it does not take {shape}: {error}"
        raise InvalidSettings(f"{says}; give its data set, or image_size") from error
    found = tuple(getattr(logits, "shape", ()))
    says = f"model: expected logits of {shape.classes} classes for two images, got {found}"
    require(found == (2, shape.classes), f"{says}; give the data set that it was trained on")


def _named(network: nn.Module, classes: int) -> dict[str, str]:
    """Return the name of torchvision under which a network is built, or that of its class."""
    kind = type(network)
    if kind.__module__.startswith("torchvision.models."):
        from torchvision.models import get_model_builder, list_models  # noqa: PLC0415  # slow

        for name in list_models():
            if get_model_builder(name).__module__ == kind.__module__:
                with weightless():
                    found = torchvision_model(name, classes)
                if repr(found) == repr(network):
                    return {"torchvision": name}
    return {"module": f"{kind.__module__}:{kind.__qualname__}"}
