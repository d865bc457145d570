"""Recorded benchmarks: evaluations that are looked up, not made. No torch here.

A `Table` is an evaluator like any other; its arrays can also be indexed by row, so that a thousand
episodes at once need no Python object each. `nas_gym.tables.nasbench_tables` reads published
benchmarks, and `built_table` what ``nas-gym table build`` recorded. Nothing here unpickles: a file
can hold numbers and texts, no code.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import require_integer
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.search_spaces import SearchSpace
from nas_gym.tables.columns import Column, InvalidTable, check_columns, read_arrays

Rows: TypeAlias = NDArray[np.int64]
"""(N,) int64: rows of a table of n architectures; n where nothing is recorded."""
BUILT_VERSION = 1
"""Of the tables that ``nas-gym table build`` writes; others are refused."""
STATUSES: tuple[Status, ...] = get_args(Status)
NOT_RECORDED: Status = "unbuildable"


class RowIndex(Protocol):
    """Where in a table an architecture is."""

    @property
    def search_space(self) -> SearchSpace:
        """Whose sequences of choices `rows` reads."""

    def rows(self, choices: ArrayLike) -> Rows:
        """The row, (N,), of each of N complete, valid sequences of choices, (N, T)."""


class ChoicesIndex:
    """The index of a small search space: a row for every sequence of choices there could be.

    Args:
        search_space: The decisions; k_t is the number of choices of decision t.
        row_of: (k_0 * ... * k_{T-1},) the row of every sequence of choices, in lexicographic
            order; -1 for one that is not valid.
        rows: How many rows the table has; default: as many as ``row_of`` names.
        where: The start of an error's message, which names the file.

    Raises:
        InvalidTable: ``row_of`` has another shape, names a row that is none, or none for a valid
            sequence of choices.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        row_of: NDArray[Any],
        rows: float = math.inf,
        where: str = "table",
    ) -> None:
        numbers = np.array(search_space.num_choices, dtype=np.int64)
        column = Column("iu", (math.prod(search_space.num_choices),), -1, rows - 1)
        column.check(f"{where}: row_of", row_of, _OTHER_SEARCH_SPACE)
        missing = search_space.size - np.count_nonzero(row_of >= 0)
        if missing > 0:
            raise InvalidTable(
                f"{where}: row_of is -1, no row, for {missing:,} of {search_space.size:,} valid "
                f"sequences of choices; {_OTHER_SEARCH_SPACE}"
            )
        self.search_space = search_space
        self.weights = np.append(np.cumprod(numbers[:0:-1])[::-1], 1)
        """(T,) int64: what a choice of each decision counts for in a place of ``row_of``."""
        self.row_of = row_of.astype(np.int64)

    def rows(self, choices: ArrayLike) -> Rows:
        places = np.asarray(choices, dtype=np.int64) @ self.weights
        found: Rows = self.row_of.take(places)
        return found


_OTHER_SEARCH_SPACE = "it belongs to another search space, or is damaged; build it again"


