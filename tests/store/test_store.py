"""`Store`: nothing that was added is lost or changed, whoever else writes, and whatever fails."""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import sqlite3
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext, suppress
from dataclasses import fields, replace
from datetime import datetime, timezone
from multiprocessing.connection import Connection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import sqlalchemy as sa

from nas_gym import Architecture, Evaluation, InvalidSettings, NASGymError
from nas_gym.store import schema
from nas_gym.store.database import Database, StoreError
from nas_gym.store.rows import EvaluationWithTest
from nas_gym.store.store import Store
from tests.helpers import nested, random_architecture
from tests.postgresql import Server

CHILD = random_architecture(0)
OK = Evaluation("ok", 0.75, (0.5, 0.75), 12.5, 2**63 - 1, "settings", 10, 2**40, 0.1 + 0.2)
CRASHED = Evaluation("crashed", 0.0, (0.25,), 1.5, 7, "settings", message="worker: exit code -9")


NUMPYS: dict[str, Any] = {
    **{"accuracy": np.float64(0.5), "curve": (np.float32(0.5), 1), "latency": np.float32(0.5)},
    **{"parameters": np.int64(3), "seed": np.int64(1), "seconds": 2},
}


def rename(run: str, evaluation: Evaluation = OK) -> Evaluation:
    """An evaluation that says in its message which run made it."""
    return replace(evaluation, message=run)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evaluations.db"


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, file: Path) -> str:
    """A database with no store in it yet."""
    if request.param == "sqlite":
        return str(file)
    server: Server = request.getfixturevalue("postgresql")
    execute(server.url, "DROP TABLE IF EXISTS evaluations, evaluations_schema")
    return server.url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    with Store(url, patience=0.2) as opened:
        yield opened


def execute(url: str, *statements: str) -> list[Any]:
    """What the last statement gives, in a session of another program."""
    if not url.startswith("postgresql"):
        with closing(sqlite3.connect(url, isolation_level=None)) as connection:
            for statement in statements:
                cursor = connection.execute(statement)
            return cursor.fetchall()
    import psycopg

    with psycopg.connect(url, autocommit=True) as session:
        for statement in statements:
            answer = session.execute(statement.encode())
        return answer.fetchall() if answer.description else []


def test_every_field_comes_back(store: Store) -> None:
    before = datetime.now(timezone.utc)
    store.add(CHILD, OK, "first run", repeat=2)
    record = store.get(CHILD.key, "settings", repeat=2)
    assert record is not None
    assert record.evaluation == OK
    assert Architecture.from_json(record.architecture) == CHILD
    assert (record.key, record.repeat, record.run) == (CHILD.key, 2, "first run")
    assert before <= record.time <= datetime.now(timezone.utc)
    assert record.worker.rpartition(":")[2].isdigit()


@pytest.mark.parametrize(
    "evaluation",
    [
        Evaluation("unbuildable", 0.0, (), 0.0, 0, "settings", message="Größe: 一, 🐍"),
        Evaluation("diverged", 0.0, (1 / 3, float("nan")), 1e-300, 0, "settings", 0, 0, 0.0),
        replace(OK, **NUMPYS),
    ],
)
def test_unusual_values_come_back(store: Store, evaluation: Evaluation) -> None:
    told = store.add(CHILD, evaluation, "run").evaluation
    record = store.get(CHILD.key, "settings")
    assert record is not None
    for read in (told, record.evaluation):
        assert repr(read) == repr(replace(evaluation, **plain(evaluation)))


