"""Opens a store's database: SQLite or PostgreSQL, its schema, and clear errors. No torch here.

The schema has a version, and a list of steps from each version to the next, in SQL that both
dialects read. For one table, that is less than a migration framework would ask for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    DateTime,
    Double,
    Engine,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    TypeDecorator,
    create_engine,
    event,
    inspect,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from nas_gym.errors import InvalidSettings, NASGymError, choices_hint, require
from nas_gym.json_text import short, short_name

_Result = TypeVar("_Result")


class _Time(TypeDecorator[datetime]):
    """A time whose text nobody has checked: one that is none comes back as it is."""

    impl, cache_ok, python_type = DateTime, True, datetime

    def result_processor(self, dialect: Any, coltype: Any) -> Any:
        parse = super().result_processor(dialect, coltype)

        def parsed(value: Any) -> Any:
            try:
                return parse(value) if parse else value
            except (ValueError, TypeError):
                return value

        return parsed


metadata = MetaData()
EVALUATIONS = Table(
    "evaluations",
    metadata,
    Column("key", Text, primary_key=True),
    Column("fingerprint", Text, primary_key=True),
    Column("repeat", Integer, primary_key=True),
    Column("scope", Text, primary_key=True),
    Column("status", Text, nullable=False),
    Column("accuracy", Double, nullable=False),
    Column("curve", Text, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("parameters", BigInteger),
    Column("multiply_adds", BigInteger),
    Column("latency", Double),
    Column("message", Text, nullable=False),
    Column("architecture", Text, nullable=False),
    Column("run", Text, nullable=False),
    Column("worker", Text, nullable=False),
    Column("time", _Time, nullable=False),
    Column("test_accuracy", Double),
)
"""One row an evaluation; see `nas_gym.store.store`."""
_SCHEMA = Table("evaluations_schema", metadata, Column("version", Integer, nullable=False))

MIGRATIONS: tuple[str, ...] = ("ALTER TABLE evaluations ADD COLUMN test_accuracy DOUBLE PRECISION",)
"""One SQL statement each: the first leads from version 1 of the schema to 2, and so on."""
_MIGRATION_LOCK = 7_202_611
"""Number of PostgreSQL's advisory lock under which the schema is made and changed; arbitrary."""


class StoreError(NASGymError):
    """A store cannot be read or written: a full disk, a lock, a broken file, no server."""


