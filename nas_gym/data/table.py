"""Lists of image files: a CSV of paths and labels."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from nas_gym.data.dataset import InvalidDataset
from nas_gym.data.files import VALIDATION_NAMES
from nas_gym.data.folder import Listing
from nas_gym.data.npz import open_regular, read_at_most
from nas_gym.errors import choices_hint

MOST_BYTES = 2**28
COLUMNS = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path"),
    "label": ("label", "class", "category", "target"),
    "split": ("split", "part", "subset", "set"),
}
"""The names that each column may have, in any case."""
PARTS = {
    **dict.fromkeys(("train", "training"), 0),
    **dict.fromkeys(VALIDATION_NAMES, 1),
    **dict.fromkeys(("test", "testing"), 2),
}


def list_table(path: Path) -> Listing:
    """List the images of a CSV with a header: columns of paths, labels and perhaps splits.

    Paths are relative to the file's folder. Commas, semicolons or tabs separate the columns, whose
    names are in `COLUMNS`; others are ignored. A split is train, val (valid, validation) or test.
    Labels are sorted, as numbers if all of them are whole numbers.

    Raises:
        InvalidDataset: it cannot be read, has no such columns, or a line is wrong, by its number.
    """
    try:
        with open_regular(path) as file:
            content = read_at_most(file, MOST_BYTES)
        listing = _listing(content.decode("utf-8-sig"), path.parent)
    except (OSError, ValueError, csv.Error) as error:
        reason = getattr(error, "strerror", None) or error
        if isinstance(error, UnicodeDecodeError):
            reason = f"{error}; save it as UTF-8"
        raise InvalidDataset(f"dataset: {path} cannot be read: {reason}") from error
    return listing


def _listing(text: str, folder: Path) -> Listing:
    header = text.partition("\n")[0]
    delimiter = max(",;\t", key=header.count)
    rows = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    column = _columns([name or "" for name in rows.fieldnames or ()])
    lines: dict[Path, int] = {}
    labels: list[str] = []
    parts: list[int] = []
    for row in rows:
        if None in row:
            more = "it has more cells than the header; put a cell with a comma in quotes"
            raise ValueError(f"line {rows.line_num}: {more}")
        values = _values(row, column, rows.line_num)
        path, part = folder / values["path"], values.get("split", "train").lower()
        if path in lines:
            raise ValueError(f"line {rows.line_num}: {path} is in line {lines[path]}, too")
        if part not in PARTS:
            raise ValueError(f"line {rows.line_num}: split {part!r}; {choices_hint(part, PARTS)}")
        lines[path] = rows.line_num
        labels.append(values["label"])
        parts.append(PARTS[part])
    if not lines:
        raise ValueError("it has no line below its header")
    order = np.argsort(parts, kind="stable")
    classes, paths = _sorted(set(labels)), list(lines)
    number = {name: place for place, name in enumerate(classes)}
    numbers = np.array([number[label] for label in labels], dtype=np.int64)
    _, validation, test = np.bincount(parts, minlength=3).tolist()
    in_order = [paths[place] for place in order]
    return Listing(in_order, numbers[order], tuple(classes), validation, test, Counter())


def _columns(header: list[str]) -> dict[str, str]:
    """Return the header's names of the columns of paths, labels and, if there is one, splits."""
    found: dict[str, str] = {}
    for column, names in COLUMNS.items():
        of_name = [name for name in header if name.strip().lower() in names]
        if len(of_name) > 1 or (not of_name and column != "split"):
            raise ValueError(
                f"its columns are {', '.join(map(repr, header))[:500] or 'none'}; exactly one of "
                f"{', '.join(names)} is needed in the header"
            )
        found |= dict.fromkeys([column] * len(of_name), "".join(of_name))
    return found


def _values(row: Mapping[str, str | None], column: Mapping[str, str], line: int) -> dict[str, str]:
    values = {name: (row[header] or "").strip() for name, header in column.items()}
    empty = [column[name] for name, value in values.items() if not value]
    if empty:
        raise ValueError(f"line {line}: {empty[0]!r} is empty")
    return values


def _sorted(labels: set[str]) -> list[str]:
    are_numbers = all(label.isdecimal() for label in labels)
    return sorted(labels, key=lambda label: (int(label) if are_numbers else 0, label))
