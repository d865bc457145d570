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
from nas_gym.training.loop import TrainingLoop
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.parallel import Member, devices_of, shared_epochs, team
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data


class StopTraining(Exception):
    """Ends a final training after an epoch; see `train_final`."""


class EndAfter(Exception):
    """Has a final training end after another number of epochs in all, ``args[0]``."""


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
    """Number of test images by class (row) and predicted class (column); None for more than 1,000
    classes."""
    calibration_error: float | None = None
    """Expected calibration error on the test split, in [0, 1]: how far the probability of the
    predicted class is from the share of right answers."""
    statistics: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None
    """Mean and standard deviation of each channel by which images are normalized, (C,) of 0-255;
    None for a task without images."""

    @property
    def metrics(self) -> dict[str, Any]:
        """The measurements, as plain JSON data."""
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
        device: "auto" takes CUDA, then MPS, then the CPU. "cuda:0,cuda:1" takes both, with
            ``batch_size`` images a step on each; see `nas_gym.training.parallel`.
        on_epoch: Called after each epoch with the number of finished ones. Where it raises
            `StopTraining`, the training ends there, and the network is tested as it is; where it
            raises `EndAfter`, its schedule is fitted to another number of epochs in all. With
            several devices, fewer epochs end it there, and more change nothing; a language model's
            schedule stays as it was.
        checkpoint: A file that is written after each epoch; where it exists, the training goes on
            from it, and ends as one that was never interrupted: on one machine, to the bit.

    Raises:
        Diverged: the loss or the logits are no longer finite.
        InvalidSettings: the checkpoint is of another training (`OtherTraining`), or damaged.
        OSError: the checkpoint cannot be written; the one of the epoch before stands.
    """
    started, devices = time.perf_counter(), devices_of(device)
    trainer = NetworkTrainer(dataset, settings, devices[0], final=True)
    seed = child_seed(settings.seed, architecture)
    others = (_follow, architecture, dataset, settings, checkpoint)
    with trainer.isolated(seed), team(devices, *others) as member:
        loop, kept, before = _begun(trainer, architecture, member, checkpoint)
        started -= before
        for _ in shared_epochs(trainer, loop, member, seed):
            if kept is not None:
                kept.save(*loop.states(), seconds=time.perf_counter() - started)
            if not _goes_on(loop, settings.epochs, on_epoch, alone=member.number == 1):
                loop.finish()
                break
        network = loop.network
        if member.number > 1:  # without layers that need the others
            network = trainer.build(architecture)
            network.load_state_dict(loop.network.state_dict())
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


def _goes_on(loop: TrainingLoop, epochs: int, on_epoch: Callable[[int], None], alone: bool) -> bool:
    """Notify of an epoch; return False if the training ends there."""
    try:
        on_epoch(loop.epoch)
    except StopTraining:
        return False
    except EndAfter as other:
        if alone:
            loop.end_after(other.args[0])
        return alone or other.args[0] >= epochs
    return True


def _begun(
    trainer: NetworkTrainer, architecture: Architecture, member: Member, checkpoint: Path | None
) -> tuple[TrainingLoop, Checkpoint | None, float]:
    """Return the training where its checkpoint left it, the checkpoint, and its seconds so far."""
    member.take_share(trainer)
    loop = member.loop(trainer, trainer.build(architecture))
    if checkpoint is None:
        return loop, None, 0.0
    kept = Checkpoint(checkpoint, _key(trainer, architecture, member.number))
    saved = kept.restore(loop)
    return loop, kept, saved["seconds"] if saved else 0.0


def _follow(
    member: Member,
    device: str,
    architecture: Architecture,
    dataset: Data,
    settings: LearningSettings,
    checkpoint: Path | None,
) -> None:
    """Train beside the process that called `train_final`, on another device."""
    trainer = NetworkTrainer(dataset, settings, device, final=True)
    seed = child_seed(settings.seed, architecture)
    with trainer.isolated(seed):
        loop, _, _ = _begun(trainer, architecture, member, checkpoint)
        for _ in shared_epochs(trainer, loop, member, seed):
            pass


def _key(trainer: NetworkTrainer, architecture: Architecture, devices: int) -> str:
    """Return the digest of all that a training follows from on one machine."""
    return trainer.digest(
        devices=devices,
        architecture=architecture.to_dict(),
        settings=asdict(trainer.settings),
        torch=str(torch.__version__),
    )
