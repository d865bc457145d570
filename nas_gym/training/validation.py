"""Validation: the share of images that a network classifies correctly."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from nas_gym.data.batches import DeviceDataset
from nas_gym.training.failures import Diverged


def accuracy_on(
    network: nn.Module,
    data: DeviceDataset,
    batches: Sequence[Tensor],
    autocast: AbstractContextManager[object],
) -> float:
    """Return the share of images that a network classifies correctly, in [0, 1].

    Args:
        network: It is put in evaluation mode.
        data: The images.
        batches: The numbers of the images in each batch, (B,) int64.
        autocast: The context in which the network computes.

    Raises:
        Diverged: its logits are not finite.
    """
    network.eval()
    correct = torch.zeros((), dtype=torch.int64, device=data.images.device)
    finite = torch.ones((), dtype=torch.bool, device=data.images.device)
    with torch.inference_mode(), autocast:
        for chosen in batches:
            images, labels = data.batch(chosen)
            logits = network(images)
            correct += (logits.argmax(dim=1) == labels).sum()
            finite &= logits.isfinite().all()
    if not finite:
        raise Diverged("the logits are not finite")
    return correct.item() / sum(map(len, batches))
