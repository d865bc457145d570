"""The store: every evaluation ever made, in SQLite or PostgreSQL. No torch here.

An evaluation is known by the architecture's key, the fingerprint of all settings and the number of
the repeat. Rows are only ever added: the first of a kind stays, and every reader gets that one.

One table, ``evaluations``, has a column for each field of `Evaluation` (``curve`` as JSON) and for
the architecture (JSON), the run, the worker and the time (UTC), so that anything reads it::

    pandas.read_sql("SELECT * FROM evaluations", "sqlite:///runs/my_run/evaluations.db")

Its column ``scope`` is empty in a row that answers every run; in a failure that another run need
not meet (see `LASTING`), it names the run.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.store.database import EVALUATIONS, Database, StoreError

__all__ = ["Record", "Store", "StoreError"]

LASTING: frozenset[Status] = frozenset({"ok", "diverged", "unbuildable"})
"""Statuses that follow from the architecture and the settings alone, and so answer every run. The
others depend on the machine and on what else ran on it: such a failure answers the run that it
happened in, which must not change when it is resumed; another run tries again."""
PATIENCE = 60.0
_BATCH = 1_000
_OF_RECORD = ("key", "repeat", "architecture", "run", "worker")
_OF_EVALUATION = tuple(field.name for field in fields(Evaluation) if field.name != "cached")

_rows = EVALUATIONS.c
_FIND = (
    select(EVALUATIONS)
    .where(
        _rows.key == bindparam("key"),
        _rows.fingerprint == bindparam("fingerprint"),
        _rows.repeat == bindparam("repeat"),
        _rows.scope.in_(["", bindparam("run")]),
    )
    .order_by(_rows.scope.desc())  # the run's own failure before what another run found later
    .limit(1)
)


@dataclass(frozen=True)
class Record:
    """One row of a store."""

    evaluation: Evaluation
    """As it was made: ``cached`` is False."""
    key: str
    """The architecture's; see `Architecture.key`."""
    repeat: int
    """The number of the repeat; see `nas_gym.evaluation.evaluator.ChildEvaluator`."""
    architecture: str
    """Its JSON, as it was chosen by whoever was first."""
    run: str
    """The name of the run that made it."""
    worker: str
    """Who wrote it: "host:process" unless something else was said."""
    time: datetime
    """When it was written, in UTC."""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        evaluation = self.evaluation.to_dict()
        del evaluation["cached"]
        return {
            "key": self.key,
            "repeat": self.repeat,
            **evaluation,
            "architecture": json.loads(self.architecture),
            "run": self.run,
            "worker": self.worker,
            "time": self.time.isoformat(),
        }