class Database:
    """Connections to the database of a store, whose schema is the newest.

    SQLite commits each evaluation to the disk before it goes on (``synchronous=FULL``), so that
    a power failure loses none that was reported; PostgreSQL does so by default.

    Args:
        url: A file, or a URL of SQLite or PostgreSQL.
        create: Whether to make a missing database.
        patience: Seconds to wait for a lock, and for a PostgreSQL server that went away.

    Raises:
        InvalidSettings: the URL is not one of SQLite or PostgreSQL, or the driver is not installed.
        StoreError: the database cannot be opened, is missing, or is of a newer version.
    """

    def __init__(self, url: str | Path, create: bool, patience: float) -> None:
        self.url = parse_url(url)
        self.patience = patience
        self.name = _shown(self.url)
        if self.is_sqlite:
            self._check_file(create)
        # SQLite has one writer at a time; threads that wait in line are faster than its polling.
        self._turn: AbstractContextManager[object] = Lock() if self.is_sqlite else nullcontext()
        self._engine = self._make_engine()
        try:
            with self._clear_errors(), self._engine.connect() as connection:
                if not create:
                    self._version(connection, create)  # what holds no store stays as it is
                if self.is_sqlite:
                    self._write_ahead(connection)
                self._bring_up_to_date(connection, create)
        except BaseException:
            self.close()
            raise

    def _check_file(self, create: bool) -> None:
        """Refuse what SQLite would wait for, as a pipe, or would make although nobody asked."""
        file = str(self.url.database).removeprefix("file:")
        if os.path.exists(file) and not os.path.isfile(file):
            raise StoreError(f"store: {self.name} is not a regular file; name a file")
        if not create and not os.path.exists(file):
            raise StoreError(f"store: there is none at {self.name}; check the name")

    @property
    def is_sqlite(self) -> bool:
        """Whether the database is SQLite, and not PostgreSQL."""
        return self.url.get_backend_name() == "sqlite"

    def run(self, work: Callable[[Connection], _Result]) -> _Result:
        """Return what ``work`` does, for a connection on which each statement is a transaction.

        It is called again when a PostgreSQL server went away, until the patience is over, so
        ``work`` must be harmless to repeat.

        Raises:
            StoreError: the database failed; the message says why, and names the remedy.
        """
        deadline = time.monotonic() + self.patience
        with self._clear_errors():
            while True:
                try:
                    with self._engine.connect() as connection:
                        return work(connection)
                except DBAPIError as error:
                    if not _is_gone(error) or time.monotonic() > deadline:
                        raise
                time.sleep(min(1.0, self.patience / 10))

    def write(self, work: Callable[[Connection], _Result]) -> _Result:
        """Run work that writes; see `run`."""
        with self._turn:
            return self.run(work)

    def rows(self, query: Select[Any]) -> list[dict[str, Any]]:
        """Return the rows of a query, by column; see `run`."""
        return self.run(lambda connection: [row._asdict() for row in connection.execute(query)])

    def stream(self, query: Select[Any]) -> Iterator[dict[str, Any]]:
        """Yield the rows of a query one by one, all of one state of the database.

        Raises:
            StoreError: the database failed; the message says why, and names the remedy.
        """
        self.run(lambda connection: connection.exec_driver_sql("SELECT 1"))  # waits for a server
        with self._clear_errors(), self._engine.connect() as connection:
            for row in connection.execute(query):
                yield row._asdict()

    @contextmanager
    def transaction(self, connection: Connection) -> Iterator[None]:
        """Make a block's statements one transaction, undone if the block raises.

        It is undone as the connection returns to its pool.
        """
        connection.exec_driver_sql("BEGIN IMMEDIATE" if self.is_sqlite else "BEGIN")
        yield
        connection.exec_driver_sql("COMMIT")

    def close(self) -> None:
        """Close all connections; with the last one, SQLite folds its log into the one file."""
        self._engine.dispose()

    def _make_engine(self) -> Engine:
        if self.is_sqlite:
            arguments: dict[str, Any] = {"timeout": self.patience}
            on_connect = "PRAGMA synchronous=FULL"
        else:
            arguments = {"client_encoding": "utf8", "connect_timeout": "10"}
            arguments = {name: arguments[name] for name in arguments if name not in self.url.query}
            on_connect = f"SET lock_timeout = {int(1000 * self.patience)}"
        try:
            with self._clear_errors():  # an option of the URL can be invalid
                engine = create_engine(
                    self.url,
                    isolation_level="AUTOCOMMIT",  # one statement is one transaction
                    connect_args=arguments,
                )
        except ImportError as error:
            raise InvalidSettings(
                f"store: {self.name} needs psycopg 3, which cannot be imported ({error}); "
                "install it with: pip install 'nas-gym[postgresql]'"
            ) from error

        @event.listens_for(engine, "connect")
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
                if mode != "wal" and ("uri" in self.url.query or time.monotonic() > deadline):
                    raise StoreError(
                        f"store: {self.name} allows no write-ahead log (its journal mode is "
                        f"{mode!r}); name a file that can be written, without options"
                    )
            except OperationalError as error:
                if "locked" not in str(error.orig) or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def _bring_up_to_date(self, connection: Connection, create: bool) -> None:
        """Make the tables, or take them from an older version to the newest."""
        newest = 1 + len(MIGRATIONS)
        if self._version(connection, create) == newest:
            return
        with self.transaction(connection):
            if not self.is_sqlite:
                connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})")
            version = self._version(connection, create)  # another process may have been faster
            if version is None:
                metadata.create_all(connection, checkfirst=False)
                connection.execute(_SCHEMA.insert().values(version=newest))
                return
            for statement in MIGRATIONS[version - 1 :]:
                connection.exec_driver_sql(statement)
            connection.execute(_SCHEMA.update().values(version=newest))

    def _version(self, connection: Connection, create: bool) -> int | None:
        """Return the version of the schema; None where there is none, and one may be made."""
        if not inspect(connection).has_table(_SCHEMA.name):
            if not create:
                raise StoreError(f"store: {self.name} holds no store; check the name")
            return None
        versions = connection.execute(select(_SCHEMA.c.version)).scalars().all()
        newest = 1 + len(MIGRATIONS)
        if len(versions) != 1 or type(versions[0]) is not int or versions[0] < 1:
            raise StoreError(
                f"store: {self.name} does not say its version: evaluations_schema holds "
                f"{list(versions[:3])!r}; put a copy in its place, or name another store"
            )
        version = versions[0]
        if version > newest:
            raise StoreError(
                f"store: {self.name} has version {version} of the schema, and this nas_gym "
                f"knows {newest}; upgrade nas_gym, or name another store"
            )
        return version

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        """Raise what goes wrong in the database as a `StoreError`."""
        try:
            yield
        except NASGymError:
            raise
        except (SQLAlchemyError, ValueError, TypeError, OverflowError) as error:
            reason = explain(error)
            for secret in _secrets(self.url):
                reason = reason.replace(secret, "***")
            raise StoreError(f"store: {self.name} {reason}") from error


