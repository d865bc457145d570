"""The final training: a network is trained to the end, and tested once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.networks import ChildNetwork, count_parameters
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import LearningSettings
from nas_gym.training.task import Data


@dataclass(frozen=True)
class FinalResult:
    """A network trained to the end, and its result on the test split."""

    network: ChildNetwork
    architecture: Architecture
    settings: LearningSettings
    parameters: int
    epochs: int
    seconds: float
    test_accuracy: float
    """On the test split, in [0, 1]; of another metric, the score."""
    majority: float = 0.0
    """Test accuracy of always answering the most frequent training class; of a language model, the
    score of the frequencies of words alone."""
    class_accuracies: dict[str, float] = field(default_factory=dict)
    """Test accuracy of each class that has test images: one number for all can hide a class at
    0."""
    metric: str = "accuracy"
    test_value: float | None = None
    """Value of a metric other than accuracy on the test split."""
    statistics: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    """Mean and standard deviation of each channel by which images are normalized, (C,) of 0-255;
    None for a task without images."""

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured, as plain JSON data."""
        names = ("test_accuracy", "class_accuracies", "majority", "parameters", "epochs", "seconds")
        return {name: getattr(self, name) for name in (*names, "metric", "test_value")}


def train_final(
    architecture: Architecture,
    dataset: Data,
    settings: LearningSettings,
    device: str = "auto",
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> FinalResult:
    """Train an architecture on the training and validation splits together, and test it once.

    Settings that make children cheaper do not apply: it is trained as it was chosen, on all data,
    for all epochs, from random weights. ``on_epoch`` is called after each epoch with the number of
    finished ones.

    Raises:
        Diverged: the loss or the logits are no longer finite.
    """
    started = time.perf_counter()
    trainer = NetworkTrainer(dataset, settings, device, final=True)
    with trainer.isolated(child_seed(settings.seed, architecture)):
        network = trainer.build(architecture)
        for epoch, _ in enumerate(trainer.fit(network), start=1):
            on_epoch(epoch)
        tested = trainer.task.test(network)
    return FinalResult(
        network=network,
        architecture=architecture,
        settings=settings,
        parameters=count_parameters(network),
        epochs=settings.epochs,
        seconds=time.perf_counter() - started,
        metric=trainer.task.metric.name,
        **tested,
    )
