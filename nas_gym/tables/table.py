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
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.evaluation.evaluator import partial_fingerprint
from nas_gym.search_spaces import SearchSpace
from nas_gym.tables.columns import Column, InvalidTable, require_recorded
from nas_gym.tables.frame_files import Frame, load_frame
from nas_gym.tables.frames import STATUSES, read_frame
from nas_gym.tables.index import RowIndex, Rows, index_of


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
    energy: NDArray[np.float64] | None = None
    """(n + 1,) joules of inference, likewise."""
    lengths: tuple[int, ...] = ()
    """Numbers of epochs after which the columns of ``curves`` were recorded; (), if unknown."""
    elapsed: NDArray[np.float64] | None = None
    """(n + 1, E) seconds of training until then; default: in proportion to the epochs, of which a
    training that failed has fewer."""

    @classmethod
    def from_frame(
        cls,
        search_space: SearchSpace,
        frame: Frame,
        epochs: int | None = None,
        seed: int | None = None,
        name: str = "frame",
    ) -> Table:
        """Return the table of a frame: a pandas DataFrame, or a dict of arrays or lists.

        A row is one training. What is not in the frame is answered too, by an `Evaluation` of the
        status "unrecorded", which is worth as little as one that failed.

        Columns:

        - the decisions' names: the choice's label; or its number, unless the column's numbers are
          labels; or nothing (None, NaN, an empty text), where the decision does not exist
        - ``architecture``: or this, in their place: its JSON (`Architecture.to_json`)
        - ``accuracy``: validation accuracy in [0, 1]
        - ``epochs``: optional: after how many epochs; an architecture may have rows of several
        - ``seed``: optional: which of several trainings; without it they count as they stand
        - ``seconds``: optional: those of the training, which simulated budgets count
        - ``test_accuracy``: optional, for analysis: no agent sees it
        - ``parameters``, ``multiply_adds``, ``latency``, ``energy``: optional: costs
        - ``status``: optional: "ok", or of a training that failed, "diverged" for instance

        >>> from nas_gym import CustomArchitecture, CustomSearchSpace, Decision, NASEnv, Table
        >>> class Nets(CustomArchitecture, kind="nets"):
        ...     decisions = (Decision("width", ("16", "32")), Decision("depth", ("1", "2")))
        >>> search_space = CustomSearchSpace(Nets)
        >>> frame = {"width": ["16", "32"], "depth": ["2", "2"], "accuracy": [0.7, 0.8]}
        >>> env = NASEnv(search_space, Table.from_frame(search_space, frame))

        Args:
            search_space: Search space of the architectures.
            frame: The columns.
            epochs: Length of training that is looked up; default: the longest.
            seed: Which of each architecture's longest trainings is looked up, modulo their number,
                with its parts, those of the same seed; default: the mean, if none of them failed.
            name: Name of the table.

        Raises:
            InvalidTable: a column is missing, unknown or broken, or has nothing of these epochs.
        """
        trainings = read_frame(search_space, frame, f"table: {name}")
        epochs = trainings.length(epochs, f"table: {name}")
        if not (seed is None or (type(seed) is int and seed >= 0)):
            raise InvalidTable(f"table: {name}: seed: expected an integer from 0 on, got {seed!r}")
        facts = {"table": name, "epochs": epochs, "seed": seed, "choices": trainings.digest}
        index = index_of(search_space, trainings.choices)
        columns, lengths = trainings.columns(epochs, seed), trainings.lengths(epochs)
        return table_of(name, index, facts, columns, seed or 0, "unrecorded", lengths)

    @classmethod
    def from_file(cls, search_space: SearchSpace, path: str | Path, **arguments: Any) -> Table:
        """Return the table of a CSV file with a head line, or of a JSON file; see `from_frame`.

        JSON is a list of objects, one a row, or an object of lists, one a column.

        Raises:
            InvalidTable: the file cannot be read, and as `from_frame`.
        """
        arguments = {"name": Path(path).stem, **arguments}
        return cls.from_frame(search_space, load_frame(path), **arguments)

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
        columns |= dict.fromkeys(self._measured, number)
        if self.elapsed is not None:
            columns["elapsed"] = Column("iuf", (*rows, epochs))
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
        return {name: getattr(self, name) for name in (*names, *self._measured)}

    @property
    def _measured(self) -> list[str]:
        """Names of the measured costs that the benchmark has."""
        return [name for name in ("latency", "energy") if getattr(self, name) is not None]

    @property
    def epochs(self) -> int | None:
        """Number of epochs after which accuracies were recorded, where it is known."""
        epochs: int | None = self.facts.get("epochs")
        return epochs

    @cached_property
    def fingerprint(self) -> str:
        """Digest of everything that an evaluation depends on."""
        digest = hashlib.blake2b(json.dumps(self.facts, sort_keys=True).encode(), digest_size=16)
        always = ("status", "curves", "seconds", "parameters", "multiply_adds")
        for name in (*always, *self._measured, *(["elapsed"] if self.elapsed is not None else [])):
            digest.update(np.ascontiguousarray(getattr(self, name)).data)
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

    @property
    def fidelities(self) -> tuple[int, ...]:
        """Numbers of epochs that are recorded, if there are several."""
        return self.lengths if len(self.lengths) > 1 else ()

    def evaluation(self, row: int, epochs: int | None = None) -> Evaluation:
        """Return the record of a row; ``seconds`` are those of the recorded training.

        ``epochs`` is one of `lengths`; default: all. `InvalidTable` for others.
        """
        if epochs is not None:
            require_recorded(f"table: {self.name}: epochs", epochs, self.lengths or (None,))
            return self._part(row, self.lengths.index(epochs))
        measured = {name: getattr(self, name).item(row) for name in self._measured}
        return Evaluation(
            status=cast("Status", self.status.item(row)),
            accuracy=self.accuracy.item(row),
            curve=_curve(self.curves[row]),
            seconds=self.seconds.item(row),
            seed=self.seed,
            fingerprint=self.fingerprint,
            parameters=_known(self.parameters.item(row)),
            multiply_adds=_known(self.multiply_adds.item(row)),
            **{name: value for name, value in measured.items() if not math.isnan(value)},
            message="" if row < len(self) else f"{self.name} has not recorded this architecture",
        )

    def _part(self, row: int, place: int) -> Evaluation:
        """Return the record of a row after the epochs of a column of the curves."""
        whole, accuracy = self.evaluation(row), self.curves.item(row, place)
        known, epochs = not math.isnan(accuracy), self.lengths[place]
        return replace(
            whole,
            status="ok" if known else "unrecorded" if whole.status == "ok" else whole.status,
            accuracy=accuracy if known else 0.0,
            curve=_curve(self.curves[row, : place + 1]),
            seconds=self._seconds_until(row, place),
            fingerprint=partial_fingerprint(self.fingerprint, epochs),
        )

    def _seconds_until(self, row: int, place: int) -> float:
        """Return the seconds of a training until the epochs of a column of the curves."""
        if self.elapsed is not None:
            return float(self.elapsed.item(row, place))
        known = np.flatnonzero(~np.isnan(self.curves[row]))
        # A failed training ended in the epochs after the last known ones
        after = int(known[-1]) + 1 if len(known) else 0
        end = self.lengths[min(after, len(self.lengths) - 1)]
        return float(self.seconds.item(row) * min(1.0, self.lengths[place] / end))

    def test_accuracy(self, architecture: Architecture) -> float:
        """Return the recorded test accuracy, in [0, 1]; NaN if there is none.

        For analysis, and free: no budget counts it, and no agent is given it.
        """
        return float(self.test[self._row(architecture)])


def _curve(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(known for known in values.tolist() if not math.isnan(known))


def _known(value: float) -> int | None:
    return None if math.isnan(value) else round(value)


def table_of(
    name: str,
    index: RowIndex,
    facts: Mapping[str, Any],
    columns: dict[str, Any],
    seed: int = 0,
    missing: Status = "unbuildable",
    lengths: tuple[int, ...] = (),
) -> Table:
    """Return the table of n architectures by its arrays, (n, ...), which get the last row here.

    ``missing`` is the status of what is not recorded.
    """
    for column, values in columns.items():
        nothing = {"status": missing, "seconds": 0.0, "elapsed": 0.0}.get(column, np.nan)
        columns[column] = np.concatenate([values, np.full((1, *values.shape[1:]), nothing)])
    return Table(name, index, facts, seed=seed, lengths=lengths, **columns)
