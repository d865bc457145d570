"""`NetworkTrainer`: builds a network on the device, trains it, and measures its accuracy.

The recipe is NASNet's for children (Zoph et al. 2018, appendix A): SGD with momentum, weight decay,
a cosine learning rate of one period, random crops and mirror images. Data, augmentation, loss and
accuracy stay on the device; Python waits for it at the end of an epoch only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_gym.architecture import Architecture
from nas_gym.data.batches import DeviceDataset, channel_statistics
from nas_gym.data.dataset import Dataset, Indices, part_of
from nas_gym.errors import require
from nas_gym.networks import ChildNetwork, ImageShape, build_network
from nas_gym.networks.devices import autocast_dtype, keep_freed_memory, resolve_device
from nas_gym.training.failures import Diverged
from nas_gym.training.fingerprint import digest
from nas_gym.training.seeds import isolated
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import TrainingSteps, accuracy_on, confusion_on

EVALUATION_PIXELS = 2**20
"""Pixels of all images in a batch of validation: 1,024 images of 32x32."""


class DeviceTraining:
    """A data set on a device, its batches, and the precision in which networks compute there.

    Args:
        dataset: The images.
        settings: How networks are built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.
        final: Train on all images of the training and the validation split together, for a network
            that is tested afterwards, instead of validating on the latter.

    Raises:
        InvalidSettings: the device does not exist here, ``cuda_graphs`` is set on another device
            than CUDA, or ``crop_padding`` is larger than the images.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainingSettings,
        device: str = "auto",
        final: bool = False,
    ) -> None:
        self.dataset, self.settings = dataset, settings
        self.device = resolve_device(device)
        require(
            not settings.cuda_graphs or self.device.type == "cuda",
            f"cuda_graphs: expected a CUDA device, but children train on {self.device}",
        )
        keep_freed_memory(self.device)
        _, height, width, channels = dataset.images.shape
        self.image_shape = ImageShape(channels, height, width, len(dataset.classes))
        self.autocast_dtype = autocast_dtype(settings.precision, self.device, height)
        self._augmentation = settings.augmentation(dataset, final)
        self._known = part_of(dataset.train, dataset.labels, settings.data_fraction)
        if final:
            self._known = np.concatenate([dataset.train, dataset.validation])
        self._train = self._on_device(self._known, self._augmentation.padding)
        self._validation = self._on_device(dataset.validation[: 0 if final else None])
        self.batch_size = min(settings.batch_size, len(self._train))
        self.steps_per_epoch = len(self._train) // self.batch_size

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        keep_freed_memory(self.device)  # for the whole process, and this is another one

    def _on_device(self, indices: Indices, padding: int = 0) -> DeviceDataset:
        return DeviceDataset(self.dataset, indices, self._known, self.device, padding)

    @property
    def statistics(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation of each channel, (C,), in units of a pixel's value (0-255).

        Images are normalized by them, those of the training.
        """
        return channel_statistics(self.dataset, self._known)

    def isolated(self, seed: int) -> AbstractContextManager[None]:
        """Return a context whose random numbers follow from ``seed``; see `seeds.isolated`."""
        return isolated(seed, self.device, self.image_shape.height)

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which a network computes in the training's precision."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)

    def digest(self, **facts: object) -> str:
        """Return a digest of facts, and of the data, augmentation, precision and device."""
        return digest(
            dataset=self.dataset.digest,
            augmentation=asdict(self._augmentation),
            autocast=str(self.autocast_dtype),
            device=self.device.type,
            **facts,
        )

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield an epoch's batches in random order: augmented (B, C, H, W) images, (B,) labels."""
        order = torch.randperm(len(self._train), generator=generator, device=self.device)
        for chosen in order[: self.steps_per_epoch * self.batch_size].split(self.batch_size):
            yield self._train.augmented_batch(chosen, self._augmentation, generator)


class NetworkTrainer(DeviceTraining):
    """Trains networks on one data set; `test_accuracy` alone touches its test split."""

    @property
    def batch_norm_momentum(self) -> float:
        """The weight of a batch in batch normalization's running statistics.

        A short training moves the weights faster than the usual 0.1 lets the statistics follow.
        """
        if self.settings.batch_norm_momentum is not None:
            return self.settings.batch_norm_momentum
        quarter = self.settings.epochs * self.steps_per_epoch / 4
        return float(max(0.1, 1 - 0.01 ** (1 / max(1.0, quarter))))

    def build(self, architecture: Architecture) -> ChildNetwork:
        """Build a network on the trainer's device, with weights from torch's global generator."""
        network = build_network(architecture, self.image_shape, self.settings.network)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = self.batch_norm_momentum
        return network.to(self.device).to(memory_format=torch.channels_last)

    def fit(self, network: ChildNetwork) -> Iterator[float]:
        """Train a network; yield its validation accuracy after each epoch (NaN if ``final``).

        Raises:
            Diverged: the loss of an epoch is not finite, or the logits after it are not.
        """
        num_steps = self.settings.epochs * self.steps_per_epoch
        generator = torch.Generator(self.device).manual_seed(torch.initial_seed())
        train = TrainingSteps(network, self.settings, self.device, self.autocast)
        for epoch in range(self.settings.epochs):
            network.train()
            total = torch.zeros((), device=self.device)
            batches = enumerate(self.batches(generator), start=epoch * self.steps_per_epoch)
            for step, (images, labels) in batches:
                total += train.step(images, labels, step / num_steps)
            if not math.isfinite(total.item()):
                raise Diverged(f"the loss is {total.item()} in epoch {epoch + 1}")
            yield self._accuracy(network, self._validation) if self._validation else math.nan

    def test_accuracy(self, network: ChildNetwork) -> float:
        """Return the accuracy on the test split, in [0, 1]: for a final network, once.

        Raises:
            Diverged: the logits are not finite.
        """
        return self._accuracy(network, self._test)

    def test_confusion(self, network: ChildNetwork) -> Tensor:
        """Count the test images by class and predicted class, as `test_accuracy`: (C, C) int64."""
        return confusion_on(network, self._test, self._batches(self._test), self.autocast())

    @cached_property
    def _test(self) -> DeviceDataset:
        return self._on_device(self.dataset.test)

    def _accuracy(self, network: ChildNetwork, data: DeviceDataset) -> float:
        return accuracy_on(network, data, self._batches(data), self.autocast())

    def _batches(self, data: DeviceDataset) -> Sequence[Tensor]:
        most = EVALUATION_PIXELS // (self.image_shape.height * self.image_shape.width)
        images = torch.arange(len(data), device=self.device)
        return list(images.split(max(self.batch_size, most)))