@dataclass(frozen=True, eq=False)
class Table:
    """A recorded benchmark of n architectures: a `RecordedEvaluator`.

    Every array has n + 1 rows; the last is that of an architecture which is not recorded.

    Raises:
        InvalidTable: shapes disagree, or a value is none that could have been recorded.
    """

    name: str
    index: RowIndex
    facts: Mapping[str, Any]
    """What was recorded and what of it is looked up; it is digested as the fingerprint."""
    status: NDArray[np.str_]
    """(n + 1,) each a `Status`."""
    curves: NDArray[np.float64]
    """(n + 1, E) validation accuracy in [0, 1] after each recorded epoch, NaN where it failed."""
    seconds: NDArray[np.float64]
    """(n + 1,) of training, as they were recorded."""
    parameters: NDArray[np.float64]
    """(n + 1,), NaN if not known."""
    multiply_adds: NDArray[np.float64]
    """(n + 1,), NaN if not known."""
    test: NDArray[np.float64] = field(repr=False)
    """(n + 1,) test accuracy in [0, 1]; NaN if not known. For analysis: no agent is given it."""
    seed: int = 0

    def __post_init__(self) -> None:
        self._check()

    @property
    def search_space(self) -> SearchSpace:
        """Whose sequences of choices `rows` reads."""
        return self.index.search_space

    @cached_property
    def accuracy(self) -> NDArray[np.float64]:
        """(n + 1,) validation accuracy after the last epoch, in [0, 1]; 0 unless it is "ok"."""
        return np.where(self.status == "ok", self.curves[:, -1], 0.0)

    @cached_property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """What an environment tells of each row, (n + 1,) each, by the name in `Evaluation`."""
        names = ("accuracy", "seconds", "status", "parameters", "multiply_adds")
        return {name: getattr(self, name) for name in names}

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that an evaluation depends on."""
        digest = hashlib.blake2b(json.dumps(self.facts, sort_keys=True).encode(), digest_size=16)
        for array in (self.status, self.curves, self.seconds):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()

    def _check(self) -> None:
        rows = (self.status.size,)
        epochs = max((1, *self.curves.shape[1:2]))
        columns = {
            "status": Column("U", rows, valid=STATUSES),
            "curves": Column("iuf", (*rows, epochs), highest=1, unknown=True),
            "seconds": Column("iuf", rows),
            "parameters": Column("iuf", rows, unknown=True),
            "multiply_adds": Column("iuf", rows, unknown=True),
            "test": Column("iuf", rows, highest=1, unknown=True),
            "accuracy": Column("iuf", rows, highest=1),  # made of the others
        }
        for name, column in columns.items():
            column.check(f"table: {self.name}: {name}", getattr(self, name), _SEE)

    def __len__(self) -> int:
        """n, the number of rows recorded."""
        return len(self.status) - 1

    def rows(self, choices: ArrayLike) -> Rows:
        """The row, (N,), of each of N complete, valid sequences of choices, (N, T)."""
        return self.index.rows(choices)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Looks each architecture up; see `nas_gym.evaluation.Evaluator`."""
        return [self.evaluation(self._row(architecture)) for architecture in architectures]

    def _row(self, architecture: Architecture) -> int:
        return int(self.rows(self.search_space.encode(architecture)[None])[0])

    def evaluation(self, row: int) -> Evaluation:
        """What is recorded in a row; ``seconds`` are those of the training that was recorded."""
        return Evaluation(
            status=cast("Status", self.status.item(row)),
            accuracy=self.accuracy.item(row),
            curve=tuple(known for known in self.curves[row].tolist() if not math.isnan(known)),
            seconds=self.seconds.item(row),
            seed=self.seed,
            fingerprint=self.fingerprint,
            parameters=_known(self.parameters.item(row)),
            multiply_adds=_known(self.multiply_adds.item(row)),
            message="" if row < len(self) else f"{self.name} has not recorded this architecture",
        )

    def test_accuracy(self, architecture: Architecture) -> float:
        """The recorded test accuracy, in [0, 1]; NaN if there is none.

        For analysis, and free: it counts for no budget, and no agent has it.
        """
        return float(self.test[self._row(architecture)])


_SEE = "`nas_gym.tables.table.Table` says what each array holds"


