"""Opens a store's database, SQLite or PostgreSQL, with its tables, and clear errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.outside.json_text import short, short_name
from nas_gym.store.explanations import explain, is_gone
from nas_gym.store.schema import SCHEMA, VERSION, metadata
from nas_gym.store.urls import parse_url, secrets, without_passwords

_Result = TypeVar("_Result")

_LOCK = 7_202_611
"""Number of PostgreSQL's advisory lock under which the tables are made; arbitrary."""


class StoreError(NASGymError):
    """A store cannot be read or written: a full disk, a lock, a broken file, no server."""


class Database:
    """Connections to the database of a `nas_gym.store.Store`.

    SQLite commits each evaluation to the disk before it goes on (``synchronous=FULL``), so that
    a power failure loses none that was reported; PostgreSQL does so by default.

    Where no store is to be made, the database is read, and nothing in it can be changed.
    """

    def __init__(self, url: str | Path, create: bool, patience: float) -> None:
        self.url, self.patience, self.only_read = parse_url(url), patience, not create
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self.name = str(self.url.database) if self.is_sqlite else without_passwords(self.url)
        self.name = short_name(self.name)
        self._closed: tuple[int, ...] | None = None
        """The state of an SQLite file that nobody else has open, and that is only read."""
        if self.is_sqlite:
            self._check_file()
        # SQLite has one writer at a time; threads that wait in line are faster than its polling.
        self._turn: AbstractContextManager[object] = Lock() if self.is_sqlite else nullcontext()
        self._engine = self._make_engine()
        try:
            with self._clear_errors(), self._engine.connect() as connection:
                has_tables = self._has_tables(connection)  # what holds no store stays as it is
                if create and self.is_sqlite:
                    self._write_ahead(connection)
                if not has_tables:
                    self._make_tables(connection)
        except BaseException:
            self.close()
            raise

    def _check_file(self) -> None:
        """Refuse what SQLite would wait for, as a pipe, or would make although nobody asked."""
        file = str(self.url.database)
        if not os.path.exists(file):
            if self.only_read:
                raise StoreError(f"store: there is none at {self.name}; check the name")
        elif not os.path.isfile(file):
            raise StoreError(f"store: {self.name} is not a regular file; name a file")
        elif self.only_read and not _in_use(file):
            self._closed = _state(file)

    def is_same(self, other: Database) -> bool:
        """Return True if both are the same file, or have the same URL."""
        if self.is_sqlite and other.is_sqlite:
            return os.path.samefile(str(self.url.database), str(other.url.database))
        return self.url == other.url

    def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return the result of ``work`` on a connection where each statement is a transaction.

        It is called again when a PostgreSQL server went away, until the patience is over, so
        ``work`` must be harmless to repeat.
        """
        deadline = time.monotonic() + self.patience
        with self._clear_errors():
            while True:
                try:
                    with self._engine.connect() as connection:
                        result = work(connection)
                    self._require_unchanged()
                    return result
                except exc.DBAPIError as error:
                    if not is_gone(error) or time.monotonic() > deadline:
                        raise
                time.sleep(min(1.0, self.patience / 10))

    def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run work that writes; see `run`."""
        with self._turn:
            return self.run(work)

    def rows(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Return the rows of a query, by column; see `run`."""
        return self.run(lambda connection: [row._asdict() for row in connection.execute(query)])

    def stream(self, query: sa.Select[Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query one by one, all of one state of the database."""
        self.run(lambda connection: connection.exec_driver_sql("SELECT 1"))  # waits for a server
        with self._clear_errors(), self._engine.connect() as connection:
            for row in connection.execute(query):
                yield row._asdict()
            self._require_unchanged()

    def _require_unchanged(self) -> None:
        """Raise `StoreError` if a file that is read without locks was written meanwhile."""
        if self._closed is not None and self._closed != _state(str(self.url.database)):
            raise StoreError(f"store: {self.name} was written while it was read; read it again")

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Make a block's statements one transaction, undone if the block raises."""
        connection.exec_driver_sql("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        yield  # after an exception, the connection returns to its pool, which undoes all
        connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        """Close all connections; with the last one, SQLite folds its log into the one file."""
        self._engine.dispose()

    def _make_engine(self) -> sa.Engine:
        url, options = self.url, dict[str, Any](timeout=self.patience)
        on_connect = "PRAGMA synchronous=FULL"
        if not self.is_sqlite:
            options = {"client_encoding": "utf8", "connect_timeout": "10"}
            options = {name: options[name] for name in options if name not in self.url.query}
            on_connect = f"SET lock_timeout = {int(1000 * self.patience)}"
            on_connect += "; SET default_transaction_read_only = on" * self.only_read
        elif self.only_read:
            # Without locks where nobody writes: readers, too, would leave a log and its index.
            how = {"mode": "ro"} if self._closed is None else {"immutable": "1"}
            name = f"file:{quote(os.path.abspath(str(url.database)))}"
            url = url.set(database=name).update_query_dict({**how, "uri": "true"})
        arguments = {"isolation_level": "AUTOCOMMIT", "connect_args": options}
        try:
            with self._clear_errors():  # an option of the URL can be invalid
                engine = sa.create_engine(url, **arguments)
        except ImportError as error:
            raise InvalidSettings(
                f"store: {self.name} needs psycopg 3, which cannot be imported ({error}); "
                "install it with: pip install 'nas-gym[postgresql]'"
            ) from error

        @sa.event.listens_for(engine, "connect")
        def _(connection: Any, record: object) -> None:
            connection.cursor().execute(on_connect).close()

        return engine

    def _write_ahead(self, connection: Connection) -> None:
        """Turn on the write-ahead log, with which readers and a writer do not wait for each other.

        SQLite does not wait for others who do the same to a new file, so this does.
        """
        deadline = time.monotonic() + self.patience
        while connection.exec_driver_sql("PRAGMA journal_mode").scalar() != "wal":
            try:
                mode = connection.exec_driver_sql("PRAGMA journal_mode=WAL").scalar()
                if mode != "wal" and time.monotonic() > deadline:
                    raise StoreError(
                        f"store: {self.name} allows no write-ahead log (its journal mode is "
                        f"{mode!r}); name a file on a disk of this machine"
                    )
            except exc.OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _make_tables(self, connection: Connection) -> None:
        """Make the tables, if there are none."""
        with self.transaction(connection):
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
            if not self._has_tables(connection):  # another may have been faster
                metadata.create_all(connection, checkfirst=False)
                connection.execute(SCHEMA.insert().values(version=VERSION))

    def _has_tables(self, connection: Connection) -> bool:
        """Return True if the tables are there; False where there are none, and they may be made."""
        tables = sa.inspect(connection).get_table_names()
        if SCHEMA.name not in tables:
            if self.only_read:
                raise StoreError(f"store: {self.name} holds no store; check the name")
            if tables and self.is_sqlite:  # a server's database may hold others beside it
                raise StoreError(
                    f"store: {self.name} is a database of another program (it has the tables "
                    f"{short(sorted(tables))}); name another file"
                )
            return False
        versions = list(connection.scalars(sa.select(SCHEMA.c.version)))
        if len(versions) != 1 or type(versions[0]) is not int or versions[0] < 1:
            raise StoreError(
                f"store: {self.name} does not say its version: evaluations_schema holds "
                f"{versions[:3]!r}; put a copy in its place, or name another store"
            )
        if versions[0] != VERSION:
            upgrade = "upgrade nas_gym, or " if versions[0] > VERSION else ""
            raise StoreError(
                f"store: {self.name} has version {versions[0]} of the schema, and this nas_gym "
                f"knows {VERSION}; {upgrade}name another store"
            )
        return True

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise what goes wrong in the database as a `StoreError`."""
        try:
            yield
        except NASGymError:
            raise
        except (exc.SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
            reason = explain(error)
            for secret in secrets(self.url):
                reason = reason.replace(secret, "***")
            raise StoreError(f"store: {self.name} {reason}") from error


def _in_use(file: str) -> bool:
    """Return True if SQLite has something to restore in a file, or another process has it open."""
    return any(os.path.exists(file + suffix) for suffix in ("-wal", "-journal"))


def _state(file: str) -> tuple[int, ...]:
    """Return what changes when a file is written, or is about to be."""
    status = os.stat(file)
    return status.st_ino, status.st_size, status.st_mtime_ns, _in_use(file)
