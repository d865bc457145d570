"""Limits of a network's size, checked while it is built, before large weights are drawn."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import torch
from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from nas_gym.errors import InvalidSettings

MOST_MODULES = 20_000
"""Largest number of modules in a network; NASNet-A with 18 cells a stack has about 4,000."""
LARGE = 2**28
"""Bytes of weights from which on a network is built without weights first."""


class TooLarge(InvalidSettings):
    """A network does not fit into the memory, or has too many modules."""


@cache
def memory_bytes() -> int:
    """Return the memory of this machine in bytes; 64 GiB where the system does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return 2**36


def require_memory(name: str, num_bytes: int) -> None:
    """Raise `TooLarge` if this machine has less memory in all than ``num_bytes``."""
    if num_bytes > memory_bytes():
        needed, here = (f"{each / 2**30:,.1f}" for each in (num_bytes, memory_bytes()))
        says = f"{name}: at least {needed} GiB are needed, and this machine has {here}"
        raise TooLarge(f"{says}; choose fewer cells, filters, classes or pixels")


class _NoInitialization(TorchFunctionMode):
    """Skips `torch.nn.init`, which is slow on the meta device and sets nothing there."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = kwargs or {}
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


@contextmanager
def weightless() -> Iterator[None]:
    """Build networks on torch's meta device within it: shapes, but no memory and no numbers."""
    with torch.device("meta"), _NoInitialization():
        yield


@contextmanager
def size_limit(build: Callable[[], nn.Module]) -> Iterator[None]:
    """Stop the building of a network within it that is too large, with `TooLarge`.

    It is where weights and gradients do not fit into the memory, or there are over 20,000 modules.
    ``build`` builds the same network; it is called on the meta device if the network is large.
    """
    thread, num_bytes, num_modules = threading.get_ident(), 0, 0

    def count_parameter(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal num_bytes, num_modules
        if parameter is None or parameter.is_meta or thread != threading.get_ident():
            return
        before, num_bytes = num_bytes, num_bytes + parameter.nbytes
        if before <= LARGE < num_bytes:
            built = num_modules
            with weightless():
                network = build()
            num_modules = built
            require_memory("network", 2 * sum(each.nbytes for each in network.parameters()))

    def count_module(module: nn.Module, name: str, submodule: nn.Module | None) -> None:
        nonlocal num_modules
        num_modules += thread == threading.get_ident()
        if num_modules > MOST_MODULES:
            says = f"network: it has over {MOST_MODULES:,} modules; choose fewer cells or layers"
            raise TooLarge(says)

    parameters = register_module_parameter_registration_hook(count_parameter)
    modules = register_module_module_registration_hook(count_module)
    try:
        with parameters, modules:
            yield
    except (OverflowError, RuntimeError, TypeError) as error:
        if not any(word in str(error).lower() for word in ("allocate memory", "overflow")):
            raise
        says = "network: a layer is larger than the memory; choose fewer filters or classes"
        raise TooLarge(says) from error
