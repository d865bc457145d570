"""`ImageClassification`: the task of a data set of images.

The recipe is NASNet's for children (Zoph et al. 2018, appendix A): SGD with momentum, weight decay,
a cosine learning rate of one period, random crops and mirror images. Data, augmentation, loss and
accuracy stay on the device; Python waits for it at the end of an epoch only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_gym.data.batches import DeviceDataset, Statistics, channel_statistics, shape_of
from nas_gym.data.dataset import Dataset, Indices, part_of
from nas_gym.errors import require
from nas_gym.networks import ChildNetwork, ImageShape
from nas_gym.networks.devices import SMALL_IMAGES_BELOW, autocast_dtype
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps.graphs import Graph, worthwhile
from nas_gym.training.steps.training import batch_loss
from nas_gym.training.steps.validation import accuracy_of, count_right, counted, equal_batches
from nas_gym.training.tasks.task import Split, Task
from nas_gym.training.tasks.testing import answers_of

UNLIKE = 3
"""Ratio of the largest class to the smallest from which on `class_balance` is suggested."""
EVALUATION_PIXELS = 2**20
"""Pixels of all images in a batch of validation: 1,024 images of 32x32."""


class ImageClassification(Task):
    """Images on a device, their augmented batches, and the precision in which networks compute."""

    settings_type = TrainingSettings
    settings: TrainingSettings
    input_shape: ImageShape
    fuses = True

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainingSettings,
        device: torch.device,
        final: bool = False,
    ) -> None:
        super().__init__(dataset, settings, device, final)
        self.input_shape = shape_of(dataset)
        height = self.input_shape.height
        self.autocast_dtype = autocast_dtype(settings.precision, device, height)
        self.one_thread = height < SMALL_IMAGES_BELOW
        self._augmentation = settings.augmentation(dataset, final)
        self.known = part_of(dataset.train, dataset.labels, settings.data_fraction)
        if final:
            self.known = np.concatenate([dataset.train, dataset.validation])
        other = ("test", dataset.test) if final else ("validate", dataset.validation)
        for purpose, images in (("train", self.known), other):
            says = f"dataset: {dataset.name} has no images to {purpose} on; give it some"
            require(len(images) > 0, says)
        self.batch_size = min(settings.batch_size, len(self.known))
        self.steps_per_epoch = len(self.known) // self.batch_size
        self.notes = self._notes()

    def take_share(self, rank: int, number: int) -> None:
        graphed = self.settings.cuda_graphs is True
        require(not graphed, "cuda_graphs: a training on several devices has none; leave it out")
        self.share = (rank, number)
        self.batch_size = min(self.settings.batch_size, len(self.known) // number)
        self.steps_per_epoch = len(self.known) // (self.batch_size * number)

    @cached_property
    def training(self) -> DeviceDataset:
        """The images to train on; they are on the device from the first training on."""
        images = self._on_device(self.known, self._augmentation.padding)
        if images.source != self.device:
            says = f"memory: {self.device} has no room for the images; each batch is sent to it"
            warnings.warn(says, stacklevel=2)
        return images

    @cached_property
    def validation(self) -> DeviceDataset:
        """The images to validate on."""
        return self._on_device(self.dataset.validation[: 0 if self.final else None])

    def load(self) -> None:
        _ = self.training, self.validation

    def _on_device(self, indices: Indices, padding: int = 0) -> DeviceDataset:
        return DeviceDataset(self.dataset, indices, self.statistics, self.device, padding)

    @cached_property
    def _test(self) -> DeviceDataset:
        return self._on_device(self.dataset.test)

    def _notes(self) -> tuple[str, ...]:
        settings, counts = self.settings, self._class_sizes[self._class_sizes > 0]
        notes = [f"augmentation: {self._augmentation}"]
        if settings.crop_padding is None and settings.flip is None:
            notes[0] += "; by default, from the images' size and the classes' kind"
        if settings.class_balance is None and counts.max() >= UNLIKE * counts.min():
            notes.append(
                f"classes: the largest has {counts.max() / counts.min():.0f} times the images of "
                "the smallest; class_balance=weights or sampling counts them alike"
            )
        return tuple(notes)

    def digest_facts(self) -> dict[str, object]:
        return {"augmentation": self._augmentation.facts, "autocast": str(self.autocast_dtype)}

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield an epoch's batches in random order: augmented (B, C, H, W) images, (B,) labels.

        With mixup or CutMix, labels are (B, classes) float32, shares of the classes.
        """
        given = (self._order(generator), self.batch_size, self._augmentation, generator)
        return self.training.augmented_batches(*given)

    def draws(self, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Yield the indices of each batch, alone, where all that follows is done on the device."""
        if self._augmentation.draws_globally or self.training.source != self.device:
            return self.batches(generator)
        return zip(self._order(generator).split(self.batch_size), strict=True)

    def batch(self, drawn: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        if len(drawn) == 1:
            return self.training.augmented_batch(drawn[0], self._augmentation, generator)
        return super().batch(drawn, generator)

    def _order(self, generator: torch.Generator) -> Tensor:
        """Return the images of an epoch that are this process's, in whole batches, (n,)."""
        rank, number = self.share
        order = self._whole_order(generator)[: self.steps_per_epoch * self.batch_size * number]
        if number == 1:
            return order
        generator.manual_seed(generator.initial_seed() + 1 + rank)
        return order.view(-1, number, self.batch_size)[:, rank].reshape(-1)

    def _whole_order(self, generator: torch.Generator) -> Tensor:
        """Return the indices of an epoch's training images, (n,)."""
        number, device = len(self.known), self.device
        if self.settings.class_balance != "sampling":
            return torch.randperm(number, generator=generator, device=device)
        # A class, then one of its images, each with equal chances.
        by_class, counts = self._by_class
        places = torch.rand(2, number, generator=generator, device=device)
        classes = (places[0] * len(counts)).long().clamp_(max=len(counts) - 1)
        of_class = counts[classes]
        starts = (counts.cumsum(0) - counts)[classes]
        return by_class[starts + (places[1] * of_class).long().minimum(of_class - 1)]

    @cached_property
    def _by_class(self) -> tuple[Tensor, Tensor]:
        """Indices of the training images in the order of their classes, and those' sizes."""
        order = np.argsort(self.dataset.labels[self.known], kind="stable")
        sizes = self._class_sizes[self._class_sizes > 0]
        return torch.from_numpy(order).to(self.device), torch.from_numpy(sizes).to(self.device)

    @cached_property
    def _class_sizes(self) -> NDArray[np.int64]:
        """Numbers of training images of each class, (classes,)."""
        return np.bincount(self.dataset.labels[self.known], minlength=self.input_shape.classes)

    @cached_property
    def class_weights(self) -> Tensor | None:
        """Weights of the classes in the loss, (classes,), 1 on average over the training images."""
        if self.settings.class_balance != "weights":
            return None
        sizes = self._class_sizes
        weights = sizes.sum() / (len(sizes) * np.maximum(sizes, 1))
        return torch.from_numpy(weights.astype(np.float32)).to(self.device)

    def side_by_side(self, batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return images (B, K C, H, W) and labels (K, B)."""
        if len(batches) == 1:
            return batches[0]
        images, labels = zip(*batches, strict=True)
        return torch.cat(images, dim=1), torch.stack(labels)

    def loss(self, network: ChildNetwork, inputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.settings.label_smoothing
        return batch_loss(network, inputs, targets, smoothing, self.class_weights)[0]

    def prepared(self, network: ChildNetwork) -> ChildNetwork:
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = self.batch_norm_momentum
        return network.to(self.device).to(memory_format=torch.channels_last)

    @property
    def batch_norm_momentum(self) -> float:
        """The weight of a batch in batch normalization's running statistics.

        A short training moves the weights faster than the usual 0.1 lets the statistics follow.
        """
        if self.settings.batch_norm_momentum is not None:
            return self.settings.batch_norm_momentum
        quarter = self.settings.epochs * self.steps_per_epoch / 4
        return float(max(0.1, 1 - 0.01 ** (1 / max(1.0, quarter))))

    def value(self, network: ChildNetwork, split: Split) -> float:
        return self._measure(network, self.validation if split == "validation" else self._test)()

    def validation_of(self, network: ChildNetwork) -> Callable[[], float]:
        return self._measure(network, self.validation, self.settings.epochs)

    def _measure(self, network: Any, data: DeviceDataset, times: int = 1) -> Callable[[], float]:
        """Return a function that measures accuracy, and is called so many times."""
        if not len(data):
            return lambda: float("nan")
        batches = self._whole(data)
        count: Any = partial(count_right, network, data, self.autocast)
        is_here, calls = data.source == self.device, times * len(batches)
        if is_here and worthwhile(self.settings.cuda_graphs, self.device, calls, network):
            batches, count = equal_batches(batches), Graph(count, self.device)
        return lambda: accuracy_of(counted(network, batches, count).tolist(), len(data))

    def test(self, network: ChildNetwork) -> dict[str, Any]:
        with self.autocast():
            answers = answers_of(network, self._test, self._whole(self._test))
        measured = answers.metrics(self.dataset.classes)
        return {**measured, "majority": self.dataset.majority, "statistics": self.statistics}

    @cached_property
    def statistics(self) -> Statistics:
        """Mean and standard deviation of each channel, (C,), in units of a pixel's value (0-255).

        Images are normalized by them, those of the training.
        """
        return channel_statistics(self.dataset, self.known)

    @property
    def validation_batch(self) -> int:
        return max(self.batch_size, min(self._most, len(self.dataset.validation)))

    @property
    def _most(self) -> int:
        return EVALUATION_PIXELS // (self.input_shape.height * self.input_shape.width)

    def _whole(self, data: DeviceDataset) -> Sequence[Tensor]:
        images = torch.arange(len(data), device=self.device)
        return list(images.split(max(self.batch_size, self._most)))
