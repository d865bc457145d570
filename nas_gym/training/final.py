"""The final training: a network is trained to the end, and tested once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.networks import ChildNetwork, count_parameters
from nas_gym.training.checkpoint import Checkpoint
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data


class StopTraining(Exception):
    """Ends a final training after an epoch; see `train_final`."""


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
    top5_accuracy: float | None = None
    """Share of test images whose class is among the five most probable ones, where there are more
    classes."""
    confusion: list[list[int]] | None = None
    """Number of test images by class (row) and predicted class (column)."""
    calibration_error: float | None = None
    """Expected calibration error on the test split, in [0, 1]: how far the probability of the
    predicted class is from the share of right answers."""
    statistics: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    """Mean and standard deviation of each channel by which images are normalized, (C,) of 0-255;
    None for a task without images."""

    @property
    def metrics(self) -> dict[str, Any]:
        """What was measured, as plain JSON data."""
        no_metrics = ("network", "architecture", "settings", "statistics")
        names = (each.name for each in fields(self) if each.name not in no_metrics)
        return {name: getattr(self, name) for name in names}


def train_final(
    architecture: Architecture,
    dataset: Data,
    settings: LearningSettings,
    device: str = "auto",
    on_epoch: Callable[[int], None] = lambda epoch: None,
    checkpoint: Path | None = None,
) -> FinalResult:
    """Train an architecture on the training and validation splits together, and test it once.

    Settings that make children cheaper do not apply: it is trained as it was chosen, on all data,
    for all epochs, from random weights.

    Args:
        architecture: The architecture.
        dataset: The data set.
        settings: How it is built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.
        on_epoch: Called after each epoch with the number of finished ones. Where it raises
            `StopTraining`, the training ends there, and the network is tested as it is.
        checkpoint: A file that is written after each epoch; where it exists, the training goes on
            from it, and ends as one that was never interrupted: on one machine, to the bit.

    Raises:
        Diverged: the loss or the logits are no longer finite.
        InvalidSettings: the checkpoint is of another training (`OtherTraining`), or damaged.
        OSError: the checkpoint cannot be written; the one of the epoch before stands.
    """
    started = time.perf_counter()
    trainer = NetworkTrainer(dataset, settings, device, final=True)
    with trainer.isolated(child_seed(settings.seed, architecture)):
        network = trainer.build(architecture)
        loop = trainer.task.loop(network)
        kept = None if checkpoint is None else Checkpoint(checkpoint, _key(trainer, architecture))
        if kept is not None:
            started -= (kept.restore(loop) or {"seconds": 0.0})["seconds"]
        for _ in trainer.go_on(loop):
            if kept is not None:
                kept.save(loop, seconds=time.perf_counter() - started)
            try:
                on_epoch(loop.epoch)
            except StopTraining:
                loop.finish()
                break
        tested = trainer.task.test(network)
    return FinalResult(
        network=network,
        architecture=architecture,
        settings=settings,
        parameters=count_parameters(network),
        epochs=loop.epoch,
        seconds=time.perf_counter() - started,
        metric=trainer.task.metric.name,
        **tested,
    )


def _key(trainer: NetworkTrainer, architecture: Architecture) -> str:
    """Return the digest of all that a training follows from on one machine."""
    return trainer.digest(
        architecture=architecture.to_dict(),
        settings=asdict(trainer.settings),
        torch=str(torch.__version__),
    )
