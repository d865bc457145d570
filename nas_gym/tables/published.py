"""Parts that the tables of published benchmarks share. No torch here."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.loading import data_folder
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.index import RowIndex
from nas_gym.tables.table import Table, table_of


def published_table(
    name: str, index: RowIndex, facts: Mapping[str, Any], columns: dict[str, NDArray[np.float64]]
) -> Table:
    """Return the table of accuracy, seconds and parameters, (n,) each, and of what else is known.

    ``facts`` say after how many ``epochs``.
    """
    accuracy = columns.pop("accuracy")
    unknown = np.full_like(accuracy, np.nan)
    others = {"status": np.full(len(accuracy), "ok"), "multiply_adds": unknown, "test": unknown}
    return table_of(name, index, facts, {"curves": accuracy[:, None], **others, **columns})


IMPORT_AGAIN = (
    "it is not what was published; convert the published files with `nas-gym table import`"
)


def find_table(path: str | Path | None, *names: str, or_else: str = "") -> Path:
    """Return the given file, or the first of the names that is in the data folder."""
    if path is not None:
        return Path(os.path.expanduser(path))
    folder = data_folder()
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InvalidTable(
        f"table: {' or '.join(names)} is not in {folder}; {or_else and f'{or_else}, or '}make "
        "one with `nas-gym table import`, or point NAS_GYM_DATA to the folder where it is"
    )


def check_best(
    source: Path,
    tables: Mapping[Any, Table],
    best: Mapping[Any, tuple[float, float]],
    column: str,
) -> None:
    """`require_best` of each table of a source; it must have one, read from a column like that."""
    if not tables:
        raise InvalidTable(f"table: {source} has no column like {column}")
    for record, table in tables.items():
        if record in best:
            require_best(source, table, best[record])


CLOSE = 0.005
"""Difference between a table's best accuracy and the published one up to which it may be the same
benchmark: publications differ in which seeds they count, and in how they round."""


def require_best(source: Path, table: Table, published: tuple[float, float]) -> None:
    """Refuse a table whose best accuracies are not those published, by more than `CLOSE`.

    Others in the last places are a warning.
    """
    for what, values, best in (
        ("validation", table.accuracy, published[0]),
        ("test", table.test, published[1]),
    ):
        if np.isnan(values).all():
            continue
        digits = 4 if best == round(best, 4) else 6
        found = float(np.nanmax(values))
        differs = (
            f"table: {source}: {table.name}: the best {what} accuracy is {found:.6f}; {best} was "
            "published"
        )
        if not abs(found - best) <= CLOSE:
            raise InvalidTable(f"{differs}, so this is not the benchmark")
        if round(found, digits) != best:
            warnings.warn(f"{differs}; such a difference has other seeds or rounding", stacklevel=2)