def plain(evaluation: Evaluation) -> dict[str, Any]:
    """Python's numbers for NumPy's."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in vars(evaluation).items()
        if name != "curve"
    } | {"seconds": float(evaluation.seconds), "curve": tuple(map(float, evaluation.curve))}


def test_a_message_that_no_database_holds_is_made_readable(store: Store) -> None:
    store.add(CHILD, replace(CRASHED, message="a\0b\udc80"), "run")
    [record] = store.records()
    assert record.evaluation.message == "a\\0b\\udc80"


@pytest.mark.parametrize("column", ["status", "fingerprint"])
def test_counts_of_what_is_no_text_are_refused(column: str, tmp_path: Path) -> None:
    with Store(tmp_path / "a.db") as store:
        store.add(CHILD, OK, "run")
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection, connection:
        connection.execute(f"UPDATE evaluations SET {column} = X'00ff'")
    with Store(tmp_path / "a.db") as store, pytest.raises(StoreError, match="corrupt"):
        store.counts()


def test_every_field_of_an_evaluation_has_a_column() -> None:
    columns = {column.name for column in schema.EVALUATIONS.columns}
    assert {field.name for field in fields(Evaluation)} - {"cached"} <= columns


def test_the_first_stays_and_everyone_gets_it(store: Store, url: str) -> None:
    first = store.add(CHILD, rename("a"), "a")
    assert store.add(CHILD, rename("b"), "b") == first
    assert store.get(CHILD.key, "settings") == first
    with Store(url) as another:
        assert another.add(CHILD, rename("c"), "c") == first
        assert list(another.records()) == [first]


def test_key_fingerprint_and_repeat_tell_evaluations_apart(store: Store) -> None:
    store.add(CHILD, OK, "run")
    store.add(random_architecture(1), OK, "run")
    store.add(CHILD, replace(OK, fingerprint="other settings"), "run")
    store.add(CHILD, OK, "run", repeat=1)
    assert store.size() == 4
    assert store.get(CHILD.key, "settings", repeat=2) is None
    assert store.get("no such key", "settings") is None


def test_accuracies_of_runs_by_a_part_of_their_names(store: Store) -> None:
    def add(seed: int, accuracy: float, run: str, repeat: int = 0) -> None:
        made = replace(OK, accuracy=accuracy)
        store.add(random_architecture(seed), made, run, repeat)

    add(1, 0.5, "a-random-1")
    add(1, 0.75, "a-random-1", repeat=1)
    add(2, 0.25, "b-random-2")
    add(3, 0.125, "another")
    assert sorted(store.accuracies("settings", "-random-", "mine")) == [0.25, 0.5]
    assert store.accuracies("settings", "-random-", "b-random-2") == [0.5]
    assert store.accuracies("settings", "-random-", "mine", repeats=2) == [0.625]
    store.add(random_architecture(2), replace(CRASHED, accuracy=0.0), "b-random-2", repeat=1)
    assert sorted(store.accuracies("settings", "-random-", "mine", repeats=2)) == [0.0, 0.625]
    assert store.accuracies("other settings", "-random-", "mine") == []
    assert store.accuracies("settings", "-r%-", "mine") == []


@pytest.mark.parametrize("status", ["crashed", "timed_out", "out_of_memory"])
def test_a_failure_that_need_not_happen_again_is_its_own_runs(store: Store, status: Any) -> None:
    failed = store.add(CHILD, replace(CRASHED, status=status), "a")
    assert store.get(CHILD.key, "settings", run="a") == failed
    assert store.get(CHILD.key, "settings", run="b") is None
    assert store.get(CHILD.key, "settings") is None
    made = store.add(CHILD, OK, "b")
    assert made.evaluation == OK
    assert store.get(CHILD.key, "settings", run="a") == failed  # it stays as it was for the run
    assert store.get(CHILD.key, "settings", run="c") == made
    assert store.size() == 2


@pytest.mark.parametrize("status", ["diverged", "unbuildable"])
def test_a_failure_of_the_network_itself_answers_every_run(store: Store, status: Any) -> None:
    failed = store.add(CHILD, replace(CRASHED, status=status), "a")
    assert store.get(CHILD.key, "settings", run="b") == failed


def test_what_is_in_it(store: Store) -> None:
    accuracies = {1: 0.2, 2: 0.9, 3: 0.4}
    for seed, accuracy in accuracies.items():
        store.add(random_architecture(seed), replace(OK, accuracy=accuracy), "run")
    store.add(CHILD, replace(CRASHED, accuracy=1.0), "run")
    store.add(CHILD, replace(OK, fingerprint="other settings"), "run")
    assert store.counts() == {"settings": {"crashed": 1, "ok": 3}, "other settings": {"ok": 1}}
    assert [record.evaluation.accuracy for record in store.best(3)] == [0.9, 0.75, 0.4]
    assert [record.evaluation.accuracy for record in store.records()] == [0.2, 0.9, 0.4, 1, 0.75]


def test_a_record_is_plain_data(store: Store) -> None:
    data = store.add(CHILD, OK, "run").to_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["architecture"] == CHILD.to_dict()
    assert data["accuracy"] == 0.75
    assert "cached" not in data


def test_merging_adds_what_is_new(store: Store, tmp_path: Path) -> None:
    with Store(tmp_path / "other.db") as other:
        other.add(CHILD, rename("theirs"), "theirs")
        for seed in range(1, 4):
            other.add(random_architecture(seed), OK, "theirs")
        other.add(CHILD, replace(CRASHED, fingerprint="settings 2"), "theirs")
        store.add(CHILD, rename("ours"), "ours")
        assert store.merge(other) == 4
        assert store.merge(other) == 0
        assert [each for each in other.records() if each not in list(store.records())] == [
            next(other.records())
        ]
    ours = store.get(CHILD.key, "settings")
    assert ours is not None
    assert ours.run == "ours"
    assert store.get(CHILD.key, "settings 2", run="ours") is None


def add_many(url: str, run: str, start: Connection) -> list[str]:
    """Adds 50 evaluations that everyone adds, and 50 of the run's own; what it was told."""
    with Store(url) as store:
        start.recv()
        told = []
        for seed in range(50):
            told.append(store.add(random_architecture(seed), rename(run), run).run)
            store.add(random_architecture(seed), replace(OK, fingerprint=run), run)
        return told


