"""Precision and number of threads of a training on a device, and how memory is kept for it."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache

import torch

from nas_gym.networks.devices import cpu_threads

SMALL_IMAGES_BELOW = 16
"""Images below this height make a training step of many short operations, whose time is not
arithmetic: on a CPU, neither bfloat16 nor a second thread pays for them."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_KEEP_BYTES = 2**30


def autocast_dtype(precision: str, device: torch.device, height: int) -> torch.dtype | None:
    """Return the type that autocast uses for images of this height; None for plain float32."""
    if precision == "float32":
        return None
    if precision == "bfloat16" or _bfloat16_wins(device, height):
        return torch.bfloat16
    return None


def autocast(device: torch.device, dtype: torch.dtype | None) -> AbstractContextManager[object]:
    """Return a context in which a network computes in a type; None for plain float32."""
    return nullcontext() if dtype is None else torch.autocast(device.type, dtype)


def _bfloat16_wins(device: torch.device, height: int) -> bool:
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type == "cpu":
        return height >= SMALL_IMAGES_BELOW and _cpu_has_bfloat16()
    return False


@cache
def _cpu_has_bfloat16() -> bool:
    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    return bool(supported())


@contextmanager
def threads_for(device: torch.device, height: int) -> Iterator[None]:
    """Compute small images on a CPU by one thread within it, others by as many as before.

    Threads that wait for each other after every short operation lose more than they gain, and
    lose much when another process wants their core.
    """
    one = device.type == "cpu" and height < SMALL_IMAGES_BELOW
    with cpu_threads(1 if one else torch.get_num_threads()):
        yield


@cache
def keep_freed_memory(device: torch.device) -> None:
    """Let glibc keep freed blocks of up to a GiB for the next step, instead of unmapping them.

    Without it, every large activation is mapped, zeroed page by page and unmapped again in every
    step. It holds for the whole process, and does nothing but on a CPU under Linux with glibc.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES)
