"""Parts that the tables of published benchmarks share. No torch here."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.loading import data_folder
from nas_gym.errors import choices_hint
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.table import RowIndex, Table, table_of


def published_table(
    name: str, index: RowIndex, facts: Mapping[str, Any], columns: dict[str, NDArray[np.float64]]
) -> Table:
    """Return the table of accuracy, test, seconds and parameters, (n,) each, and maybe latency."""
    accuracy = columns.pop("accuracy")
    others = {
        "status": np.full(len(accuracy), "ok"),
        "multiply_adds": np.full_like(accuracy, np.nan),
    }
    return table_of(name, index, facts, {"curves": accuracy[:, None], **others, **columns})


IMPORT_AGAIN = (
    "it is not what was published; convert the published files with `nas-gym table import`"
)


def require_recorded(name: str, value: object, valid: tuple[object, ...]) -> None:
    """Raise `InvalidTable` for an argument for which nothing is recorded."""
    if value not in valid:
        hint = choices_hint(value, [str(option) for option in valid])
        raise InvalidTable(f"{name}: nothing is recorded for {value!r}; {hint}")


def find_table(path: str | Path | None, *names: str) -> Path:
    """Return the given file, or the first of the names that is in the data folder."""
    if path is not None:
        return Path(os.path.expanduser(path))
    folder = data_folder()
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InvalidTable(
        f"table: {' and '.join(names)} are not in {folder}; make one with `nas-gym table import`, "
        "or point NAS_GYM_DATA to the folder where it is"
    )


def require_best(source: Path, table: Table, published: tuple[float, float] | None) -> None:
    """Raise `InvalidTable` unless a table has the published best accuracies."""
    if published is None:
        return
    for what, values, best in (
        ("validation", table.accuracy, published[0]),
        ("test", table.test, published[1]),
    ):
        digits = 4 if best == round(best, 4) else 6
        found = float(np.nanmax(values))
        if round(found, digits) != best:
            raise InvalidTable(
                f"table: {source}: {table.name}: the best {what} accuracy is {found:.6f}; {best} "
                "was published, so this is not the benchmark"
            )
