"""Reads a frame, one row a training, into the columns of a `Table`. No torch and no pandas here."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import NASGymError, choices_hint
from nas_gym.evaluation.evaluation import Status
from nas_gym.outside.json_text import read_json_text, read_text_file, short, short_name
from nas_gym.search_spaces import Decision, SearchSpace
from nas_gym.tables.columns import Column, InvalidTable, require_names

Floats: TypeAlias = NDArray[np.float64]
Frame: TypeAlias = Mapping[str, Any]
"""Columns of equal length by name: a pandas DataFrame, or a dict of arrays or lists."""
SHARES = ("accuracy", "test_accuracy")
AMOUNTS = ("seconds", "parameters", "multiply_adds", "latency", "energy")
STATUSES: tuple[Status, ...] = get_args(Status)
_MISSING = "\0"
"""Stands for a cell that a line of a CSV file does not have."""
MOST_BYTES = 2**30
"""The most bytes of a file."""
_EMPTY = -1
"""Stands for the choice in an empty cell."""
REMEDY = "`nas_gym.Table.from_frame` says what each column holds"


@dataclass(frozen=True)
class Trainings:
    """The rows of a frame, K trainings of n architectures."""

    choices: NDArray[np.int64]  # (n, T), of distinct architectures
    row: NDArray[np.int64]  # (K,) of each training
    repeat: NDArray[np.int64]  # (K,) number of each among those of the same network and epochs
    epochs: NDArray[np.int64] | None  # (K,)
    status: NDArray[np.str_]  # (K,)
    values: dict[str, Floats]
    """(K,) each, by name, NaN where nothing is known."""

    @property
    def digest(self) -> str:
        """Digest of the architectures and their order."""
        return blake2b(np.ascontiguousarray(self.choices).data, digest_size=16).hexdigest()

    def length(self, epochs: int | None, where: str) -> int | None:
        """Return the number of epochs that is looked up; default: the largest, if any is known."""
        lengths = [None] if self.epochs is None else np.unique(self.epochs).tolist()
        if epochs is not None and epochs not in lengths:
            hint = choices_hint(epochs, lengths)
            raise InvalidTable(f"{where}: epochs: nothing is recorded for {short(epochs)}; {hint}")
        longest: int | None = lengths[-1]
        return longest if epochs is None else epochs

    def lengths(self, epochs: int | None) -> tuple[int, ...]:
        """Return the numbers of epochs that are recorded, up to ``epochs``; (), if none is."""
        if self.epochs is None:
            return ()
        known = np.unique(self.epochs).tolist()
        return tuple(each for each in known if epochs is None or each <= epochs)

    def columns(self, epochs: int | None, seed: int | None) -> dict[str, NDArray[Any]]:
        """Return a table's columns, (n, ...), of trainings of a length; see `Table.from_frame`."""
        at = self._selected(epochs, seed)
        num_rows = len(self.choices)
        there = np.bincount(self.row[at], minlength=num_rows) > 0
        status = np.where(there, "ok", "unrecorded").astype("U16")
        failed = at & (self.status != "ok")
        status[self.row[failed][::-1]] = self.status[failed][::-1]  # of several, the first
        means = {name: self._mean(values, at) for name, values in self.values.items()}
        means["seconds"] = np.nan_to_num(means["seconds"])
        selected = [self._selected(length, seed) for length in self.lengths(epochs) or (epochs,)]
        curves, elapsed = (
            np.stack([self._mean(self.values[name], at) for at in selected], axis=1)
            for name in ("accuracy", "seconds")
        )
        measured: dict[str, NDArray[Any]] = {
            name: means[name] for name in ("latency", "energy") if name in self.given
        }
        return {
            "status": status,
            "curves": curves,
            "elapsed": np.nan_to_num(elapsed),
            "test": means["test_accuracy"],
            **{name: means[name] for name in ("seconds", "parameters", "multiply_adds")},
            **measured,
        }

    @property
    def given(self) -> list[str]:
        """Names of the values of which at least one is known."""
        return [name for name, values in self.values.items() if not np.isnan(values).all()]

    def _selected(self, epochs: int | None, seed: int | None) -> NDArray[np.bool_]:
        """Return the mask, (K,) bool, of the trainings of a length, all or one of each network."""
        at = np.ones(len(self.row), dtype=np.bool_)
        if self.epochs is not None and epochs is not None:
            at &= self.epochs == epochs
        if seed is not None:
            repeats = np.bincount(self.row[at], minlength=len(self.choices))
            at &= self.repeat == seed % np.maximum(repeats, 1)[self.row]
        return at

    def _mean(self, values: Floats, at: NDArray[np.bool_]) -> Floats:
        """Return the mean of each network's known values, (n,); NaN where there are none."""
        at = at & ~np.isnan(values)
        number = np.bincount(self.row[at], minlength=len(self.choices))
        total = np.bincount(self.row[at], weights=values[at], minlength=len(self.choices))
        mean: Floats = np.where(number > 0, total / np.maximum(number, 1), np.nan)
        return mean


