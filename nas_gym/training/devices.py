"""Precision of a training on a device, and how memory is kept for it."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

import torch

SMALL_IMAGES_BELOW = 16
"""Images below this height make a training step of many short operations, whose time is not
arithmetic: on a CPU, neither bfloat16 nor a second thread pays for them."""


def autocast_dtype(precision: str, device: torch.device, height: int) -> torch.dtype | None:
    """Return the type that autocast uses for images of this height; None for plain float32."""
    wins = False
    if device.type == "cuda":
        wins = torch.cuda.is_bf16_supported(including_emulation=False)
    elif device.type == "cpu" and height >= SMALL_IMAGES_BELOW:
        wins = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)()
    fast = precision == "bfloat16" or (precision == "auto" and wins)
    return torch.bfloat16 if fast else None


@cache
def keep_freed_memory(device: torch.device) -> None:
    """Let glibc keep freed blocks of up to a GiB for the next step, instead of unmapping them.

    Without it, every large activation is mapped, zeroed page by page and unmapped again in every
    step. It holds for the whole process, and does nothing but on a CPU under Linux with glibc.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        for threshold in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(threshold, 2**30)
