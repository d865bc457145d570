"""The final training: a network is trained to the end, and tested once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from nas_gym.architecture import Architecture
from nas_gym.data.dataset import Dataset
from nas_gym.networks import (
    ChildNetwork,
    count_parameters,
)
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer, child_seed


@dataclass(frozen=True)
class FinalResult:
    """A network trained to the end, and how it did on the test split."""

    network: ChildNetwork
    test_accuracy: float
    """On the test split, in [0, 1]."""
    parameters: int
    epochs: int
    seconds: float


def train_final(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainingSettings,
    device: str = "auto",
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> FinalResult:
    """Trains an architecture on training and validation images together, and tests it once.

    Args:
        architecture: What to train, as it was chosen.
        dataset: The images.
        settings: How to build and train it.
        device: "auto" takes CUDA, then MPS, then the CPU.
        on_epoch: Called with the number of epochs done after each.

    Raises:
        Diverged: the loss is not finite any more, or what the network answers.
    """
    started = time.perf_counter()
    trainer = Trainer(dataset, settings, device, final=True)
    with trainer.isolated(child_seed(settings.seed, architecture)):
        network = trainer.build(architecture)
        for epoch, _ in enumerate(trainer.fit(network), start=1):
            on_epoch(epoch)
        accuracy = trainer.test_accuracy(network)
    seconds = time.perf_counter() - started
    return FinalResult(network, accuracy, count_parameters(network), settings.epochs, seconds)
