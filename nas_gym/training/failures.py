"""Failures of a child that become a status."""

from __future__ import annotations

import torch

from nas_gym.networks.limits import TooLarge


class Diverged(ArithmeticError):
    """The loss of a child, or its logits, are no longer finite."""


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an exception says that the machine or the device has no memory left."""
    if isinstance(error, (MemoryError, TooLarge, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )
