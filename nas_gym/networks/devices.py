"""Devices that a network runs on: their precision, threads and memory."""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from operator import attrgetter
from pathlib import Path

import torch

from nas_gym.errors import InvalidSettings, require

_HINT = "valid choices: 'auto', 'cpu', 'cuda', 'cuda:N', 'mps'"
SMALL_IMAGES_BELOW = 16
"""Images below this height make a training step of many short operations, whose time is not
arithmetic: on a CPU, neither bfloat16 nor a second thread pays for them."""


def resolve_device(device: str) -> torch.device:
    """Return the device of that name; "auto" takes CUDA, then MPS, then the CPU.

    `InvalidSettings` if there is no such device here.
    """
    if not re.fullmatch(r"(auto|cpu|cuda|mps)(:.*)?", str(device)):
        raise InvalidSettings(f"device: {device!r} cannot be used here; {_HINT}")
    if device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        resolved = torch.device(device)
        if resolved.type == "cuda":  # a tensor there would take a context's memory
            require(torch.cuda.is_available(), "there is no CUDA device")
            number = torch.cuda.device_count()
            require((resolved.index or 0) < number, f"there are {number} CUDA devices")
        else:
            torch.empty(1, device=resolved)
    except (RuntimeError, AssertionError, NotImplementedError, InvalidSettings) as error:
        says = f"device: {device!r} cannot be used here ({str(error).splitlines()[0]}); {_HINT}"
        raise InvalidSettings(says) from error
    return resolved


def device_here(device: str) -> torch.device:
    """Return a process's own device of that name: of CUDA, "cuda" where it has no such number."""
    try:
        return resolve_device(device)
    except InvalidSettings:
        return resolve_device(device.partition(":")[0])


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


def autocast_dtype(precision: str, device: torch.device, height: int) -> torch.dtype | None:
    """Return the type that autocast uses for images of this height; None for plain float32."""
    types = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if precision != "auto":
        return types[precision]
    if device.type == "cuda":
        has_it = bool(torch.version.hip) or torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if has_it else torch.float16  # V100 and T4 have float16 alone
    wins = getattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False)
    is_cpu = device.type == "cpu" and height >= SMALL_IMAGES_BELOW
    return torch.bfloat16 if is_cpu and wins() else None


@contextmanager
def numerics(
    device: torch.device, tf32: bool, deterministic: bool, benchmark: bool
) -> Iterator[None]:
    """Set how a device computes within it; afterwards, it is as it was.

    Only CUDA has something to set: a CPU repeats as it is. With ``tf32``, products of float32 have
    10 bits of mantissa, by tensor cores; ``deterministic`` refuses operations that do not repeat to
    the bit; by ``benchmark``, cuDNN times its algorithms for each new shape, and takes the fastest.
    """
    if device.type != "cuda":
        yield
        return
    # cuBLAS and torch read it once, when cuBLAS is first used, perhaps by a child that is not
    # deterministic: those that are would crash after it.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    mode = torch.get_deterministic_debug_mode()
    deterministic |= mode > 0  # as its user may have set it
    how = {"benchmark": benchmark and not deterministic, "deterministic": deterministic}
    torch.set_deterministic_debug_mode(2 if deterministic and not mode else mode)
    try:
        with _tf32(tf32), torch.backends.cudnn.flags(enabled=True, allow_tf32=tf32, **how):
            yield
    finally:
        torch.set_deterministic_debug_mode(mode)


_NEWER = ("", ".mkldnn", ".cudnn", ".cuda.matmul", ".cudnn.conv", ".cudnn.rnn", ".mkldnn.matmul")
"""Parts of `torch.backends` that have a ``fp32_precision`` from torch 2.9 on; the first ones are
those from which others inherit it."""


@contextmanager
def _tf32(used: bool) -> Iterator[None]:
    """Compute products and convolutions of float32 in TF32 within it, or not.

    It is set by the older names, which every torch has. A script may have used the newer ones,
    beside which torch refuses to read the older.
    """
    is_new = hasattr(torch.backends, "fp32_precision")
    newer = [attrgetter(f"backends{name}")(torch) for name in _NEWER if is_new]
    matmul, conv = "highest", True  # torch's defaults
    with suppress(RuntimeError):
        matmul = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        conv = torch.backends.cudnn.allow_tf32
    before = []
    for each in newer:
        before.append(each.fp32_precision)
        each.fp32_precision = "none"
    try:
        torch.set_float32_matmul_precision("high" if used else "highest")
        torch.backends.cudnn.allow_tf32 = used
        yield
    finally:
        torch.set_float32_matmul_precision(matmul)
        torch.backends.cudnn.allow_tf32 = conv
        for each, precision in reversed([*zip(newer, before, strict=True)]):
            each.fp32_precision = precision


@cache
def keep_freed_memory(device: torch.device) -> None:
    """Let glibc keep freed blocks of up to a GiB for the next step, instead of unmapping them.

    Without it, every large activation is mapped, zeroed page by page and unmapped again in every
    step. It holds for the whole process, and does nothing but on a CPU under Linux with glibc.
    """
    if device.type == "cpu" and platform.libc_ver()[0] == "glibc":
        for threshold in (-3, -1):  # M_MMAP_THRESHOLD, M_TRIM_THRESHOLD
            ctypes.CDLL(None).mallopt(threshold, 2**30)
