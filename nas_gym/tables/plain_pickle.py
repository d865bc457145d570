"""Reads the plain data in a pickle (dicts, lists, numbers, texts) and runs no code of it.

A pickle is a program for a small machine; what makes it dangerous is that it can name any callable
and call it. The reader here resolves four names, to harmless stand-ins of its own, and refuses all
others. Benchmarks that were published as pickles are read with it, and nothing else is.
"""

from __future__ import annotations

import bz2
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

from nas_gym.data.npz import open_regular, read_at_most
from nas_gym.outside.json_text import short_name
from nas_gym.tables.columns import InvalidTable

MOST_BYTES = 2**28
"""Bytes of an uncompressed pickle; those of NATS-Bench are far smaller."""
_FORMATS = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "u1": "<B", "b1": "<?"}


class _NumberType:
    """Replaces ``numpy.dtype``: keeps the type's name, and nothing of its state."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


def _number(kind: _NumberType, data: bytes) -> float:
    """Replace numpy's maker of scalars: return the Python number of little-endian bytes."""
    (value,) = struct.unpack(_FORMATS[kind.name], data)
    return float(value)


_STAND_INS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _number,
    ("numpy._core.multiarray", "scalar"): _number,
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        try:
            return _STAND_INS[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no data") from None

    def persistent_load(self, pid: object) -> Any:
        raise pickle.UnpicklingError(f"it refers to {pid!r} outside the file")


def load_plain(path: Path) -> Any:
    """Return the data in a pickle, which may be compressed by bz2.

    `InvalidTable` if the file cannot be read, is too large, or holds more than data.
    """
    try:
        with open_regular(path) as plain:
            packed = plain.read(3) == b"BZh"
            plain.seek(0)
            content = read_at_most(bz2.BZ2File(plain) if packed else plain, MOST_BYTES)
        return _PlainUnpickler(io.BytesIO(content)).load()
    except Exception as error:  # a broken pickle can raise anything
        raise InvalidTable(
            f"source: {short_name(path)} cannot be read as plain data: {str(error)[:500]}"
        ) from error