def _known(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def with_not_recorded(column: NDArray[Any], value: Any) -> NDArray[Any]:
    """A column, (n, ...), with one more row that holds ``value``."""
    return np.concatenate([column, np.full((1, *column.shape[1:]), value)])


def built_table(path: Path, search_space: SearchSpace, seed: int | None = None) -> Table:
    """What ``nas-gym table build`` recorded of a search space.

    Args:
        path: The ``.npz`` file.
        search_space: The search space that was recorded.
        seed: A run's seed: training number ``seed``, modulo how many were recorded, of each
            architecture is looked up; default: the mean of all.

    Raises:
        InvalidSettings: the seed is none.
        InvalidTable: the file is broken, of another version, or of another search space.
    """
    arrays = read_arrays(path, _BUILT)
    if arrays["version"].shape != () or arrays["version"] != BUILT_VERSION:
        raise InvalidTable(
            f"table: {path} is of version {arrays['version']}; this nas_gym reads version "
            f"{BUILT_VERSION}; build it again"
        )
    made = _made(path, str(arrays["made"]))
    if made.get("search_space") != search_space.name:
        raise InvalidTable(
            f"table: {path} was recorded in the search space {made.get('search_space')!r}; "
            f"expected {search_space.name!r}"
        )
    _check_built(f"table: {path}", made, arrays)
    chosen = slice(None)
    if seed is not None:
        require_integer("seed", seed, least=0)
        chosen = slice(seed % made["seeds"], seed % made["seeds"] + 1)
    index = ChoicesIndex(search_space, arrays["row_of"], made["rows"], f"table: {path}")
    return _built(path.stem, index, made, arrays, chosen)


def _made(path: Path, text: str) -> dict[str, Any]:
    """What a built table says of how it was made."""
    try:
        made = json.loads(text)
    except ValueError:
        made = None
    if not isinstance(made, dict):
        raise InvalidTable(f"table: {path} does not say how it was made; {_BUILD_AGAIN}")
    training = made.get("training")
    trained = training if isinstance(training, dict) else {}
    least = {"rows": 1, "seeds": 1, "validation_images": 1, "test_images": 1}
    _require_integers(f"table: {path}: made", made, least)
    _require_integers(f"table: {path}: made: training", trained, {"seed": 0, "epochs": 1})
    return made


def _require_integers(where: str, facts: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name, lowest in least.items():
        value = facts.get(name)
        if type(value) is not int or value < lowest:
            raise InvalidTable(
                f"{where}: {name} is {value!r}; expected an integer of at least {lowest}; "
                f"{_BUILD_AGAIN}"
            )


def _check_built(where: str, made: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuses arrays that cannot have been recorded so; -1 stands where there is no number."""
    rows, seeds, epochs = made["rows"], made["seeds"], made["training"]["epochs"]
    images, tested = made["validation_images"], made["test_images"]
    columns = {
        "status": Column("U", (rows, seeds), valid=STATUSES),
        "validation_right": Column("iu", (rows, seeds, epochs), lowest=-1, highest=images),
        "test_right": Column("iu", (rows, seeds), lowest=-1, highest=tested),
        "seconds": Column("iuf", (rows, seeds)),
        "parameters": Column("iu", (rows,), lowest=-1),
        "multiply_adds": Column("iu", (rows,), lowest=-1),
    }
    check_columns(where, arrays, columns, _BUILD_AGAIN)
    last = np.where(arrays["status"] == "ok", arrays["validation_right"][..., -1], 0)
    Column("iu", (rows, seeds)).check(
        f"{where}: validation_right of the last epoch, where the status is ok,", last, _BUILD_AGAIN
    )


_BUILD_AGAIN = "build it again"
_BUILT = (
    "version",
    "made",
    "row_of",
    "status",
    "validation_right",
    "test_right",
    "seconds",
    "parameters",
    "multiply_adds",
)


def _built(
    name: str,
    index: RowIndex,
    made: Mapping[str, Any],
    arrays: Mapping[str, NDArray[Any]],
    seeds: slice,
) -> Table:
    """The table of some of the seeds, (S,): of several, the mean, if none of them failed."""
    of_seeds = arrays["status"][:, seeds]
    status = of_seeds[:, 0].copy()
    for later in of_seeds.T[1:]:
        status = np.where(status == "ok", later, status)
    right = _counts(arrays["validation_right"][:, seeds])
    tested = _counts(arrays["test_right"][:, seeds])
    return Table(
        name=name,
        index=index,
        facts={"table": name, "made": made, "seeds": [seeds.start, seeds.stop]},
        status=with_not_recorded(status, NOT_RECORDED),
        curves=with_not_recorded(right.mean(axis=1) / made["validation_images"], np.nan),
        seconds=with_not_recorded(arrays["seconds"][:, seeds].mean(axis=1, dtype=np.float64), 0.0),
        parameters=with_not_recorded(_counts(arrays["parameters"]), np.nan),
        multiply_adds=with_not_recorded(_counts(arrays["multiply_adds"]), np.nan),
        test=with_not_recorded(tested.mean(axis=1) / made["test_images"], np.nan),
        seed=made["training"]["seed"] + (seeds.start or 0),
    )


def _counts(column: NDArray[Any]) -> NDArray[np.float64]:
    """Numbers in the place of which -1 stands where there are none: NaN there."""
    return np.where(column < 0, np.nan, column.astype(np.float64))