def test_processes_write_at_the_same_time(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    starts = [context.Pipe(duplex=False) for _ in range(2)]
    with context.Pool(2) as pool:
        answers = [
            pool.apply_async(add_many, (url, run, receiver))
            for run, (receiver, _) in zip("ab", starts, strict=True)
        ]
        for _, sender in starts:
            sender.send("go")
        told = [answer.get(60) for answer in answers]
    with Store(url) as store:
        assert told[0] == told[1]
        assert store.counts() == {name: {"ok": 50} for name in ("settings", "a", "b")}
        for seed, run in enumerate(told[0]):
            record = store.get(random_architecture(seed).key, "settings")
            assert record is not None
            assert (record.run, record.evaluation.message) == (run, run)


def add_forever(url: str, done: Connection) -> None:
    """Says the number of every evaluation that was added."""
    with Store(url) as store:
        for repeat in range(10**6):
            store.add(CHILD, OK, "run", repeat)
            done.send(repeat)


def test_what_was_added_outlives_a_kill(url: str) -> None:
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=add_forever, args=(url, sender))
    process.start()
    sender.close()
    for _ in range(20):
        last = receiver.recv()
    process.kill()
    process.join()
    with suppress(EOFError):
        while True:
            last = receiver.recv()
    with Store(url) as store:
        assert last < store.size() <= last + 2  # one may have been added and not been said
        assert [record.repeat for record in store.records()] == list(range(store.size()))


def test_threads_write_at_the_same_time(store: Store) -> None:
    def add(number: int) -> str:
        run = f"run {number % 8}"
        return store.add(random_architecture(number // 8), rename(run), run).run

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(add, range(80)))
    stored = [store.get(random_architecture(seed).key, "settings") for seed in range(10)]
    assert told == [record.run for record in stored if record for _ in range(8)]


def test_many_open_a_new_store_at_the_same_time(url: str) -> None:
    def open_and_close(number: int) -> int:
        with Store(url) as store:
            store.add(random_architecture(number), OK, "run")
            return number

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(open_and_close, range(8))) == list(range(8))
    with Store(url, create=False) as store:
        assert store.size() == 8


