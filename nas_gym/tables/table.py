"""`Table`: a recorded benchmark, whose evaluations are looked up, not made. No torch here.

A table is an evaluator like any other; its arrays can also be indexed by row, so that a thousand
episodes at once need no Python object each. `nas_gym.tables.built` reads what ``nas-gym table
build`` recorded; families read published benchmarks.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Protocol, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.search_spaces import SearchSpace
from nas_gym.tables.columns import Column, InvalidTable

Rows: TypeAlias = NDArray[np.int64]
"""(N,) int64: rows of a table of n architectures; n where nothing is recorded."""
STATUSES: tuple[Status, ...] = get_args(Status)


class RowIndex(Protocol):
    """Maps sequences of choices to rows of a table."""

    @property
    def search_space(self) -> SearchSpace:
        """Search space of the sequences."""

    def rows(self, choices: ArrayLike) -> Rows:
        """Return the row, (N,), of each of N complete, valid sequences of choices, (N, T)."""


class ChoicesIndex:
    """Index of a small search space: a row for every sequence of choices.

    Args:
        search_space: The decisions; k_t is the number of choices of decision t.
        row_of: (k_0 * ... * k_{T-1},) the row of every sequence of choices, in lexicographic
            order; -1 for an invalid one.
        rows: Number of rows of the table; default: any.
        where: Start of an error's message, which names the file.

    Raises:
        InvalidTable: ``row_of`` has another shape, names a missing row, or has no row for a valid
            sequence of choices.
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


@dataclass(frozen=True, eq=False)
class Table:
    """A recorded benchmark of n architectures: a `RecordedEvaluator`.

    Every array has n + 1 rows; the last is that of an architecture which is not recorded.

    Raises:
        InvalidTable: shapes disagree, or a value is out of its range.
    """

    name: str
    index: RowIndex
    facts: Mapping[str, Any]
    """Source of the record, and the part of it that is looked up; digested in the fingerprint."""
    status: NDArray[np.str_]
    """(n + 1,) `Status` of each."""
    curves: NDArray[np.float64]
    """(n + 1, E) validation accuracy in [0, 1] after each recorded epoch, NaN where it failed."""
    seconds: NDArray[np.float64]
    """(n + 1,) recorded seconds of training."""
    parameters: NDArray[np.float64]
    """(n + 1,), NaN if unknown."""
    multiply_adds: NDArray[np.float64]
    """(n + 1,), NaN if unknown."""
    test: NDArray[np.float64] = field(repr=False)
    """(n + 1,) test accuracy in [0, 1]; NaN if unknown. For analysis: no agent is given it."""
    seed: int = 0
    latency: NDArray[np.float64] | None = None
    """(n + 1,) seconds of inference, NaN if unknown; None where the benchmark has none."""

    def __post_init__(self) -> None:
        rows = (self.status.size,)
        epochs = max((1, *self.curves.shape[1:2]))
        number = Column("iuf", rows, unknown=True)
        columns = {
            "status": Column("U", rows, valid=STATUSES),
            "curves": Column("iuf", (*rows, epochs), highest=1, unknown=True),
            "seconds": Column("iuf", rows),
            "parameters": number,
            "multiply_adds": number,
            "test": Column("iuf", rows, highest=1, unknown=True),
            "accuracy": Column("iuf", rows, highest=1),  # made of the others
        }
        if self.latency is not None:
            columns["latency"] = number
        remedy = "`nas_gym.tables.table.Table` says what each array holds"
        for name, column in columns.items():
            column.check(f"table: {self.name}: {name}", getattr(self, name), remedy)

    @property
    def search_space(self) -> SearchSpace:
        """Search space of the sequences that `rows` takes."""
        return self.index.search_space

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """(n + 1,) validation accuracy after the last epoch, in [0, 1]; 0 unless it is "ok"."""
        return np.where(self.status == "ok", self.curves[:, -1], 0.0)

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Fields of `Evaluation` that are known, (n + 1,) each, by name."""
        names = ["accuracy", "seconds", "status", "parameters", "multiply_adds"]
        names += ["latency"] if self.latency is not None else []
        return {name: getattr(self, name) for name in names}

    @property
    def epochs(self) -> int | None:
        """Number of epochs after which accuracies were recorded, where it is known."""
        epochs: int | None = self.facts.get("epochs")
        return epochs

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that an evaluation depends on."""
        digest = hashlib.blake2b(json.dumps(self.facts, sort_keys=True).encode(), digest_size=16)
        latency = () if self.latency is None else (self.latency,)
        for array in (self.status, self.curves, self.seconds, *latency):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def __len__(self) -> int:
        """Return n, the number of rows recorded."""
        return len(self.status) - 1

    def rows(self, choices: ArrayLike) -> Rows:
        """Return the row, (N,), of each of N complete, valid sequences of choices, (N, T)."""
        return self.index.rows(choices)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Look each architecture up; see `nas_gym.evaluation.evaluator.Evaluator`."""
        return [self.evaluation(self._row(architecture)) for architecture in architectures]

    def _row(self, architecture: Architecture) -> int:
        return int(self.rows(self.search_space.encode(architecture)[None])[0])

    def evaluation(self, row: int) -> Evaluation:
        """Return the record of a row; ``seconds`` are those of the recorded training."""
        latency = math.nan if self.latency is None else self.latency.item(row)
        return Evaluation(
            status=cast("Status", self.status.item(row)),
            accuracy=self.accuracy.item(row),
            curve=tuple(known for known in self.curves[row].tolist() if not math.isnan(known)),
            seconds=self.seconds.item(row),
            seed=self.seed,
            fingerprint=self.fingerprint,
            parameters=_known(self.parameters.item(row)),
            multiply_adds=_known(self.multiply_adds.item(row)),
            latency=None if math.isnan(latency) else latency,
            message="" if row < len(self) else f"{self.name} has not recorded this architecture",
        )

    def test_accuracy(self, architecture: Architecture) -> float:
        """Return the recorded test accuracy, in [0, 1]; NaN if there is none.

        For analysis, and free: no budget counts it, and no agent is given it.
        """
        return float(self.test[self._row(architecture)])


def _known(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def table_of(
    name: str, index: RowIndex, facts: Mapping[str, Any], columns: dict[str, Any], seed: int = 0
) -> Table:
    """Return the table of n architectures by its arrays, (n, ...), which get the last row here."""
    for column, values in columns.items():
        nothing = {"status": "unbuildable", "seconds": 0.0}.get(column, np.nan)
        columns[column] = np.concatenate([values, np.full((1, *values.shape[1:]), nothing)])
    return Table(name, index, facts, seed=seed, **columns)
