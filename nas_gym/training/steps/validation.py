"""The accuracy of a network on the images of a split."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.data.batches import DeviceDataset
from nas_gym.training.failures import Diverged

Count = Callable[[Tensor], Tensor]
"""`count_right` of a network."""


def count_right(
    network: nn.Module,
    data: DeviceDataset,
    autocast: Callable[[], AbstractContextManager[object]],
    chosen: Tensor,
) -> Tensor:
    """Return the numbers of images that are classified right and of logits not finite, (2,) int64.

    Images are given by their indices, (B,); -1 stands for none.
    """
    images, labels = data.batch(chosen.clamp(min=0))
    with autocast():
        logits = network(images)
    right = (logits.argmax(dim=1) == labels) & (chosen >= 0)
    return torch.stack((right.sum(), (~logits.isfinite()).sum()))


def equal_batches(batches: Sequence[Tensor]) -> list[Tensor]:
    """Return batches of indices, (B,) each, the last of which is as long as the others."""
    missing = len(batches[0]) - len(batches[-1])
    return [*batches[:-1], F.pad(batches[-1], (0, missing), value=-1)]


def counted(network: nn.Module, batches: Sequence[Tensor], count: Count) -> Tensor:
    """Return the sum of the counts of all batches, (2,), in evaluation mode."""
    network.eval()
    with torch.inference_mode():
        total = count(batches[0]).clone()  # the next call may overwrite it
        for chosen in batches[1:]:
            total += count(chosen)
    return total


def accuracy_of(counts: Sequence[int], images: int) -> float:
    """Return the share of images that are right, in [0, 1]; `Diverged` if logits are not finite."""
    right, not_finite = counts
    if not_finite:
        raise Diverged("the logits are not finite")
    return right / images