def test_sqlite_is_one_file_when_closed_and_on_the_disk_before(file: Path) -> None:
    with Store(f"sqlite:///{file}") as store:
        store.add(CHILD, OK, "run")
        pragma = store._database.run(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar())
        assert pragma == 2  # FULL
        assert execute(str(file), "PRAGMA journal_mode") == [("wal",)]
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_pandas_reads_it_in_one_line(store: Store) -> None:
    pandas = pytest.importorskip("pandas")
    store.add(CHILD, OK, "run")
    engine = store._database.url.render_as_string(hide_password=False)
    frame = pandas.read_sql("SELECT * FROM evaluations", engine)
    assert frame.accuracy.tolist() == [0.75]
    assert frame.key.tolist() == [CHILD.key]


@pytest.mark.parametrize(
    ("version", "says"), [(1, "; name another store"), (99, "; upgrade nas_gym, or name another")]
)
def test_a_store_of_another_version_is_refused(url: str, version: int, says: str) -> None:
    with Store(url) as store:
        store.add(CHILD, OK, "run")
    execute(url, f"UPDATE evaluations_schema SET version = {version}")
    with pytest.raises(StoreError, match=rf"has version {version} .* knows {schema.VERSION}{says}"):
        Store(url)


def test_a_recorded_test_accuracy_is_kept_apart_from_the_evaluation(store: Store) -> None:
    added = store.add(CHILD, EvaluationWithTest(**vars(OK), test_accuracy=0.25), "run")
    assert added.test_accuracy == 0.25
    record = store.get(CHILD.key, "settings")
    assert record is not None
    assert record.test_accuracy == 0.25
    assert record.evaluation == OK  # which no agent sees it in
    assert "test_accuracy" not in record.to_dict()


def test_a_store_of_other_things_is_left_alone(url: str) -> None:
    execute(url, "CREATE TABLE evaluations (note TEXT)")
    with pytest.raises(StoreError, match="name another"):
        Store(url)
    assert execute(url, "SELECT * FROM evaluations") == []
    execute(url, "DROP TABLE evaluations")


def test_reading_makes_no_store(url: str, file: Path, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check the name"):
        Store(url, create=False)
    assert list(tmp_path.iterdir()) == []
    execute(str(file), "CREATE TABLE something_else (note TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match="holds no store"):
        Store(file, create=False)
    assert file.read_bytes() == before


def fill(store: Store) -> int:
    """Adds evaluations until that fails; says how many there are."""
    for number in range(1_000):
        store.add(random_architecture(number), OK, "run")
    raise AssertionError


def test_a_full_disk_loses_nothing(file: Path) -> None:
    with Store(file) as store:
        store._database.run(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 40"))
        with pytest.raises(StoreError, match=r"evaluations.db has no space left: free some; .*"):
            fill(store)
        size = store.size()
        assert size > 10
        assert all(record.evaluation == OK for record in store.records())
        store._database.run(lambda c: c.exec_driver_sql("PRAGMA max_page_count = 4000"))
        store.add(random_architecture(size), OK, "run")
        assert store.size() == size + 1


def test_a_disk_that_cannot_be_written_loses_nothing(file: Path) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store(file) as store:
        store.add(CHILD, OK, "run")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))
            with pytest.raises(StoreError, match="what was recorded before is kept"):
                fill(store)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        size = store.size()
        store.add(random_architecture(size), OK, "run")
        assert store.size() == size + 1 > 1


def test_a_disk_of_the_server_that_is_full(postgresql: Server) -> None:
    raises = "RAISE EXCEPTION USING ERRCODE = 'disk_full', MESSAGE = 'could not extend file'"
    with Store(postgresql.url) as store:
        execute(
            postgresql.url,
            "DELETE FROM evaluations",
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$BEGIN {raises}; END$$",
            "CREATE TRIGGER full_disk BEFORE INSERT ON evaluations EXECUTE FUNCTION full_disk()",
        )
        with pytest.raises(StoreError, match="has no space left: free some"):
            store.add(CHILD, OK, "run")
        execute(postgresql.url, "DROP FUNCTION full_disk CASCADE")
        store.add(CHILD, OK, "run")


def test_a_lock_of_somebody_else_is_waited_for_and_then_said(store: Store, url: str) -> None:
    store.add(CHILD, OK, "run")
    with closing(locked(url)), pytest.raises(StoreError, match="is locked by another"):
        store.add(random_architecture(1), OK, "run")
    store.add(random_architecture(1), OK, "run")
    assert store.size() == 2


def locked(url: str) -> Any:
    """A connection that keeps all others from writing."""
    if not url.startswith("postgresql"):
        connection = sqlite3.connect(url, isolation_level=None)
        connection.execute("BEGIN IMMEDIATE")
        return connection
    import psycopg

    session = psycopg.connect(url)
    session.execute("LOCK TABLE evaluations IN EXCLUSIVE MODE")
    return session


def overwrite_beginning(file: Path) -> None:
    file.write_bytes(b"x" * 4096 + file.read_bytes()[4096:])


def overwrite_middle(file: Path) -> None:
    data = file.read_bytes()
    file.write_bytes(data[:4096] + b"\xff" * (len(data) - 4096))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:5_000])


