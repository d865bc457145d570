"""Reads a CSV or JSON file into a frame. No torch and no pandas here."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from nas_gym.outside.json_text import read_json_text, read_text_file, short, short_name
from nas_gym.tables.columns import InvalidTable

Frame: TypeAlias = Mapping[str, Any]
"""Columns of equal length by name: a pandas DataFrame, or a dict of arrays or lists."""
MOST_BYTES = 2**30
"""The most bytes of a file."""
_MISSING = "\0"
"""Stands for a cell that a line of a CSV file does not have."""


def load_frame(path: str | Path) -> Frame:
    """Return the columns of a CSV file with a head line, or of a JSON file.

    JSON is a list of objects, one a row, or an object of lists, one a column.
    """
    file, where = Path(path), f"table: {short_name(str(path))}"
    if file.suffix not in (".csv", ".json"):
        raise InvalidTable(
            f"{where}: expected a file .csv or .json; `nas_gym.tables.built_table` reads what "
            "`nas-gym table build` made; read others, and call `nas_gym.Table.from_frame`"
        )
    text = read_text_file(file, MOST_BYTES, InvalidTable)
    if file.suffix == ".csv":
        return _by_column(where, _csv_rows(where, text.removeprefix("\ufeff")))
    content = read_json_text(text, where, MOST_BYTES, InvalidTable)
    if isinstance(content, list):
        return _by_column(where, content)
    if isinstance(content, dict) and all(isinstance(each, list) for each in content.values()):
        return content
    raise InvalidTable(f"{where}: expected a list of objects, or an object of lists")


def _csv_rows(where: str, text: str) -> list[Any]:
    reader = csv.DictReader(io.StringIO(text, newline=""), restval=_MISSING)
    try:
        rows = list(reader)
    except csv.Error as error:
        raise InvalidTable(
            f"{where}: line {reader.line_num} cannot be read: {error}; check the quotes before it"
        ) from None
    names = reader.fieldnames or []
    for name in names:
        if names.count(name) > 1:
            raise InvalidTable(f"{where}: the column {short(name)} is there twice; remove one")
    return rows


def _by_column(where: str, rows: list[Any]) -> Frame:
    """Return the columns of rows, dicts of the same names."""
    if not rows:
        raise InvalidTable(f"{where}: it has no rows; give one for each training")
    names = list(rows[0]) if isinstance(rows[0], dict) else []
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or list(row) != names or _MISSING in row.values():
            raise InvalidTable(f"{where}: row {number} has other columns than the first")
    return {str(name): _plain([row[name] for row in rows]) for name in names}


def _plain(cells: list[Any]) -> list[Any]:
    """Return a column with None for empty cells, and numbers if all others are numbers."""
    cells = [None if cell == "" else cell for cell in cells]
    try:
        return [float(cell) if isinstance(cell, str) else cell for cell in cells]
    except ValueError:
        return cells