class Store:
    """Evaluations in a database that many processes, and with PostgreSQL many machines, share.

    Adding takes half a millisecond of the processor and one write to the disk that is waited for;
    then, the evaluation outlives the process and a failure of the machine's power. A store can be
    used from any thread. SQLite's file must be on a local disk.

    Args:
        url: A file for SQLite, made if it is not there, or ``sqlite:///FILE``, or
            ``postgresql://USER:PASSWORD@HOST/DATABASE`` (extra ``postgresql``).
        create: Whether to make a store where there is none.
        patience: Seconds to wait for a lock, and for a PostgreSQL server that went away.

    Raises:
        InvalidSettings: the URL is none of a database that a store can be in, or the driver is not
            installed.
        StoreError: the store cannot be opened, or is of a newer version of nas_gym; the message
            says why, and what to do. All its methods raise it when the database fails.
    """

    def __init__(self, url: str | Path, *, create: bool = True, patience: float = PATIENCE) -> None:
        self._database = Database(url, create, patience)
        dialect = sqlite if self._database.is_sqlite else postgresql
        insert = dialect.insert(EVALUATIONS).on_conflict_do_nothing()
        self._insert = insert.execution_options(preserve_rowcount=True)

    @property
    def name(self) -> str:
        """The file, or the URL without its password."""
        return self._database.name

    def add(
        self,
        architecture: Architecture,
        evaluation: Evaluation,
        run: str,
        repeat: int = 0,
        worker: str | None = None,
    ) -> Record:
        """Writes an evaluation, unless there is one of the same kind; gives the one that is there.

        Args:
            architecture: What was evaluated.
            evaluation: What it was worth, under the settings of its fingerprint.
            run: The name of the run that made it, one that no other run has.
            repeat: The number of the repeat.
            worker: Who made it; by default, this host and process.
        """
        require(run != "", "run: expected the name of a run, got an empty one")
        row = {
            "key": architecture.key,
            "repeat": repeat,
            "scope": "" if evaluation.status in LASTING else run,
            **_columns(evaluation),
            "architecture": architecture.to_json(),
            "run": run,
            "worker": worker or f"{platform.node()}:{os.getpid()}",
            "time": datetime.now(timezone.utc).replace(tzinfo=None),
        }

        def write(connection: Connection) -> Mapping[str, Any] | None:
            if connection.execute(self._insert, row).rowcount == 1:
                return row
            return _find(connection, row["key"], evaluation.fingerprint, repeat, run)

        found = self._database.write(write)
        assert found is not None
        return self._record(found)

    def get(self, key: str, fingerprint: str, repeat: int = 0, run: str = "") -> Record | None:
        """What is known of an architecture under the settings of a fingerprint, or None.

        A failure that another run need not meet (see `LASTING`) is found for its own ``run`` alone.
        """
        found = self._database.run(lambda c: _find(c, key, fingerprint, repeat, run))
        return None if found is None else self._record(found)

    def records(self) -> Iterator[Record]:
        """Everything, in the order of time."""
        return map(self._record, self._everything())

    def best(self, number: int) -> list[Record]:
        """Those of the highest accuracy, the best first."""
        query = select(EVALUATIONS).where(_rows.status == "ok")
        query = query.order_by(_rows.accuracy.desc(), _rows.time, _rows.key).limit(number)
        return [self._record(row) for row in self._database.rows(query)]

    def counts(self) -> dict[str, dict[str, int]]:
        """How many evaluations there are, by fingerprint and then by status."""
        query = select(_rows.fingerprint, _rows.status, func.count().label("number"))
        query = query.group_by(_rows.fingerprint, _rows.status)
        counts: dict[str, dict[str, int]] = {}
        query = query.order_by(func.min(_rows.time), _rows.status)
        for row in self._database.rows(query):
            counts.setdefault(row["fingerprint"], {})[row["status"]] = row["number"]
        return counts

    def size(self) -> int:
        """How many evaluations there are."""
        query = select(func.count().label("number")).select_from(EVALUATIONS)
        return int(self._database.rows(query)[0]["number"])

    def merge(self, other: Store) -> int:
        """Copies everything that another store knows and this one does not; says how many."""
        before, rows = self.size(), other._everything()
        while batch := list(islice(rows, _BATCH)):
            self._database.write(partial(self._write, rows=batch))
        return self.size() - before

    def close(self) -> None:
        """Closes the database; what was added is in it already."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _everything(self) -> Iterator[Mapping[str, Any]]:
        """All rows, in the order of time."""
        return self._database.stream(
            select(EVALUATIONS).order_by(_rows.time, *EVALUATIONS.primary_key)
        )

    def _write(self, connection: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._database.transaction(connection):
            connection.execute(self._insert, rows)

    def _record(self, row: Mapping[str, Any]) -> Record:
        try:
            evaluation = {name: row[name] for name in _OF_EVALUATION}
            evaluation["curve"] = tuple(json.loads(row["curve"]))
            of_record = {name: row[name] for name in _OF_RECORD}
            return Record(
                Evaluation(**evaluation), **of_record, time=row["time"].replace(tzinfo=timezone.utc)
            )
        except (ValueError, TypeError) as error:
            raise StoreError(
                f"store: {self.name} is corrupt in the row of {row['key']!r} ({error}); put a copy "
                "in its place, or name another store"
            ) from error


def _find(
    connection: Connection, key: str, fingerprint: str, repeat: int, run: str
) -> Mapping[str, Any] | None:
    asked = {"key": key, "fingerprint": fingerprint, "repeat": repeat, "run": run}
    row = connection.execute(_FIND, asked).one_or_none()
    return None if row is None else row._asdict()


def _columns(evaluation: Evaluation) -> dict[str, Any]:
    """An evaluation as a row has it: plain numbers (not NumPy's), and texts that are valid."""

    def whole(value: int | None) -> int | None:
        return None if value is None else int(value)

    return {
        "fingerprint": evaluation.fingerprint,
        "status": evaluation.status,
        "accuracy": float(evaluation.accuracy),
        "curve": json.dumps([float(accuracy) for accuracy in evaluation.curve]),
        "seconds": float(evaluation.seconds),
        "seed": int(evaluation.seed),
        "parameters": whole(evaluation.parameters),
        "multiply_adds": whole(evaluation.multiply_adds),
        "latency": None if evaluation.latency is None else float(evaluation.latency),
        "message": _valid(evaluation.message),
    }


def _valid(text: str) -> str:
    """A text without what a database cannot hold: zero bytes, halves of surrogate pairs."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")