def read_frame(search_space: SearchSpace, frame: Frame, where: str) -> Trainings:
    """Return the trainings in a frame; see `Table.from_frame`."""
    names = [str(name) for name in getattr(frame, "columns", frame)]
    decisions = [decision.name for decision in search_space.decisions]
    known = ("architecture", *decisions, *SHARES, *AMOUNTS, "epochs", "seed", "status")
    for name in names:
        if name not in known:
            raise InvalidTable(
                f"{where}: the column {name!r} is not known; {choices_hint(name, known)}"
            )
    require_names(where, ["accuracy"], names)
    columns = {name: np.asarray(frame[name]) for name in names}
    rows = columns["accuracy"].shape
    for name, column in columns.items():
        if column.shape != rows or len(rows) != 1 or not column.size:
            raise InvalidTable(
                f"{where}: {name} has the shape {column.shape}, and accuracy {rows}; expected "
                "columns of equal length"
            )
    values = {name: _numbers(where, name, columns.get(name), rows) for name in (*SHARES, *AMOUNTS)}
    distinct, row = np.unique(_choices(where, search_space, columns), axis=0, return_inverse=True)
    epochs = columns.get("epochs")
    if epochs is not None:
        Column("iu", rows, lowest=1).check(f"{where}: epochs", _whole(epochs), REMEDY)
        epochs = _whole(epochs).astype(np.int64)
    status = _statuses(where, columns.get("status"), values["accuracy"])
    seed = columns.get("seed")
    if seed is not None:
        Column("iufU", rows).check(f"{where}: seed", seed, REMEDY)
    repeat = _repeats(row.ravel(), epochs, seed)
    return Trainings(distinct, row.ravel(), repeat, epochs, status, values)


def _numbers(where: str, name: str, column: NDArray[Any] | None, rows: tuple[int, ...]) -> Floats:
    """Return a column of numbers; NaN for one that is missing, and for empty cells."""
    if column is None:
        return np.full(rows, np.nan)
    try:
        numbers = np.array([np.nan if v is None or v == "" else v for v in column.tolist()])
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTable(f"{where}: {name}: {str(error)[:100]}; expected numbers") from None
    highest = 1.0 if name in SHARES else np.inf
    remedy = "accuracies are shares, percent divided by 100" if name in SHARES else REMEDY
    Column("iuf", rows, highest=highest, unknown=True).check(f"{where}: {name}", numbers, remedy)
    return numbers


