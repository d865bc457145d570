"""Reads a frame, one row a training, into the columns of a `Table`. No torch and no pandas here."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import choices_hint
from nas_gym.evaluation.evaluation import Status
from nas_gym.search_spaces import SearchSpace
from nas_gym.tables.columns import Column, InvalidTable, require_names, require_recorded
from nas_gym.tables.frame_choices import REMEDY, is_empty, read_choices, whole
from nas_gym.tables.frame_files import Frame

Floats: TypeAlias = NDArray[np.float64]
SHARES = ("accuracy", "test_accuracy")
AMOUNTS = ("seconds", "parameters", "multiply_adds", "latency", "energy")
STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True)
class Trainings:
    """The rows of a frame, K trainings of n architectures."""

    choices: NDArray[np.int64]  # (n, T), of distinct architectures
    row: NDArray[np.int64]  # (K,) of each training
    seed: NDArray[np.int64]  # (K,) number of its seed: the parts of one training have the same
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
        if epochs is not None:
            require_recorded(f"{where}: epochs", epochs, lengths)
        longest: int | None = lengths[-1]
        return longest if epochs is None else int(epochs)  # NumPy's, too

    def lengths(self, epochs: int | None) -> tuple[int, ...]:
        """Return the numbers of epochs that are recorded, up to ``epochs``; (), if none is."""
        if self.epochs is None:
            return ()
        known = np.unique(self.epochs).tolist()
        return tuple(each for each in known if epochs is None or each <= epochs)

    def columns(self, epochs: int | None, seed: int | None) -> dict[str, NDArray[Any]]:
        """Return a table's columns, (n, ...), of trainings of a length; see `Table.from_frame`."""
        chosen = None if seed is None else self._chosen(epochs, seed)
        at = self._selected(epochs, chosen)
        num_rows = len(self.choices)
        there = np.bincount(self.row[at], minlength=num_rows) > 0
        status = np.where(there, "ok", "unrecorded").astype("U16")
        failed = at & (self.status != "ok")
        status[self.row[failed][::-1]] = self.status[failed][::-1]  # of several, the first
        means = {name: self._mean(values, at) for name, values in self.values.items()}
        means["seconds"] = np.nan_to_num(means["seconds"])
        selected = [self._selected(length, chosen) for length in self.lengths(epochs) or (epochs,)]
        curves = np.stack([self._accuracy(at) for at in selected], axis=1)
        elapsed = np.stack([self._mean(self.values["seconds"], at) for at in selected], axis=1)
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

    def _chosen(self, epochs: int | None, seed: int) -> NDArray[np.int64]:
        """Return the ``seed`` of one training of each network, (n,), by its longest ones."""
        chosen = np.zeros(len(self.choices), dtype=np.int64)
        for length in self.lengths(epochs) or (epochs,):
            at = self._selected(length, None)
            repeats = np.bincount(self.row[at], minlength=len(self.choices))
            at &= self.repeat == seed % np.maximum(repeats, 1)[self.row]
            chosen[self.row[at]] = self.seed[at]
        return chosen

    def _selected(self, epochs: int | None, chosen: NDArray[np.int64] | None) -> NDArray[np.bool_]:
        """Return the mask, (K,) bool, of the trainings of a length, all or one of each network."""
        at = np.ones(len(self.row), dtype=np.bool_)
        if self.epochs is not None and epochs is not None:
            at &= self.epochs == epochs
        return at if chosen is None else at & (self.seed == chosen[self.row])

    def _accuracy(self, at: NDArray[np.bool_]) -> Floats:
        """Return each network's mean accuracy, (n,); NaN where one of its trainings failed."""
        failed = np.bincount(self.row[at & (self.status != "ok")], minlength=len(self.choices)) > 0
        return np.where(failed, np.nan, self._mean(self.values["accuracy"], at))

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
    columns = {name: _column(where, name, frame[name]) for name in names}
    for name in set(decisions) & columns.keys():
        if columns[name].dtype.kind == "U":  # where a NaN beside texts would be a text, too
            columns[name] = np.asarray(frame[name], dtype=object)
    rows = columns["accuracy"].shape
    for name, column in columns.items():
        if column.shape != rows or len(rows) != 1 or not column.size:
            raise InvalidTable(
                f"{where}: {name} has the shape {column.shape}, and accuracy {rows}; expected "
                "columns of equal length"
            )
    values = {name: _numbers(where, name, columns.get(name), rows) for name in (*SHARES, *AMOUNTS)}
    distinct, row = np.unique(
        read_choices(where, search_space, columns), axis=0, return_inverse=True
    )
    epochs = columns.get("epochs")
    if epochs is not None:
        Column("iu", rows, lowest=1).check(f"{where}: epochs", whole(epochs), REMEDY)
        epochs = whole(epochs).astype(np.int64)
    status = _statuses(where, columns.get("status"), values["accuracy"])
    seed = columns.get("seed")
    if seed is not None:
        seed = np.array([np.nan if is_empty(cell) else cell for cell in seed.tolist()])
        Column("iufU", rows).check(f"{where}: seed", seed, REMEDY)
    seed, repeat = _numbered(row.ravel(), epochs, seed)
    return Trainings(distinct, row.ravel(), seed, repeat, epochs, status, values)


