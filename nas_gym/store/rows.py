"""A row of the store: from an `Evaluation`, and back to it as a `Record`. No torch here."""

from __future__ import annotations

import json
import os
import platform
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from typing import Any, get_args

from nas_gym.architecture import Architecture
from nas_gym.errors import NASGymError, require
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.outside.json_text import read_json_text
from nas_gym.store.schema import EVALUATIONS

LASTING: frozenset[Status] = frozenset({"ok", "diverged", "unbuildable"})
"""Statuses that follow from the architecture and the settings alone, and so answer every run. The
others depend on the machine and its load: such a failure answers the run that it happened in, which
must not change when it is resumed; another run tries again."""
_STATUSES: tuple[Status, ...] = get_args(Status)
_OF_EVALUATION = tuple(field.name for field in fields(Evaluation) if field.name != "cached")
_TYPES: dict[type, str] = {str: "a text", int: "an integer", float: "a number", datetime: "a time"}
_EXPECTED = [(each.name, each.type.python_type, bool(each.nullable)) for each in EVALUATIONS.c]


@dataclass(frozen=True)
class EvaluationWithTest(Evaluation):
    """An evaluation of a benchmark that is being recorded, with an accuracy that no agent sees."""

    test_accuracy: float | None = None
    """Accuracy on the test split, in [0, 1]; None for a child that failed."""


@dataclass(frozen=True)
class Record:
    """One row of a store."""

    evaluation: Evaluation
    """The evaluation as it was made: ``cached`` is False."""
    key: str
    """Key of the architecture; see `Architecture.key`."""
    repeat: int
    """Number of the repeat; see `nas_gym.evaluation.evaluator.ChildEvaluator`."""
    architecture: str
    """JSON of the architecture, as the first run chose it."""
    run: str
    """Name of the run that made it."""
    worker: str
    """Name of the writer: "host:process" by default."""
    time: datetime
    """Time of writing, in UTC."""
    test_accuracy: float | None = None
    """See `EvaluationWithTest`."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        data = {"key": self.key, "repeat": self.repeat, **self.evaluation.to_dict()}
        del data["cached"]
        data |= {"architecture": json.loads(self.architecture), "run": self.run}
        return {**data, "worker": self.worker, "time": self.time.isoformat()}


Row = Mapping[str, Any]
"""The columns of an evaluation."""


def row_of(
    architecture: Architecture,
    evaluation: Evaluation,
    run: str,
    repeat: int = 0,
    worker: str | None = None,
) -> Row:
    """Return a new row; for the arguments, see `Store.add`."""
    require(run != "", "run: expected the name of a run, got an empty one")
    return {
        "key": architecture.key,
        "repeat": repeat,
        "scope": "" if evaluation.status in LASTING else run,
        **_columns(evaluation),
        "architecture": architecture.to_json(),
        "run": run,
        "worker": worker or f"{platform.node()}:{os.getpid()}",
        "time": datetime.now(timezone.utc).replace(tzinfo=None),
    }


def _columns(evaluation: Evaluation) -> dict[str, Any]:
    """Return an evaluation's columns: plain numbers (not NumPy's), and texts that are valid."""
    values = {"test_accuracy": None, **vars(evaluation)}
    values["curve"] = json.dumps([float(accuracy) for accuracy in evaluation.curve])
    # No database holds zero bytes and halves of surrogate pairs.
    message = evaluation.message.encode("utf-8", "backslashreplace").decode()
    values["message"] = message.replace("\0", "\\0")
    return {
        name: None if values[name] is None else kind(values[name])
        for name, kind, _ in _EXPECTED
        if name in values
    }


def record_of(row: Row) -> Record:
    """Return the record in a row of a database; `NASGymError` if something else is in it."""
    _check_types(row)
    evaluation = {name: row[name] for name in _OF_EVALUATION}
    evaluation["curve"] = _curve(row["curve"])
    read_json_text(row["architecture"], "architecture")
    names = ("key", "repeat", "architecture", "run", "worker", "test_accuracy")
    time = row["time"].replace(tzinfo=timezone.utc)
    return Record(Evaluation(**evaluation), time=time, **{name: row[name] for name in names})


def _check_types(row: Mapping[str, Any]) -> None:
    """Raise `NASGymError` for a value of another type: SQLite keeps any value in any column."""
    for name, expected, optional in _EXPECTED:
        value = row[name]
        if value is None and optional:
            continue
        wanted = _TYPES[expected]
        if type(value) is not expected:
            raise NASGymError(f"{name}: expected {wanted}, got {reprlib.repr(value)}")
        if expected is int and value < 0:
            raise NASGymError(f"{name}: expected {wanted} from 0 on, got {value}")
        if name == "status" and value not in _STATUSES:
            wanted = f"one of {', '.join(_STATUSES)}"
            raise NASGymError(f"{name}: expected {wanted}, got {reprlib.repr(value)}")


def _curve(text: str) -> tuple[float, ...]:
    """Return the numbers of a JSON list, NaN among them: that of an epoch that diverged."""
    try:
        values = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NASGymError(f"curve: not JSON: {error}") from None
    if not isinstance(values, list) or not {type(value) for value in values} <= {int, float}:
        raise NASGymError(f"curve: expected a list of numbers, got {reprlib.repr(text)}")
    return tuple(values)
