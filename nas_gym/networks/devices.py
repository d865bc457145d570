"""Devices that a network runs on, and the number of threads of a CPU."""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from nas_gym.errors import InvalidSettings

DEVICES = ("auto", "cpu", "cuda", "mps")
_HINT = "valid choices: 'auto', 'cpu', 'cuda', 'cuda:N', 'mps'"


def resolve_device(device: str) -> torch.device:
    """Return the device of that name; "auto" takes CUDA, then MPS, then the CPU.

    Raises:
        InvalidSettings: there is no such device here.
    """
    if not isinstance(device, str) or device.partition(":")[0] not in DEVICES:
        raise InvalidSettings(f"device: {device!r} cannot be used here; {_HINT}")
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidSettings(
            f"device: {device!r} cannot be used here ({reason}); {_HINT}"
        ) from error
    return resolved


def synchronize(device: torch.device) -> None:
    """Wait until the device has finished all its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


@contextmanager
def cpu_threads(number: int) -> Iterator[None]:
    """Set the number of threads of an operation on a CPU within it."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@cache
def hardware_name(device: torch.device) -> str:
    """Return the model of the device, such as "NVIDIA H100", as far as the system says it."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    facts = Path("/proc/cpuinfo")
    model = re.search(r"model name\s*:\s*(.+)", facts.read_text()) if facts.is_file() else None
    return model[1] if model else platform.processor() or platform.machine()