def _column(where: str, name: str, cells: Any) -> NDArray[Any]:
    try:
        return np.asarray(cells)
    except ValueError:  # lists of several lengths
        raise InvalidTable(
            f"{where}: {name}: a row has a list; expected one value in each row"
        ) from None


def _numbers(where: str, name: str, column: NDArray[Any] | None, rows: tuple[int, ...]) -> Floats:
    """Return a column of numbers; NaN for one that is missing, and for empty cells."""
    if column is None:
        return np.full(rows, np.nan)
    try:
        numbers = np.array([np.nan if is_empty(cell) else cell for cell in column.tolist()])
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidTable(f"{where}: {name}: {str(error)[:100]}; expected numbers") from None
    highest = 1.0 if name in SHARES else np.inf
    remedy = "accuracies are shares, percent divided by 100" if name in SHARES else REMEDY
    Column("iuf", rows, highest=highest, unknown=True).check(f"{where}: {name}", numbers, remedy)
    return numbers


def _statuses(where: str, column: NDArray[Any] | None, accuracy: Floats) -> NDArray[np.str_]:
    """Return the statuses: by default "ok" where an accuracy is known, else "unrecorded"."""
    by_accuracy = np.where(np.isnan(accuracy), "unrecorded", "ok")
    if column is None:
        return by_accuracy
    given = np.array([str(value) for value in column.tolist()])
    Column("U", accuracy.shape, valid=STATUSES).check(f"{where}: status", given, REMEDY)
    return np.where(given == "ok", by_accuracy, given)


def _numbered(
    row: NDArray[np.int64], epochs: NDArray[np.int64] | None, seed: NDArray[Any] | None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each training's seed as a number, (K,), and its number among those of its length.

    They are counted in the order of their seeds, or of the frame. Trainings of one network, length
    and seed are told apart by the order of the frame.
    """
    ranks = np.zeros_like(row) if seed is None else np.unique(seed, return_inverse=True)[1]
    kinds = [row, np.zeros_like(row) if epochs is None else epochs]
    like = _places([*kinds, ranks], np.zeros_like(row))
    seeds = np.unique([ranks, like], axis=1, return_inverse=True)[1].ravel()
    return seeds, _places(kinds, seeds)


def _places(kinds: list[NDArray[np.int64]], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the place of each of K, (K,), among those of its kind, in an order, (K,)."""
    kind = np.unique(kinds, axis=1, return_inverse=True)[1].ravel()
    ordered = np.lexsort((order, kind))
    first = np.searchsorted(kind[ordered], np.arange(kind.max() + 1))
    place = np.empty_like(kind)
    place[ordered] = np.arange(len(kind)) - first[kind[ordered]]
    return place