IN_MEMORY = ":memory:"
NO_FILE = "store: a store needs a file; expected its name, or sqlite:///FILE"
_SECRET_OPTIONS = ("password", "sslpassword", "passfile")


def _secrets(url: URL) -> list[str]:
    """Return the passwords in a URL."""
    options = [url.query[name] for name in _SECRET_OPTIONS if name in url.query]
    values = [value for each in options for value in ([each] if isinstance(each, str) else each)]
    return [secret for secret in (str(url.password or ""), *values) if secret]


def _shown(url: URL) -> str:
    """Return a URL as messages write it: SQLite's file, or all but passwords."""
    if url.get_backend_name() == "sqlite" and "uri" not in url.query:
        return short_name(url.database)
    return url.difference_update_query(_SECRET_OPTIONS).render_as_string(hide_password=True)


def parse_url(url: str | Path) -> URL:
    """Return the URL of a store's database.

    Raises:
        InvalidSettings: the text is not a URL, or of a database that a store cannot be in.
    """
    require(
        isinstance(url, (str, Path)) and str(url) != "" and "\0" not in str(url),
        f"store: expected a file or an URL, got {short(url)}",
    )
    if isinstance(url, Path) or "://" not in url:
        require(str(url) != IN_MEMORY, NO_FILE)
        return URL.create("sqlite", database=os.path.expanduser(url))
    try:
        parsed = make_url(url)
        if "@" in (parsed.host or ""):
            raise ValueError("a part of the password would be taken for the host")
    except (ArgumentError, ValueError) as error:
        raise InvalidSettings(
            f"store: {url.partition('://')[0]}://... is no URL that can be read; "
            "expected sqlite:///FILE or postgresql://USER:PASSWORD@HOST/DATABASE, in a password "
            "%40 for @"
        ) from error
    backend = parsed.get_backend_name()
    if backend == "postgres":
        backend = "postgresql"
    if backend not in ("sqlite", "postgresql"):
        hint = choices_hint(backend, ("sqlite", "postgresql"))
        raise InvalidSettings(f"store: {backend!r} is no database for a store; {hint}")
    in_memory = backend == "sqlite" and (
        parsed.database in (None, "", IN_MEMORY, f"file:{IN_MEMORY}")
        or parsed.query.get("mode") == "memory"
    )
    require(not in_memory, NO_FILE)
    return parsed.set(drivername="sqlite" if backend == "sqlite" else "postgresql+psycopg")


_KEPT = "what was recorded before is kept"
_EXPLANATIONS = (
    (("database or disk is full", "53100"), f"has no space left: free some; {_KEPT}"),
    (("database is locked", "55P03"), "is locked by another process: wait for it, or end it"),
    (
        ("malformed", "not a database", "decode", "parse datetime", "XX001", "XX002"),
        "is corrupt, or no database: put a copy in its place, save what can be read with "
        "`sqlite3 FILE .recover`, or name another store",
    ),
    (("readonly database", "25006"), "cannot be written: check its permissions, or copy it"),
    (
        ("unable to open database file",),
        "cannot be opened: check that its folder exists, and its permissions",
    ),
    (
        ("disk I/O error",),
        f"cannot be read or written: check its disk (a network's will not do); {_KEPT}",
    ),
    (("already exists",), "has a table of this name already, of something else: name another"),
    (
        ("no such column", "no such table", "no column named", "42703", "42P01"),
        "has tables of something else: name another store",
    ),
    (("53300",), "has too many connections: close some, or raise its max_connections"),
    (("42501",), "does not grant what is needed: give this user the rights on its schema"),
)
"""Parts of a database's message, or PostgreSQL's codes of errors, and the text for users."""


def explain(error: Exception) -> str:
    """Return what happened and the remedy, then the database's own words."""
    cause = getattr(error, "orig", None) or error
    words = " ".join(str(cause).split())
    text = f"{getattr(cause, 'sqlstate', '')} {words}"
    for signs, explanation in _EXPLANATIONS:
        if any(sign in text for sign in signs):
            return f"{explanation} ({words})"
    if isinstance(error, DBAPIError) and _is_gone(error):
        return f"cannot be reached: check the URL, and that the server runs ({words})"
    return f"failed ({words})"


def _is_gone(error: DBAPIError) -> bool:
    """Return whether a PostgreSQL server cannot be reached, went away, or is starting up."""
    if not isinstance(error, (InterfaceError, OperationalError)):
        return False
    state = getattr(error.orig, "sqlstate", "")  # None where there is no connection to have one
    return state is None or error.connection_invalidated or state.startswith(("08", "57P"))
