"""Reads the plain data in a pickle (dicts, lists, numbers, texts) and runs nothing of it.

A pickle is a program for a small machine; what makes it dangerous is that it can name any callable
and call it. The reader here resolves four names, to harmless stand-ins of its own, and refuses all
others. Only ``nas-gym table import --unpickle`` uses it, for a benchmark published as pickles.
"""

from __future__ import annotations

import bz2
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

from nas_gym.tables.columns import InvalidTable

_FORMATS = {"f8": "<d", "f4": "<f", "i8": "<q", "i4": "<i", "u1": "<B", "b1": "<?"}


class _NumberType:
    """Stands in for ``numpy.dtype``: keeps the type's name, and nothing of its state."""

    def __init__(self, name: str, *_: object) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        pass


def _number(kind: _NumberType, data: bytes) -> float:
    """Stands in for numpy's maker of scalars: the Python number of little-endian bytes."""
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
    """The data in a bz2-compressed pickle.

    Raises:
        InvalidTable: the file cannot be read, or holds more than data.
    """
    try:
        with bz2.BZ2File(path, "rb") as file:
            return _PlainUnpickler(file).load()
    except Exception as error:  # a broken pickle can raise anything
        raise InvalidTable(f"source: {path} cannot be read as plain data: {error}") from error
