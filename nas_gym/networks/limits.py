"""Limits of a network's size, watched while it is built, before its weights are drawn."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from torch import nn
from torch.nn.modules.module import (
    register_module_module_registration_hook,
    register_module_parameter_registration_hook,
)

from nas_gym.errors import InvalidSettings

MOST_MODULES = 20_000
"""Largest number of modules in a network; NASNet-A with 18 cells a stack has about 4,000."""


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
        raise TooLarge(
            f"{name}: at least {num_bytes / 2**30:,.1f} GiB are needed, and this machine has "
            f"{memory_bytes() / 2**30:,.1f}; choose fewer cells, filters, classes or pixels"
        )


@contextmanager
def size_limit() -> Iterator[None]:
    """Stop the building of a network within it that is too large.

    A parameter is counted when it enters a module: its memory is then reserved, but not yet used.
    On the meta device it needs none.

    Raises:
        TooLarge: the weights do not fit into the memory, or there are over 20,000 modules.
    """
    thread, num_bytes, num_modules = threading.get_ident(), 0, 0

    def count_parameter(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal num_bytes
        if parameter is not None and not parameter.is_meta and thread == threading.get_ident():
            num_bytes += parameter.nbytes
            require_memory("network", num_bytes)

    def count_module(module: nn.Module, name: str, submodule: nn.Module | None) -> None:
        nonlocal num_modules
        num_modules += thread == threading.get_ident()
        if num_modules > MOST_MODULES:
            raise TooLarge(
                f"network: it has over {MOST_MODULES:,} modules; choose fewer cells or layers"
            )

    handles = (
        register_module_parameter_registration_hook(count_parameter),
        register_module_module_registration_hook(count_module),
    )
    try:
        yield
    except (OverflowError, RuntimeError, TypeError) as error:
        if any(word in str(error).lower() for word in ("allocate memory", "overflow")):
            raise TooLarge(
                "network: a layer is larger than the memory; choose fewer filters or classes"
            ) from error
        raise
    finally:
        for handle in handles:
            handle.remove()
