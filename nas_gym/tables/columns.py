"""Columns of a recorded benchmark's file: their names, types, shapes and ranges. No torch here."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.npz import array_names, read_npz
from nas_gym.errors import NASGymError, choices_hint
from nas_gym.outside.files import replacing
from nas_gym.outside.json_text import short


class InvalidTable(NASGymError):
    """A recorded benchmark is missing or broken; the message says why, and names the remedy."""


@dataclass(frozen=True)
class Column:
    """Type, shape and range of a column of a table."""

    kinds: str
    """Kinds of dtypes, one of `_KINDS`."""
    shape: tuple[int, ...]
    lowest: float = 0
    highest: float = math.inf
    """Infinity itself is no value."""
    unknown: bool = False
    """True if NaN may stand for an unknown value."""
    percent: bool = False
    """True if values are in percent; a column without any value above 1 is refused as fractions."""
    valid: tuple[str, ...] | None = None
    """Texts that may stand in the column; default: any."""

    def check(self, where: str, column: NDArray[Any], remedy: str) -> None:
        """Raise `InvalidTable` for an array of another dtype, shape or range.

        The message starts with ``where``, the file and the column, and ends with the remedy.
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
        """Return the mask, (...,) bool, of the values that are in the range."""
        if self.valid is not None:
            return np.isin(column, self.valid)
        if self.kinds not in _NUMBERS:
            return np.ones(column.shape, dtype=np.bool_)
        in_range: NDArray[np.bool_] = (column >= self.lowest) & (column <= self.highest)
        in_range &= np.isfinite(column)
        return in_range | np.isnan(column) if self.unknown else in_range

    def _values(self) -> str:
        """Return the range in words."""
        if self.valid is not None:
            return f"one of {', '.join(self.valid)}"
        words = f"{_KINDS[self.kinds]} from {self.lowest:,.10g} to {self.highest:,.10g}"
        return words.replace(f" to {math.inf:g}", " on, and no infinity")


_NUMBERS = {"iu": "whole numbers", "iuf": "numbers"}
_KINDS = {**_NUMBERS, "U": "texts", "SU": "texts", "iufU": "numbers or texts"}


def check_columns(
    where: str, arrays: Mapping[str, NDArray[Any]], expected: Mapping[str, Column], remedy: str
) -> None:
    """Check arrays by name; see `Column.check`."""
    for name, column in expected.items():
        column.check(f"{where}: {name}", arrays[name], remedy)


def require_names(where: str, names: Iterable[str], there: Iterable[str]) -> None:
    """Raise `InvalidTable` unless all ``names`` are among those ``there``."""
    found = list(there)
    missing = [name for name in names if name not in found]
    if missing:
        raise InvalidTable(
            f"{where} has no column {', '.join(map(repr, missing))}; "
            f"it has {', '.join(found) or 'none'}"
        )


def require_recorded(name: str, value: object, valid: Collection[object]) -> None:
    """Raise `InvalidTable` for an argument for which nothing is recorded."""
    if value not in valid:
        hint = choices_hint(value, valid)
        raise InvalidTable(f"{name}: nothing is recorded for {short(value)}; {hint}")


def read_arrays(
    path: Path, names: Collection[str], optional: Collection[str] = ()
) -> dict[str, NDArray[Any]]:
    """Return the named arrays of an ``.npz`` file, and the optional ones that it has.

    `InvalidTable` if the file cannot be read, lacks an array, or holds Python objects.
    """
    there = array_names(path, "table", InvalidTable)
    require_names(f"table: {path}", names, there)
    wanted = [*names, *(name for name in optional if name in there)]
    return read_npz(path, "table", InvalidTable, wanted)


def write_arrays(path: Path, arrays: Mapping[str, Any]) -> None:
    """Write an ``.npz`` beside ``path``, and move it there once it is complete."""
    with replacing(path) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
