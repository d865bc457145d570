"""Batches of a data set that lives on the device as one tensor, augmented there as a batch.

A crop, a flip and the normalization of a whole batch are one gather and one multiplication: no
image is touched by Python, and nothing waits for the device.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nas_gym.data.dataset import Dataset, Indices


@dataclass(frozen=True)
class Augmentation:
    """Random changes of training images."""

    padding: int
    """Black pixels around the image; a window of the image's size is cropped at random."""
    flip: bool
    """Whether half of the images are mirrored."""
    cutout: int
    """Side of a random square set to the mean (DeVries & Taylor 2017), in pixels; 0 for none."""


class DeviceDataset:
    """Some images of a data set on a device.

    Args:
        dataset: The images; they are kept as uint8, (n, height, width, channels).
        indices: Indices of the images to keep, (n,); here they are numbered from 0.
        normalize_by: Indices of the images that give the mean and the deviation, (m,).
        device: Device of the images.
        padding: Black pixels around each image, for crops.
    """

    def __init__(
        self,
        dataset: Dataset,
        indices: Indices,
        normalize_by: Indices,
        device: torch.device,
        padding: int = 0,
    ) -> None:
        height, width = dataset.images.shape[1:3]
        self.height, self.width, self.padding = height, width, padding
        border = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        self.images = torch.from_numpy(np.pad(dataset.images[indices], border)).to(device)
        self.labels = torch.from_numpy(dataset.labels[indices]).to(device)
        mean, deviation = channel_statistics(dataset, normalize_by)
        self._scale = torch.from_numpy((1 / deviation).astype(np.float32)).to(device)
        self._shift = torch.from_numpy((-mean / deviation).astype(np.float32)).to(device)
        self._rows = torch.arange(height, device=device)
        self._columns = torch.arange(width, device=device)

    def __len__(self) -> int:
        return len(self.labels)

    def __getstate__(self) -> dict[str, Any]:
        """Return arrays for tensors: pickle can put those into memory that processes share."""
        return {"device": self.images.device} | {
            name: value.cpu().numpy() if isinstance(value, Tensor) else value
            for name, value in vars(self).items()
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        device = state.pop("device")
        with warnings.catch_warnings():  # an array that nobody may write to; nobody does here
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            for name, value in state.items():
                is_array = isinstance(value, np.ndarray)
                setattr(self, name, torch.from_numpy(value).to(device) if is_array else value)

    def batch(self, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of indices (B,): (B, C, H, W) float32 channels-last, (B,) labels."""
        rows, columns = self._rows + self.padding, self._columns + self.padding
        pixels = self.images[chosen[:, None, None], rows[None, :, None], columns[None, None, :]]
        return self._normalized(pixels), self.labels[chosen]

    def augmented_batch(
        self, chosen: Tensor, augmentation: Augmentation, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Return the images as `batch` does, cropped, mirrored and cut out at random."""
        # Every image's draws at once: row and column of the crop, mirror, row and column of cutout.
        draws = torch.rand((5, len(chosen), 1), generator=generator, device=chosen.device)
        offsets = (draws[:2] * (2 * self.padding + 1)).long()
        rows, columns = self._rows[None], self._columns[None]
        if augmentation.flip:
            columns = torch.where(draws[2] < 0.5, columns.flip(1), columns)
        pixels = self.images[
            chosen[:, None, None], (rows + offsets[0])[:, :, None], (columns + offsets[1])[:, None]
        ]
        images = self._normalized(pixels)
        if augmentation.cutout:
            half = augmentation.cutout / 2
            near_row = (self._rows - draws[3] * self.height).abs() < half
            near_column = (self._columns - draws[4] * self.width).abs() < half
            hole = near_row[:, None, :, None] & near_column[:, None, None, :]
            images = images.masked_fill_(hole, 0.0)
        return images, self.labels[chosen]

    def _normalized(self, pixels: Tensor) -> Tensor:
        """Turn (B, H, W, C) uint8 into (B, C, H, W) float32, channels last in memory."""
        return torch.addcmul(self._shift, pixels.float(), self._scale).permute(0, 3, 1, 2)


def channel_statistics(
    dataset: Dataset, indices: Indices
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return each channel's mean and standard deviation, in units of a pixel's value (0-255)."""
    channels = range(dataset.images.shape[-1])
    flat = (dataset.images[indices, ..., channel].ravel() for channel in channels)
    counts = np.stack([np.bincount(pixels, minlength=256) for pixels in flat])
    share = counts / counts.sum(axis=1, keepdims=True)
    values = np.arange(256)
    mean = share @ values
    variance = share @ values**2 - mean**2
    return mean, np.sqrt(np.maximum(variance, 1.0))
