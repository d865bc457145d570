"""The columns of a recorded benchmark's file: how they are read, and what they have to be.

Nothing here unpickles: a file can hold numbers and texts, no code.
"""

from __future__ import annotations

import math
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError


class InvalidTable(NASGymError):
    """A recorded benchmark is missing, or broken; the message says what, and what would do."""


@dataclass(frozen=True)
class Column:
    """What a column of a table has to be."""

    kinds: str
    """Of dtypes: one of `_KINDS`."""
    shape: tuple[int, ...]
    lowest: float = 0
    highest: float = math.inf
    """Infinity itself is no value."""
    unknown: bool = False
    """Whether NaN may stand where nothing is known."""
    percent: bool = False
    """Whether it is in percent, so that a column without any value above 1 is one of fractions."""
    valid: tuple[str, ...] | None = None
    """Of texts, the ones that there can be; default: any."""

    def check(self, where: str, column: NDArray[Any], remedy: str) -> None:
        """Refuses a column that is another.

        Args:
            where: The file and the column's name, for the message.
            column: The column.
            remedy: What would do, for the message.

        Raises:
            InvalidTable: it has another dtype or shape, or holds a value that it cannot.
        """
        if column.dtype.kind not in self.kinds or column.shape != self.shape:
            raise InvalidTable(
                f"{where} is {column.dtype} of shape {column.shape}; expected "
                f"{_KINDS[self.kinds]} of shape {self.shape}; {remedy}"
            )
        wrong = ~self._could_be(column)
        if wrong.any():
            place = np.unravel_index(int(wrong.argmax()), wrong.shape)
            raise InvalidTable(
                f"{where}[{', '.join(map(str, place))}] is {column[place]} "
                f"({np.count_nonzero(wrong)} values are wrong); expected {self._values()}; {remedy}"
            )
        if self.percent and column.max() <= 1:
            raise InvalidTable(
                f"{where} has {column.max()} as its largest value: these are fractions; expected "
                "percent; multiply them by 100"
            )

    def _could_be(self, column: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of the values this column can hold, (...,) bool."""
        if self.valid is not None:
            return np.isin(column, self.valid)
        if self.kinds not in _NUMBERS:
            return np.ones(column.shape, dtype=np.bool_)
        could_be: NDArray[np.bool_] = (
            (column >= self.lowest) & (column <= self.highest) & np.isfinite(column)
        )
        return could_be | np.isnan(column) if self.unknown else could_be

    def _values(self) -> str:
        """Which values there can be, in words."""
        if self.valid is not None:
            return f"one of {', '.join(self.valid)}"
        words = f"{_KINDS[self.kinds]} from {self.lowest:,.10g} to {self.highest:,.10g}"
        return words.replace(f" to {math.inf:g}", " on, and no infinity")


_NUMBERS = {"iu": "whole numbers", "iuf": "numbers"}
_KINDS = {**_NUMBERS, "U": "texts", "SU": "texts"}


def check_columns(
    where: str, arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, Column], remedy: str
) -> None:
    """Refuses arrays of which one is not as expected; see `Column.check`."""
    for name, column in expected.items():
        column.check(f"{where}: {name}", arrays[name], remedy)


def require_names(where: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Refuses a table that lacks a column.

    Raises:
        InvalidTable: one of ``names`` is not among those ``there``.
    """
    found = list(there)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidTable(
            f"{where} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(found) or 'none'}"
        )


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """The named arrays of an ``.npz`` file; others in it are not read.

    Raises:
        InvalidTable: the file cannot be read, lacks one of them, or holds Python objects.
    """
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            if not isinstance(loaded, np.lib.npyio.NpzFile):
                raise InvalidTable(f"table: {path} holds one array; expected an .npz of several")
            require_names(f"table: {path}", names, loaded.files)
            return {name: loaded[name] for name in names}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        if isinstance(error, InvalidTable):
            raise
        reason = str(error)
        if "pickle" in reason.lower():
            reason = "it is, or holds, a pickle, which could run code and is never loaded"
        raise InvalidTable(
            f"table: {path} cannot be read: {reason}; expected an .npz file of plain arrays"
        ) from error