@pytest.mark.parametrize("damage", [overwrite_beginning, overwrite_middle, cut])
def test_a_corrupt_file_is_said_to_be_so(file: Path, damage: Callable[[Path], None]) -> None:
    with Store(file) as store:
        for number in range(20):
            store.add(random_architecture(number), OK, "run")
    damage(file)
    with pytest.raises(StoreError, match=r"is corrupt, or no database: .* \.recover"):
        read_and_write(file)


def read_and_write(file: Path) -> None:
    with Store(file) as store:
        store.add(random_architecture(20), OK, "run")
        list(store.records())


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("curve", "'[0.5'", "curve: not JSON"),
        ("curve", "'7'", "curve: expected a list of numbers"),
        ("curve", "'[1, null]'", "curve: expected a list of numbers"),
        ("curve", "'" + "[" * 3000 + "'", "curve: not JSON"),
        ("curve", "'[" + "9" * 5000 + "]'", "curve: not JSON"),
        ("curve", "x'00ff'", "curve: expected a text, got b'"),
        ("time", "'yesterday'", "time: expected a time, got 'yesterday'"),
        ("time", "x'00'", "time: expected a time, got b'"),
        ("time", "7", "time: expected a time, got 7"),
        ("accuracy", "'[/red]'", "accuracy: expected a number, got '.{1,2}red"),
        ("seconds", "x'00'", "seconds: expected a number, got b'"),
        ("seed", "'many'", "seed: expected an integer, got 'many'"),
        ("seed", "99999999999999999999", "seed: expected an integer, got 1e"),
        ("parameters", "-3", "parameters: expected an integer from 0 on, got -3"),
        ("status", "'fine'", "status: expected one of ok"),
        ("message", "x'00'", "message: expected a text, got b'"),
        ("test_accuracy", "'good'", "test_accuracy: expected a number"),
        ("architecture", "'{'", "architecture: not JSON"),
        ("architecture", "'" + "[" * 3000 + "]'", "architecture: not JSON"),
        ("architecture", "x'00'", "architecture: expected a text"),
    ],
)
def test_a_corrupt_row_is_said_to_be_so(file: Path, column: str, value: str, message: str) -> None:
    with Store(file) as store:
        store.add(CHILD, OK, "run")
        execute(str(file), f"UPDATE evaluations SET {column} = {value}")
        says = rf"evaluations\.db is corrupt in the row of '{CHILD.key}' \({message}"
        with pytest.raises(StoreError, match=says) as error:
            store.get(CHILD.key, "settings")
        assert "\n" not in str(error.value)
        assert len(str(error.value)) < 500
        with pytest.raises(StoreError, match=says):
            list(store.records())
        with Store(file.with_name("all.db")) as everything:
            with pytest.raises(StoreError, match=says):
                everything.merge(store)
            assert everything.size() == 0


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM evaluations_schema",
        "INSERT INTO evaluations_schema VALUES (2)",
        "UPDATE evaluations_schema SET version = 'two'",
        "UPDATE evaluations_schema SET version = -7",
    ],
)
def test_a_store_that_does_not_say_its_version_is_refused(file: Path, statement: str) -> None:
    Store(file).close()
    execute(str(file), statement)
    with pytest.raises(StoreError, match=r"evaluations\.db does not say its version"):
        Store(file)