def _whole(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column of numbers as integers where all of them are."""
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column % 1 == 0).all():
        return column.astype(np.int64)
    return column


def _statuses(where: str, column: NDArray[Any] | None, accuracy: Floats) -> NDArray[np.str_]:
    """Return the statuses: by default "ok" where an accuracy is known, else "unrecorded"."""
    by_accuracy = np.where(np.isnan(accuracy), "unrecorded", "ok")
    if column is None:
        return by_accuracy
    given = np.array([str(value) for value in column.tolist()])
    Column("U", accuracy.shape, valid=STATUSES).check(f"{where}: status", given, REMEDY)
    return np.where(given == "ok", by_accuracy, given)


def _repeats(
    row: NDArray[np.int64], epochs: NDArray[np.int64] | None, seed: NDArray[Any] | None
) -> NDArray[np.int64]:
    """Return the number of each training, (K,), among those of one network and length.

    They are counted in the order of their seeds, or of the frame.
    """
    order = np.arange(len(row)) if seed is None else np.argsort(seed, kind="stable")
    lengths = np.zeros_like(row) if epochs is None else epochs
    groups = np.unique(np.stack([row, lengths], axis=1), axis=0, return_inverse=True)[1].ravel()
    by_group = order[np.argsort(groups[order], kind="stable")]
    first = np.searchsorted(groups[by_group], np.arange(groups.max() + 1))
    repeat = np.empty_like(row)
    repeat[by_group] = np.arange(len(row)) - first[groups[by_group]]
    return repeat


def _choices(
    where: str, search_space: SearchSpace, columns: Mapping[str, NDArray[Any]]
) -> NDArray[np.int64]:
    """Return the choices of each training's architecture, (K, T)."""
    decisions = search_space.decisions
    if "architecture" in columns:
        texts, inverse = np.unique(columns["architecture"].astype(str), return_inverse=True)
        sequences = [_encoded(where, search_space, text) for text in texts.tolist()]
        return np.stack(sequences)[inverse.ravel()]
    missing = [decision.name for decision in decisions if decision.name not in columns]
    if missing:
        raise InvalidTable(
            f"{where} has no column {missing[0]!r}; give one for each decision, or the column "
            "'architecture', which holds JSON"
        )
    choices = np.stack([_choice(where, each, columns[each.name]) for each in decisions], axis=1)
    if not search_space.conditional and (choices != _EMPTY).all():
        return choices
    distinct, inverse = np.unique(choices, axis=0, return_inverse=True)
    for sequence in distinct:
        _fill(where, search_space, sequence)
        search_space.check(sequence)
    return distinct[inverse.ravel()]


def _fill(where: str, search_space: SearchSpace, sequence: NDArray[np.int64]) -> None:
    """Make the decisions of empty cells, which leave no choice; others raise `InvalidTable`."""
    for step in np.flatnonzero(sequence == _EMPTY).tolist():
        valid = np.flatnonzero(search_space.valid_choices(sequence[:step]))
        if len(valid) != 1:
            decision = search_space.decisions[step]
            hint = choices_hint("", [str(decision.choices[choice]) for choice in valid])
            raise InvalidTable(f"{where}: {decision.name}: a cell is empty where it exists; {hint}")
        sequence[step] = valid[0]


def _is_empty(cell: object) -> bool:
    """Return True for None, NaN, pandas' NA and the empty text."""
    return cell is None or str(cell) in ("", "<NA>") or (type(cell) is float and math.isnan(cell))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _encoded(where: str, search_space: SearchSpace, text: str) -> NDArray[np.int64]:
    try:
        return search_space.encode(Architecture.from_json(text))
    except NASGymError as error:
        raise InvalidTable(f"{where}: architecture {short(text)}: {error}") from None


def _choice(where: str, decision: Decision, column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the choices of one decision, (K,), by their labels or by their numbers.

    A number stands for itself where labels are numbers; an empty cell is `_EMPTY`.
    """
    there = np.array([not _is_empty(cell) for cell in column.tolist()])
    choices = np.full(column.shape, _EMPTY, dtype=np.int64)
    if there.any():
        cells = column if there.all() else np.array(column[there].tolist())
        choices[there] = _known_choice(where, decision, cells)
    return choices


def _known_choice(where: str, decision: Decision, column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the choices of cells that are not empty."""
    labels, numbers = [str(label) for label in decision.choices], _whole(column)
    if numbers.dtype.kind in "iuf" and all(map(_is_number, labels)):
        column = np.array([f"{number:g}" for number in numbers.tolist()])
        labels = [f"{float(label):g}" for label in labels]
    elif numbers.dtype.kind in "iu":
        highest = len(labels) - 1
        Column("iu", column.shape, highest=highest).check(
            f"{where}: {decision.name}", numbers, REMEDY
        )
        return numbers.astype(np.int64)
    texts, inverse = np.unique(column.astype(str), return_inverse=True)
    for text in texts.tolist():
        if text not in labels:
            hint = choices_hint(text, labels)
            raise InvalidTable(f"{where}: {decision.name} has no choice {short(text)}; {hint}")
    found = np.array([labels.index(text) for text in texts.tolist()], dtype=np.int64)
    return found[inverse.ravel()]


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
        return _by_column(where, list(csv.DictReader(io.StringIO(text), restval=_MISSING)))
    content = read_json_text(text, where, MOST_BYTES, InvalidTable)
    if isinstance(content, list):
        return _by_column(where, content)
    if isinstance(content, dict) and all(isinstance(each, list) for each in content.values()):
        return content
    raise InvalidTable(f"{where}: expected a list of objects, or an object of lists")


def _by_column(where: str, rows: list[Any]) -> Frame:
    """Return the columns of rows, dicts of the same names."""
    names = list(rows[0]) if rows and isinstance(rows[0], dict) else []
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
