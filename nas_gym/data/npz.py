"""Reads ``.npz`` files from outside: arrays of numbers and texts, whose content nobody has checked.

Nothing is unpickled, so a file can run no code. The header of each array is compared with the size
of its data before memory is allocated, and the sizes with what the file can hold.
"""

from __future__ import annotations

import math
import os
import stat
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from nas_gym.errors import NASGymError
from nas_gym.outside.json_text import short_name

ALWAYS_READ = 2**30
"""Bytes of arrays that any file may hold."""
LARGEST_RATIO = 200
"""Bytes of arrays per byte of a file; deflate reaches 1,000, but only for one repeated value."""
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
_PICKLE = "a pickle, which could run code and is never loaded"


def open_regular(path: str | Path) -> BinaryIO:
    """Open a file; `OSError` refuses pipes, devices and folders without opening them."""
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("it is not a regular file")
    return open(path, "rb")


def read_at_most(file: IO[bytes], most: int) -> bytes:
    """Return the rest of a file; `ValueError` if it has more bytes than ``most``."""
    content = file.read(most + 1)
    if len(content) > most:
        raise ValueError(f"it has more than {most:,} bytes")
    return content


def array_names(path: Path, what: str, error: type[NASGymError]) -> list[str]:
    """Return the names of the arrays in an ``.npz``; see `read_npz`."""
    with _archive(path, what, error) as archive:
        return list(_members(archive))


def read_npz(
    path: Path, what: str, error: type[NASGymError], names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Return arrays of an ``.npz`` file by name.

    Args:
        path: A regular file.
        what: Content of the file, as the error's message starts: "dataset" for instance.
        error: Type of the exception for a file that cannot be read, whose arrays are larger than
            its size allows, or that holds Python objects.
        names: Names of the arrays to read, which the file has; default: all of them.
    """
    with _archive(path, what, error) as archive:
        members = _members(archive)
        chosen = members if names is None else names
        return {name: _read(archive, members[name]) for name in chosen}


@contextmanager
def _archive(path: Path, what: str, error: type[NASGymError]) -> Iterator[zipfile.ZipFile]:
    """Open an ``.npz``, and raise an error of the given type for whatever is wrong with it."""
    try:
        with open_regular(path) as file:
            start = file.read(6)
            if start == b"\x93NUMPY":
                raise ValueError("it holds one array; numpy.savez writes several")
            if not start.startswith(b"PK"):
                raise ValueError(f"it is not a zip archive, or it is {_PICKLE}")
            with zipfile.ZipFile(file) as archive:
                held = os.fstat(file.fileno()).st_size
                claimed = sum(member.file_size for member in archive.infolist())
                if claimed > max(ALWAYS_READ, LARGEST_RATIO * held):
                    raise ValueError(
                        f"its {held:,} bytes claim to hold {claimed:,} bytes of arrays"
                    )
                yield archive
    except Exception as problem:  # a broken archive can raise anything
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        raise error(
            f"{what}: {short_name(path)} cannot be read: {' '.join(reason.split())[:500]}; "
            "expected an .npz file of plain arrays"
        ) from problem


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """Return the members that are arrays, by the array's name."""
    members: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if name in members:
            raise ValueError(f"it holds the array {name!r} twice")
        if name != member.filename:
            members[name] = member
    return members


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{member.filename} is compressed by method {member.compress_type}")
    with archive.open(member) as data:
        version = npy.read_magic(data)
        if version not in _HEADERS:
            raise ValueError(f"{member.filename} has version {version} of NumPy's format")
        shape, _, dtype = _HEADERS[version](data)
        _check_header(member.filename, shape, dtype, member.file_size - data.tell())
    with archive.open(member) as data:
        return np.asarray(npy.read_array(data, allow_pickle=False))


def _check_header(name: str, shape: tuple[int, ...], dtype: np.dtype[Any], held: int) -> None:
    """Refuse a header that does not describe plain values, as many as there are bytes of data."""
    if dtype.hasobject:
        raise ValueError(f"{name} is, or holds, {_PICKLE}")
    if dtype.kind not in "biufSU" or dtype.itemsize == 0:
        raise ValueError(f"{name} holds {dtype}; expected numbers or texts")
    claimed = math.prod(shape) * dtype.itemsize
    if len(shape) > 8 or min(shape, default=0) < 0 or claimed != held:
        raise ValueError(f"{name} claims to be {dtype} of shape {shape[:8]}; it has {held:,} bytes")