def test_a_foreign_database_is_refused_in_one_line(file: Path) -> None:
    Store(file).close()
    execute(str(file), "DROP TABLE evaluations", "CREATE TABLE evaluations (note TEXT)")
    with Store(file) as store, pytest.raises(StoreError, match="has tables of something else"):
        store.get(CHILD.key, "settings")


@pytest.mark.parametrize("options", ["immutable=1&uri=true", "mode=memory&uri=true", "timeout=9"])
def test_options_of_sqlite_are_refused_and_nobody_waits(file: Path, options: str) -> None:
    with pytest.raises(InvalidSettings, match="without options"):
        Store(f"sqlite:///file:{file}?{options}")
    assert not file.exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("prefix", ["", "sqlite:///"])
def test_a_store_is_a_regular_file(make: Callable[[Path], None], prefix: str, file: Path) -> None:
    make(file)
    with pytest.raises(StoreError, match="is not a regular file"):
        Store(f"{prefix}{file}")


def test_an_invalid_name_is_one_line() -> None:
    with pytest.raises(NASGymError, match="store"):
        Store("a" * 5000)
    with pytest.raises(InvalidSettings, match="expected a file"):
        Store("a\0b")


def test_a_store_that_is_only_read(store: Store, url: str) -> None:
    record = store.add(CHILD, OK, "run")
    with Store(url, create=False) as reader:
        assert list(reader.records()) == [record]
        with pytest.raises(StoreError, match="cannot be written: check its permissions"):
            reader.add(random_architecture(1), OK, "run")
    assert store.size() == 1


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_reading_changes_nothing_in_a_file_or_beside_it(file: Path, mode: str) -> None:
    with Store(file) as store:
        record = store.add(CHILD, OK, "run")
    execute(str(file), f"PRAGMA journal_mode={mode}")
    before = file.read_bytes(), file.stat().st_mtime_ns
    file.parent.chmod(0o555)
    with Store(file, create=False) as reader:
        assert list(reader.records()) == [record]
    file.parent.chmod(0o755)
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_a_process_that_died_had_written_is_read(file: Path, tmp_path: Path) -> None:
    with Store(file) as store:
        store.add(CHILD, OK, "run")
        dead = tmp_path / "dead"
        dead.mkdir()
        for each in tmp_path.glob("evaluations.db*"):
            (dead / each.name).write_bytes(each.read_bytes())
    with Store(dead / file.name, create=False) as reader:
        assert reader.size() == 1


def test_a_file_that_is_written_while_it_is_read_is_not_trusted(file: Path) -> None:
    with Store(file) as store:
        store.add(CHILD, OK, "run")
    with Store(file, create=False) as reader, Store(file) as store:
        store.add(random_architecture(1), OK, "run")
        with pytest.raises(StoreError, match="was written while it was read"):
            reader.size()
        with pytest.raises(StoreError, match="was written while it was read"):
            list(reader.records())


def test_a_database_of_another_program_stays_as_it_is(file: Path) -> None:
    execute(str(file), "CREATE TABLE moz_cookies (value TEXT)")
    before = file.read_bytes()
    with pytest.raises(StoreError, match=r"another program .*'moz_cookies'"):
        Store(file)
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="check that its folder exists"):
        Store(tmp_path / "nowhere" / "evaluations.db")


@pytest.mark.parametrize(
    "where",
    [
        "user:secret@127.0.0.1:1/name",
        "user:secret@/name?host=/nowhere",
        "user@127.0.0.1:1/name?password=secret&sslpassword=secret",
    ],
)
def test_no_server(where: str) -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(StoreError, match="cannot be reached: check the URL") as error:
        Store(f"postgresql://{where}")
    assert "secret" not in str(error.value)


