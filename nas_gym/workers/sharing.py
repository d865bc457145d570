"""`Share`: an object, for instance a `Trainer`, that many processes use and that is in memory once.

Its arrays and tensors lie in one block, which every process maps copy-on-write: no process sees
what another writes there, and what nobody writes exists once. This module is the ``pickle_module``
of `torch.save`, which keeps tensors outside the pickle; `Pickler` keeps numpy's arrays there too.
"""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import weakref
from contextlib import suppress
from mmap import mmap
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nas_gym.errors import InvalidSettings


class Pickler(pickle.Pickler):
    """Pickles numpy's larger arrays as tensors, and any CUDA device as the process's own.

    Of a map of a whole file, as of decoded images, the path is pickled; see `_path_of`.
    """

    def reducer_override(self, value: Any) -> Any:
        if (mapped := _map_of(value)) is not None:
            return np.memmap, (_path_of(mapped), mapped.dtype, "r", mapped.offset, mapped.shape)
        if type(value) is np.ndarray and _as_tensor(value.dtype) and value.nbytes >= 4096:
            return torch.Tensor.numpy, (torch.from_numpy(np.require(value, None, ["C", "W"])),)
        if isinstance(value, torch.device) and value.type == "cuda":
            return torch.device, ("cuda",)
        return NotImplemented


def _map_of(value: Any) -> np.memmap[Any, Any] | None:
    """Return the map of a whole file that an array is, or that it is a plain form of."""
    mapped = value.base if type(value) is np.ndarray else value
    if not (isinstance(mapped, np.memmap) and isinstance(mapped.base, mmap)):
        return None
    return mapped if value.__array_interface__ == mapped.__array_interface__ else None


def _path_of(mapped: np.memmap[Any, Any]) -> str:
    """Return a path by which other processes can open the file of a map.

    Under Linux, it is that of the descriptor which the map holds: the file may be removed, as
    decoded images are that make room for others, before a process opens it. Elsewhere it is the
    file's own.
    """
    name = os.path.realpath(str(mapped.filename))
    for descriptor in Path(f"/proc/{os.getpid()}/fd").glob("*"):
        with suppress(OSError):  # closed meanwhile
            if os.readlink(descriptor) in (name, f"{name} (deleted)"):
                return str(descriptor)
    return str(mapped.filename)


def _as_tensor(dtype: np.dtype[Any]) -> bool:
    return dtype.kind in "biuf" and dtype.itemsize <= 8 and dtype.isnative  # as torch has them


class SharedObject:
    """Handle of a shared object, to send to other processes of this machine."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> Any:
        """Return the object, with arrays in the block; CUDA tensors go to this process's device."""
        return torch.load(self.path, _own_device, mmap=True, weights_only=False)


class Share(SharedObject):
    """Handle in the process that shares; it owns the block.

    Under Linux, the block is no file: the system frees it when the last process that maps it has
    ended, however it ended. Elsewhere it is a temporary file, which `close` or the exit removes.
    The object is copied, and later changes do not reach the copy; `InvalidSettings` says that it
    cannot be pickled.
    """

    def __init__(self, value: object) -> None:
        file_path = None
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("nas_gym")
        else:
            descriptor, file_path = tempfile.mkstemp(prefix="nas_gym-")
        super().__init__(file_path or f"/proc/{os.getpid()}/fd/{descriptor}")
        self._release = weakref.finalize(self, _remove, descriptor, file_path)
        try:
            with open(descriptor, "wb", closefd=False) as file:
                torch.save(value, file, pickle_module=sys.modules[__name__], pickle_protocol=5)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            self.close()
            raise InvalidSettings(
                f"evaluator: {type(value).__name__} cannot be sent to other processes ({error}); "
                "define its parts at the top level of a module"
            ) from error

    def close(self) -> None:
        """Give the block back, as soon as the processes that loaded from it have ended."""
        self._release()

    def __reduce__(self) -> Any:
        return SharedObject, (self.path,)


def _own_device(storage: Any, location: str) -> Any:
    return storage.cuda() if location.startswith("cuda") else storage


def _remove(descriptor: int, path: str | None) -> None:
    os.close(descriptor)
    if path is not None:
        os.unlink(path)
