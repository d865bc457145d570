"""Reads the columns of a frame that hold its architectures. No torch and no pandas here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import NASGymError, choices_hint
from nas_gym.outside.json_text import short
from nas_gym.search_spaces import Decision, SearchSpace
from nas_gym.tables.columns import Column, InvalidTable

REMEDY = "`nas_gym.Table.from_frame` says what each column holds"
_EMPTY = -1
"""Stands for the choice in an empty cell."""


def read_choices(
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


def is_empty(cell: object) -> bool:
    """Return True for None, NaN, pandas' NA and the empty text."""
    return cell is None or str(cell) in ("", "<NA>") or (type(cell) is float and math.isnan(cell))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _shown(number: float) -> str:
    """Return a number in one form: 16 and 16.0 are one label, and so is 0.1 in single precision."""
    return str(int(number)) if number % 1 == 0 else f"{number:.7g}"


def _encoded(where: str, search_space: SearchSpace, text: str) -> NDArray[np.int64]:
    try:
        return search_space.encode(Architecture.from_json(text))
    except NASGymError as error:
        raise InvalidTable(f"{where}: architecture {short(text)}: {error}") from None


def _choice(where: str, decision: Decision, column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the choices of one decision, (K,), by their labels or by their numbers.

    Numbers stand for themselves where they are labels; an empty cell is `_EMPTY`.
    """
    there = np.array([not is_empty(cell) for cell in column.tolist()])
    choices = np.full(column.shape, _EMPTY, dtype=np.int64)
    if there.any():
        cells = column if there.all() else np.array(column[there].tolist())
        choices[there] = _known_choice(where, decision, cells)
    return choices


def _known_choice(where: str, decision: Decision, column: NDArray[Any]) -> NDArray[np.int64]:
    """Return the choices of cells that are not empty."""
    labels, numbers = [str(label) for label in decision.choices], whole(column)
    shown = list(map(_shown, numbers.tolist())) if numbers.dtype.kind in "iuf" else []
    as_shown = [_shown(float(label)) if _is_number(label) else label for label in labels]
    if shown and (all(map(_is_number, labels)) or set(shown) <= set(as_shown)):
        column, labels = np.array(shown), as_shown
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


def whole(column: NDArray[Any]) -> NDArray[Any]:
    """Return a column of numbers as integers where all of them are."""
    if column.dtype.kind == "f" and np.isfinite(column).all() and (column % 1 == 0).all():
        return column.astype(np.int64)
    return column