def test_a_user_without_rights(postgresql: Server) -> None:
    execute(
        postgresql.url,
        "DROP TABLE IF EXISTS evaluations, evaluations_schema",
        "DROP ROLE IF EXISTS guest",
        "CREATE ROLE guest LOGIN",
        "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    )
    with pytest.raises(StoreError, match="give this user the rights"):
        Store(postgresql.url.replace("nas_gym@", "guest@"))


def test_no_database_of_this_name(postgresql: Server) -> None:
    with pytest.raises(StoreError, match=r'check the URL.*"nowhere" does not exist'):
        Store(postgresql.url.replace("/postgres?", "/nowhere?"))


def test_a_server_that_comes_back_is_waited_for(postgresql: Server) -> None:
    with Store(postgresql.url, patience=300) as store, ThreadPoolExecutor(1) as thread:
        postgresql.stop()
        adding = thread.submit(store.add, CHILD, replace(OK, fingerprint="restarted"), "run")
        postgresql.start()
        assert adding.result().evaluation.fingerprint == "restarted"
        postgresql.stop()
        postgresql.start()
        assert store.counts()["restarted"] == {"ok": 1}


def test_a_server_that_stays_away_is_said_to(postgresql: Server) -> None:
    with Store(postgresql.url, patience=0.2) as store:
        postgresql.stop()
        try:
            with pytest.raises(StoreError, match="cannot be reached"):
                store.add(CHILD, OK, "run")
        finally:
            postgresql.start()


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InvalidSettings, match=r"pip install 'nas-gym\[postgresql\]'"):
        Store("postgresql://user@localhost/name")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("mysql://user@localhost/name", r"'mysql' is no database .* 'sqlite', 'postgresql'"),
        ("postgresl://user@localhost/name", "did you mean 'postgresql'"),
        ("sqlite://", "a store needs a file"),
        ("sqlite:///:memory:", "a store needs a file"),
        (":memory:", "a store needs a file"),
        ("postgresql://user:secret@localhost:port/name", r"postgresql://\.\.\. is no URL"),
        ("postgresql://user:part@secret@localhost/name", "in a password %40 for @"),
        ("", "expected a file or an URL"),
        (nested(3_000), r"expected a file or an URL, got \[\["),
    ],
    ids=lambda value: str(value)[:40] if isinstance(value, str) else "nested",
)
def test_a_wrong_url_is_named(wrong: Any, message: str) -> None:
    with pytest.raises(InvalidSettings, match=message) as error:
        Store(wrong)
    assert "secret" not in str(error.value)


def test_a_run_needs_a_name(store: Store) -> None:
    with pytest.raises(InvalidSettings, match="expected the name of a run"):
        store.add(CHILD, OK, "")


@pytest.mark.parametrize("patience", [0.0, 300.0])
def test_a_file_that_others_turn_to_the_write_ahead_log_is_waited_for(patience: float) -> None:
    answers: list[Any] = ["delete", sqlite3.OperationalError("database is locked"), "delete", "wal"]

    def execute(text: str) -> Any:
        answer = answers.pop(0) if answers else "wal"
        if isinstance(answer, Exception):
            raise sa.exc.OperationalError(text, {}, answer)
        return SimpleNamespace(scalar=lambda: answer)

    database: Any = SimpleNamespace(patience=patience, name="x.db")
    connection: Any = SimpleNamespace(exec_driver_sql=execute)
    given_up = pytest.raises(sa.exc.OperationalError, match="is locked")
    with nullcontext() if patience else given_up:
        Database._write_ahead(database, connection)
    assert len(answers) == (0 if patience else 2)


def test_a_disk_without_the_write_ahead_log_is_refused() -> None:
    database: Any = SimpleNamespace(patience=0.0, name="x.db")
    refusing: Any = SimpleNamespace(
        exec_driver_sql=lambda text: SimpleNamespace(scalar=lambda: "delete")
    )
    with pytest.raises(StoreError, match=r"x\.db allows no write-ahead log .*'delete'"):
        Database._write_ahead(database, refusing)
