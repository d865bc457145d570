"""The store: every evaluation ever made, in SQLite or PostgreSQL. No torch here.

An evaluation is identified by the architecture's key, the fingerprint of all settings and the
number of the repeat. Rows are only ever added: the first of a kind stays, and every reader gets it.

One table, ``evaluations``, has a column for each field of `Evaluation` (``curve`` as JSON) and for
the architecture (JSON), the run, the worker and the time (UTC), so that any program can read it::

    pandas.read_sql("SELECT * FROM evaluations", "sqlite:///runs/my_run/evaluations.db")

The column ``scope`` is empty in a row that answers every run; in a failure that another run may not
meet (`nas_gym.store.rows.LASTING`), it names the run. ``test_accuracy`` is filled by recording a
benchmark alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, bindparam, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from nas_gym.architecture import Architecture
from nas_gym.errors import NASGymError, require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.outside.json_text import short, short_name
from nas_gym.store.database import Database, StoreError
from nas_gym.store.rows import Record, Row, record_of, row_of
from nas_gym.store.schema import EVALUATIONS

_rows = EVALUATIONS.c
_same = (_rows[name] == bindparam(name) for name in ("key", "fingerprint", "repeat"))
_FIND = select(EVALUATIONS).where(*_same, _rows.scope.in_(["", bindparam("run")]))
_FIND = _FIND.order_by(_rows.scope.desc()).limit(1)  # its own failure before what others made later


class Store:
    """Evaluations in a database that many processes, and with PostgreSQL many machines, share.

    Adding takes half a millisecond of the processor and waits for one write to the disk; then, the
    evaluation outlives the process and a power failure. A store can be used from any thread.
    SQLite's file must be on a local disk.

    Args:
        url: A file for SQLite, made if it is missing, or ``sqlite:///FILE``, or
            ``postgresql://USER:PASSWORD@HOST/DATABASE`` (extra ``postgresql``).
        create: Whether to make a store where there is none. Otherwise it is opened for reading,
            and nothing in it or beside it is changed.
        patience: Seconds to wait for a lock, and for a PostgreSQL server that went away.

    Raises:
        InvalidSettings: the URL is not one of SQLite or PostgreSQL, or the driver is not installed.
        StoreError: the store cannot be opened, is another program's database, or is of a newer
            version of nas_gym; the message says why, and names the remedy. All methods raise it
            when the database fails.
    """

    def __init__(self, url: str | Path, *, create: bool = True, patience: float = 60.0) -> None:
        self._database = Database(url, create, patience)
        dialect = sqlite if self._database.is_sqlite else postgresql
        insert = dialect.insert(EVALUATIONS).on_conflict_do_nothing()
        self._insert = insert.execution_options(preserve_rowcount=True)
        self.name = self._database.name
        """The file, or the URL without passwords, as messages name it; a long one is shortened."""

    def add(
        self,
        architecture: Architecture,
        evaluation: Evaluation,
        run: str,
        repeat: int = 0,
        worker: str | None = None,
    ) -> Record:
        """Write an evaluation unless the store has one of the same kind; return the one it has.

        ``run`` is the name of the run that made it, unique among runs; ``worker`` that of the
        writer, by default this host and process.
        """
        return self.add_rows([row_of(architecture, evaluation, run, repeat, worker)])[0]

    def add_rows(self, rows: Sequence[Row]) -> list[Record]:
        """Write rows of `row_of` in one transaction, as `add` does; return what the store has."""

        def write(connection: Connection) -> list[Row]:
            with self._database.transaction(connection) if len(rows) > 1 else nullcontext():
                return [self._write_one(connection, row) for row in rows]

        return [self._record(row) for row in self._database.write(write)]

    def get(self, key: str, fingerprint: str, repeat: int = 0, run: str = "") -> Record | None:
        """Return the record of an architecture's key under a fingerprint, or None.

        A failure that another run may not meet (`LASTING`) is found for its own ``run`` alone.
        """
        sought = {"key": key, "fingerprint": fingerprint, "repeat": repeat, "run": run}
        found = self._database.run(lambda c: c.execute(_FIND, sought).one_or_none())
        return None if found is None else self._record(found._asdict())

    def records(self) -> Iterator[Record]:
        """Return all records, in the order of time."""
        return map(self._record, self._everything())

    def best(self, number: int) -> list[Record]:
        """Return the records of the highest accuracy, the best first."""
        query = select(EVALUATIONS).where(_rows.status == "ok")
        query = query.order_by(_rows.accuracy.desc(), _rows.time, _rows.key).limit(number)
        return [self._record(row) for row in self._database.rows(query)]

    def accuracies(
        self, fingerprint: str, runs: str, besides: str, repeats: int = 1
    ) -> list[float]:
        """Return the accuracies of runs whose names contain ``runs``, but for one of that name.

        An architecture's is the mean over ``repeats``, where the run made all of them, and 0 if one
        of them failed.
        """
        whole = func.min(case((_rows.status == "ok", 1.0), else_=0.0))
        query = select(whole * func.avg(_rows.accuracy)).where(
            *(_rows.fingerprint == fingerprint, _rows.repeat < repeats, _rows.run != besides),
            _rows.run.contains(runs, autoescape=True),
        )
        query = query.group_by(_rows.key, _rows.run).having(func.count() == repeats)
        return self._database.run(lambda connection: list(connection.scalars(query)))

    def counts(self) -> dict[str, dict[str, int]]:
        """Return the number of evaluations, by fingerprint and then by status."""
        kind = (_rows.fingerprint, _rows.status)
        query = select(*kind, func.count().label("number")).group_by(*kind)
        counts: dict[str, dict[str, int]] = {}
        for row in self._database.rows(query.order_by(func.min(_rows.time), _rows.status)):
            texts = row["fingerprint"], row["status"]
            if not all(isinstance(text, str) for text in texts):
                raise StoreError(
                    f"store: {self.name} is corrupt: {short(texts)} are no fingerprint and status; "
                    "put a copy in its place, or name another store"
                )
            counts.setdefault(row["fingerprint"], {})[row["status"]] = row["number"]
        return counts

    def size(self) -> int:
        """Return the number of evaluations."""
        query = select(func.count()).select_from(EVALUATIONS)
        return self._database.run(lambda connection: connection.scalars(query).one())

    def merge(self, other: Store) -> int:
        """Copy the evaluations of another store that are new here; return their number.

        None of a thousand rows is copied if one of them is corrupt (`StoreError`).

        Raises:
            InvalidSettings: both are the same store.
        """
        says = f"store: {self.name} cannot be merged into itself; name another one"
        require(not self._database.is_same(other._database), says)
        before, rows = self.size(), other._everything()
        while batch := list(islice(rows, 1_000)):
            for row in batch:
                other._record(row)
            self._database.write(partial(self._write, rows=batch))
        return self.size() - before

    def close(self) -> None:
        """Close the database; what was added is in it already."""
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _everything(self) -> Iterator[Row]:
        """Return all rows, in the order of time."""
        query = select(EVALUATIONS)
        return self._database.stream(query.order_by(_rows.time, *EVALUATIONS.primary_key))

    def _write_one(self, connection: Connection, row: Row) -> Row:
        """Insert a row unless there is one of the same kind; return the one that is there."""
        if connection.execute(self._insert, row).rowcount == 1:
            return row
        return connection.execute(_FIND, row).one()._asdict()

    def _record(self, row: Row) -> Record:
        try:
            return record_of(row)
        except NASGymError as error:
            raise StoreError(
                f"store: {self.name} is corrupt in the row of {short_name(row['key'])!r} "
                f"({error}); put a copy in its place, or name another store"
            ) from None

    def _write(self, connection: Connection, rows: Sequence[Row]) -> None:
        with self._database.transaction(connection):
            connection.execute(self._insert, rows)
