"""What becomes of a child that fails."""

from __future__ import annotations

import torch


class Diverged(ArithmeticError):
    """The loss of a child, or what it answers, is not finite any more."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that the machine or the device has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )
