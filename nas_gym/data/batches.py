"""Batches of a data set on a device, augmented there as a batch.

A crop, a flip and the normalization of a whole batch are one gather and one multiplication: no
image is touched by Python, and nothing waits for the device.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nas_gym.data.augmentation import Augmentation, drawn_from
from nas_gym.data.dataset import Dataset, Images, Indices
from nas_gym.networks.base import ImageShape

Statistics: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]
DEVICE_SHARE = 0.5
"""Share of a GPU's free memory that images may take; networks need the rest."""
PART_BYTES = 2**19
"""Bytes of the images that are copied or counted at a time; NumPy counts in eight times as many."""


class DeviceDataset:
    """Some images of a data set, as batches on a device.

    On a CPU, the images stay where the data set has them: nothing is copied, and those of a memory
    map are read as batches need them. Another device gets a copy if there is room for it
    (`DEVICE_SHARE`); otherwise, each batch is gathered in the data set and sent.

    Args:
        dataset: The images; they are kept as uint8, (n, height, width, channels).
        indices: Indices of the images to keep, (n,); here they are numbered from 0.
        statistics: Mean and deviation of each channel, (C,); see `channel_statistics`.
        device: Device of the batches.
        padding: Black pixels around each image, for crops.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: Indices,
        statistics: Statistics,
        device: torch.device,
        padding: int = 0,
    ) -> None:
        height, width = dataset.images.shape[1:3]
        self.height, self.width, self.padding, self.device = height, width, padding, device
        self.classes = len(dataset.classes)
        mean, deviation = statistics
        self._scale = torch.from_numpy((1 / deviation).astype(np.float32)).to(device)
        self._shift = torch.from_numpy((-mean / deviation).astype(np.float32)).to(device)
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)
        self.is_copied = has_room(device, len(indices) * dataset.images[0].nbytes)
        self._images = copied(dataset.images, indices, device) if self.is_copied else dataset.images
        self.source = device if self.is_copied else torch.device("cpu")
        """Device on which images are chosen."""
        places = np.arange(len(indices)) if self.is_copied else indices
        self._places = torch.from_numpy(places).to(self.source)
        self.labels = torch.from_numpy(dataset.labels[indices]).to(self.source)

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        """Return arrays for tensors: pickle can put those into memory that processes share."""
        state = vars(self).copy()
        names = [name for name, value in state.items() if isinstance(value, Tensor)]
        tensors = {name: state.pop(name) for name in names}
        return state | {"tensors": {n: (t.device, t.cpu().numpy()) for n, t in tensors.items()}}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, (device, array) in state.pop("tensors").items():
            state[name] = as_tensor(array).to(device)
        vars(self).update(state)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of indices (B,): (B, C, H, W) float32 channels-last, (B,) labels."""
        pixels, labels = self._pixels(chosen)
        return self._normalized(pixels), labels

    def augmented_batches(
        self, order: Tensor, size: int, augmentation: Augmentation, generator: torch.Generator
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the images of indices (n,), ``size`` at a time, as `augmented_batch` does."""
        batches = order.to(self.source).split(size)
        seeds: Sequence[int] = [0] * len(batches)
        if augmentation.draws_globally:
            drawn = (len(batches),)
            seeds = torch.randint(2**62, drawn, generator=generator, device=self.device).tolist()
        for chosen, seed in zip(batches, seeds, strict=True):
            yield self.augmented_batch(chosen, augmentation, generator, seed)

    def augmented_batch(
        self,
        chosen: Tensor,
        augmentation: Augmentation,
        generator: torch.Generator,
        seed: int = 0,
    ) -> tuple[Tensor, Tensor]:
        """Return the images as `batch` does, changed at random.

        Draws are from the generator, and from ``seed`` where torchvision changes images. Labels are
        (B, classes) float32, shares of the classes, if the augmentation mixes images.
        """
        if not augmentation.draws_globally:
            return self._augmented(chosen, augmentation, generator)
        with drawn_from(seed):
            images, labels = self._augmented(chosen, augmentation, generator)
            return augmentation.mix(images, labels, self.classes)

    def _augmented(
        self, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        pixels, labels = self._pixels(chosen)
        # Every image's draws at once: row and column of the crop, mirror, row and column of cutout.
        draws = torch.rand((5, len(chosen), 1), generator=generator, device=self.device)
        offsets = (draws[:2] * (2 * self.padding + 1)).long()
        rows, columns = self._rows[None], self._columns[None]
        if augmentation.flip:
            columns = torch.where(draws[2] < 0.5, columns.flip(1), columns)
        if self.padding or augmentation.flip:
            pixels = self._cropped(pixels, rows + offsets[0], columns + offsets[1])
        images = self._normalized(augmentation.change(pixels))
        if augmentation.cutout:
            half = augmentation.cutout / 2
            near_row = (self._rows - draws[3] * self.height).abs() < half
            near_column = (self._columns - draws[4] * self.width).abs() < half
            hole = near_row[:, None, :, None] & near_column[:, None, None, :]
            images = images.masked_fill_(hole, 0.0)
        return images, labels

    def _pixels(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of indices (B,) on the device: (B, H, W, C) uint8, (B,) labels."""
        chosen = chosen.to(self.source)
        images = self._images if isinstance(self._images, Tensor) else as_tensor(self._images)
        pixels, labels = images[self._places[chosen]], self.labels[chosen]
        if self.source == self.device:
            return pixels, labels
        sent = [each.pin_memory().to(self.device, non_blocking=True) for each in (pixels, labels)]
        return sent[0], sent[1]

    def _cropped(self, pixels: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Return of images (B, H, W, C) with their padding the rows (B, H) and columns (B, W)."""
        padded = F.pad(pixels, (0, 0, *[self.padding] * 4))
        number, height, width, channels = padded.shape
        images = torch.arange(number, device=self.device)[:, None, None]
        places = (images * height + rows[:, :, None]) * width + columns[:, None]
        # Indices of one dimension are several times as fast as of three.
        return padded.view(-1, channels).index_select(0, places.view(-1)).view(pixels.shape)

    def _normalized(self, pixels: Tensor) -> Tensor:
        """Turn (B, H, W, C) uint8 into (B, C, H, W) float32, channels last in memory."""
        return torch.addcmul(self._shift, pixels.float(), self._scale).permute(0, 3, 1, 2)


def shape_of(dataset: Dataset) -> ImageShape:
    """Return the shape of a data set's images, and its number of classes."""
    height, width, channels = dataset.images.shape[1:]
    return ImageShape(channels, height, width, len(dataset.classes))


def as_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor of an array's own memory, which nobody writes to."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given NumPy array is not writable")
        return torch.from_numpy(array)


def has_room(device: torch.device, num_bytes: int) -> bool:
    """Return True if images of so many bytes are copied to a device."""
    if device.type != "cuda":
        return device.type != "cpu"
    return num_bytes <= DEVICE_SHARE * torch.cuda.mem_get_info(device)[0]


def copied(images: Images, indices: Indices, device: torch.device) -> Tensor:
    """Return the images of indices (n,) on a device, by way of a few at a time on the host."""
    copy = torch.empty((len(indices), *images.shape[1:]), dtype=torch.uint8, device=device)
    for start, part in _parts(images, indices):
        copy[start : start + len(part)] = torch.from_numpy(part)
    return copy


def channel_statistics(dataset: Dataset, indices: Indices) -> Statistics:
    """Return each channel's mean and standard deviation, in units of a pixel's value (0-255)."""
    channels = dataset.images.shape[-1]
    counts = np.zeros((channels, 256), np.int64)
    for _, part in _parts(dataset.images, indices):
        for channel in range(channels):
            counts[channel] += np.bincount(part[..., channel].ravel(), minlength=256)
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256)
    mean = share @ values
    variance = share @ values**2 - mean**2
    return mean, np.sqrt(np.maximum(variance, 1.0))


def _parts(images: Images, indices: Indices) -> Iterator[tuple[int, Images]]:
    """Yield copies of a few images at a time, and the place of the first in ``indices``."""
    step = max(1, PART_BYTES // images[0].nbytes)
    for start in range(0, len(indices), step):
        yield start, np.asarray(images[indices[start : start + step]])
