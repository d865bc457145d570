"""Indices of recorded benchmarks: from sequences of choices to rows. No torch here."""

from __future__ import annotations

import math
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.search_spaces import SearchSpace
from nas_gym.tables.columns import Column, InvalidTable

Rows: TypeAlias = NDArray[np.int64]
"""(N,) int64: rows of a table of n architectures; n where nothing is recorded."""
MOST_SEQUENCES = 2**18
"""Number of sequences of choices up to which an index holds a row for each."""


class RowIndex(Protocol):
    """Maps sequences of choices to rows of a table."""

    @property
    def search_space(self) -> SearchSpace:
        """Search space of the sequences."""

    def rows(self, choices: ArrayLike) -> Rows:
        """Return the row, (N,), of each of N complete, valid sequences of choices, (N, T)."""


class ChoicesIndex:
    """Index of a small search space: a row for every sequence of choices.

    ``row_of``, (k_0 * ... * k_{T-1},) where decision t has k_t choices, is the row of every
    sequence of choices, in lexicographic order; -1 for an invalid one. The table has so many
    ``rows``; default: any. ``where`` begins an error's message, and names the file.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        row_of: NDArray[Any],
        rows: float = math.inf,
        where: str = "table",
    ) -> None:
        remedy = "it belongs to another search space, or is damaged; build it again"
        numbers = np.array(search_space.num_choices, dtype=np.int64)
        column = Column("iu", (math.prod(search_space.num_choices),), -1, rows - 1)
        column.check(f"{where}: row_of", row_of, remedy)
        missing = search_space.size - np.count_nonzero(row_of >= 0)
        if missing > 0:
            raise InvalidTable(
                f"{where}: row_of is -1, no row, for {missing:,} of {search_space.size:,} valid "
                f"sequences of choices; {remedy}"
            )
        self.search_space = search_space
        self.weights = np.append(np.cumprod(numbers[:0:-1])[::-1], 1)
        """(T,) int64: factor of each decision's choice in the index into ``row_of``."""
        self.row_of: Rows = row_of.astype(np.int64)

    def rows(self, choices: ArrayLike) -> Rows:
        found: Rows = self.row_of.take(np.asarray(choices, dtype=np.int64) @ self.weights)
        return found


class ListedIndex:
    """Index of (n, T) sequences of choices, one a row; others have the row after the last."""

    def __init__(self, search_space: SearchSpace, choices: NDArray[np.int64]) -> None:
        self.search_space = search_space
        self._rows = {sequence.tobytes(): row for row, sequence in enumerate(choices)}

    def rows(self, choices: ArrayLike) -> Rows:
        sequences, missing = np.ascontiguousarray(choices, dtype=np.int64), len(self._rows)
        found = [self._rows.get(sequence.tobytes(), missing) for sequence in sequences]
        return np.array(found, dtype=np.int64)


def index_of(search_space: SearchSpace, choices: NDArray[np.int64]) -> RowIndex:
    """Return the index of the architectures listed, (n, T): an array where the space is small."""
    num_sequences = math.prod(search_space.num_choices)
    if search_space.conditional or num_sequences > MOST_SEQUENCES:
        return ListedIndex(search_space, choices)
    every = np.stack(np.unravel_index(np.arange(num_sequences), search_space.num_choices))
    is_valid = (search_space.num_valid > every.T).all(axis=1)
    row_of = np.where(is_valid, len(choices), -1)
    row_of[np.ravel_multi_index(tuple(choices.T), search_space.num_choices)] = range(len(choices))
    return ChoicesIndex(search_space, row_of, len(choices) + 1)
