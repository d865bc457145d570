"""How many evaluations can be written, by many at a time? Prints ratios against bare drivers.

    python examples/benchmarks/store.py
    python examples/benchmarks/store.py --only postgresql --postgresql postgresql://user@host/name
    python examples/benchmarks/store.py --only workers

8 processes write 10,000 evaluations each into one store, as fast as they can: into SQLite, and into
PostgreSQL if its server is installed (one is started in a temporary folder; its settings are
PostgreSQL's defaults) or an URL is given. Afterwards every one of them is looked for in the store.

The baseline has the same processes insert the same rows, made beforehand, in a loop over the bare
driver (`sqlite3`, `psycopg`), with the same durability: each insertion is on the disk before the
next begins. The store also computes the architecture's key and JSON, which is part of its time.

``workers``: 20 workers evaluate 60 children of 0.2 s, with a store whose transactions take 0.1 s
each, and without a store.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import sqlalchemy

from nas_gym import Architecture, Evaluation, NASNetSearchSpace
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.rows import Record, Row
from nas_gym.store.store import Store
from nas_gym.workers.pool import Pool
from nas_gym.workers.protocol import Answer, Child, Place, Worker

sys.path.append(str(Path(__file__).parents[2]))  # the tests know how to start a server
from tests.postgresql import NoServer, Server

REPEATS = 100
"""Evaluations of each architecture; they have rows of their own."""
BARE_PART = 4
"""The baseline inserts a quarter of the rows; its speed is all that is asked for."""
COLUMNS = 17
PATIENCE = 600.0
"""Seconds. SQLite's writers poll, and among eight that never pause, one may be unlucky for long."""


@dataclass(frozen=True)
class Written:
    """Measurements of one process."""

    seconds: float
    each: list[float]
    """Seconds of every insertion."""


def children(writer: int, number: int) -> Iterator[tuple[Architecture, int]]:
    """So many architectures and repeats, other ones for each writer."""
    search_space, rng = NASNetSearchSpace(), np.random.default_rng(writer)
    for place in range(number):
        if place % REPEATS == 0:
            architecture = search_space.decode(search_space.sample(rng))
        yield architecture, place % REPEATS


def evaluation(repeat: int) -> Evaluation:
    """As a child of 20 epochs has it."""
    curve = tuple(0.9 - 0.5 / (epoch + 1 + repeat / REPEATS) for epoch in range(20))
    return Evaluation("ok", curve[-1], curve, 12.5, repeat, "f" * 32, 224_122, 7_000_000)


def write_to_store(url: str, writer: int, number: int, ready: Barrier) -> Written:
    """`Store.add` in a loop."""
    todo = list(children(writer, number))
    with Store(url, patience=PATIENCE) as store:
        ready.wait()
        return timed(
            todo,
            lambda it: store.add(it[0], evaluation(it[1]), f"run {writer}", it[1]),
        )


def write_bare(url: str, writer: int, number: int, ready: Barrier) -> Written:
    """INSERT in a loop over the bare driver, of rows that are ready."""
    rows = []
    for architecture, repeat in children(writer, number // BARE_PART):
        measured = ("ok", 0.9, str(list(evaluation(repeat).curve)), 12.5, repeat)
        costs = (224_122, 7_000_000, None, "")
        origin = (f"run {writer}", "host:1", "2026-01-01 00:00:00.000000")
        key = (architecture.key, "f" * 32, repeat, "")
        rows.append((*key, *measured, *costs, architecture.to_json(), *origin))
    if url.startswith("postgresql"):
        values = ", ".join(["%s"] * COLUMNS)
        with psycopg.connect(url, autocommit=True) as connection:
            ready.wait()
            return timed(
                rows, lambda row: connection.execute(f"INSERT INTO bare VALUES ({values})", row)
            )
    values = ", ".join(["?"] * COLUMNS)
    database = sqlite3.connect(url, timeout=PATIENCE, isolation_level=None)
    database.execute("PRAGMA synchronous=FULL")
    ready.wait()
    written = timed(rows, lambda row: database.execute(f"INSERT INTO bare VALUES ({values})", row))
    database.close()
    return written


def timed(items: list[Any], insert: Callable[[Any], object]) -> Written:
    """Return the times of a loop."""
    each = []
    started = time.perf_counter()
    for item in items:
        before = time.perf_counter()
        insert(item)
        each.append(time.perf_counter() - before)
    return Written(time.perf_counter() - started, each)


def make_bare(url: str) -> None:
    """Return the baseline's table: the store's columns and key."""
    columns = "key TEXT, fingerprint TEXT, repeat INTEGER, scope TEXT, status TEXT, "
    columns += "accuracy DOUBLE PRECISION, curve TEXT, seconds DOUBLE PRECISION, seed BIGINT, "
    columns += "parameters BIGINT, multiply_adds BIGINT, latency DOUBLE PRECISION, message TEXT, "
    columns += "architecture TEXT, run TEXT, worker TEXT, time TIMESTAMP, "
    table = f"CREATE TABLE bare ({columns} PRIMARY KEY (key, fingerprint, repeat, scope))"
    if url.startswith("postgresql"):
        with psycopg.connect(url) as connection:
            connection.execute("DROP TABLE IF EXISTS bare")
            connection.execute(table)
    else:
        database = sqlite3.connect(url)
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(table)
        database.close()


def together(
    write: Callable[[str, int, int, Barrier], Written], url: str, processes: int, number: int
) -> list[Written]:
    """Run processes at the same time, and return their measurements."""
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(processes) as pool:
        ready: Any = manager.Barrier(processes)
        todo = [(url, writer, number, ready) for writer in range(processes)]
        return pool.starmap(write, todo, chunksize=1)


def report(title: str, written: list[Written]) -> float:
    """Print and return writes a second, from the first start to the last end."""
    each = [1e3 * seconds for one in written for seconds in one.each]
    rate = len(each) / max(one.seconds for one in written)
    print(
        f"{title:24} {rate:8,.0f} writes a second; one takes {statistics.median(each):.2f} ms "
        f"(median), {max(each):.0f} ms (longest)",
        flush=True,
    )
    return rate


def compare(title: str, url: str, bare_url: str, processes: int, number: int) -> None:
    """Measures both sides, and looks for what was written."""
    make_bare(bare_url)
    bare = report(f"{title}, bare driver", together(write_bare, bare_url, processes, number))
    ours = report(f"{title}, the store", together(write_to_store, url, processes, number))
    expected = {
        (architecture.key, repeat, f"run {writer}")
        for writer in range(processes)
        for architecture, repeat in children(writer, number)
    }
    with Store(url, create=False) as store:
        found = {
            (record.key, record.repeat, record.run)
            for record in store.records()
            if record.evaluation == evaluation(record.repeat)
        }
        size = store.size()
    there = f"{len(found & expected):,} of {len(expected):,} are there"
    print(f"{title:24} ratio {ours / bare:.2f}; {there}", flush=True)
    if not (found == expected and size == len(expected) == processes * number):
        sys.exit(f"{title}: evaluations are missing")


def cost_of_one(url: str, number: int = 1_000) -> None:
    """Print one writer's cost of an evaluation, and of looking one up."""
    todo = list(children(99, number))
    with Store(url) as store:
        added = timed(
            todo, lambda child: store.add(child[0], evaluation(child[1]), "one", child[1])
        )
        found = timed(todo, lambda it: store.get(it[0].key, "f" * 32, it[1]))
    times = [1e3 * statistics.median(side.each) for side in (added, found)]
    print(f"alone: {times[0]:.2f} ms to add an evaluation, {times[1]:.2f} ms to look one up")


class SleepingWorker(Worker):
    """A worker without a process, whose children take 0.2 s."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def begin(self) -> Future[Place]:
        return self._thread.submit(Place)

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        def sleep() -> Answer:
            time.sleep(0.2)
            return [evaluation(0)], True

        return self._thread.submit(sleep)

    def check(self) -> None:
        pass

    def replace(self) -> None:
        pass

    def end(self) -> None:
        self._thread.shutdown()


class SlowStore(Store):
    """A store on a slow disk."""

    def add_rows(self, rows: Sequence[Row]) -> list[Record]:
        time.sleep(0.1)
        return super().add_rows(rows)


class Described:
    """Evaluator of the workers' children, of which the pool needs the fingerprint alone."""

    fingerprint = "f" * 32


def with_slow_store(file: str, workers: int = 20, number: int = 60) -> None:
    """Print the seconds of many short children with a slow store, and without one."""
    search_space, rng = NASNetSearchSpace(), np.random.default_rng(0)
    asked = [search_space.decode(search_space.sample(rng)) for _ in range(number)]
    described: Any = Described()
    seconds = {}
    for name in ("without a store", "with one"):
        with Pool(described) as pool, SlowStore(file) as store:
            pool.start([SleepingWorker() for _ in range(workers)])
            stored = StoredEvaluator(pool, store, "run")
            started = time.perf_counter()
            (stored if name == "with one" else pool).evaluate(asked)
            seconds[name] = time.perf_counter() - started
            stored.close()
    both = ", ".join(f"{taken:.2f} s {name}" for name, taken in seconds.items())
    print(f"{workers} workers, {number} children of 0.2 s, 0.1 s a write: {both}", flush=True)


def main() -> None:
    """Run everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--evaluations", type=int, default=10_000, help="of each process")
    parser.add_argument("--postgresql", metavar="URL", help="an empty database of your own")
    parser.add_argument("--only", choices=["sqlite", "postgresql", "workers"])
    given = parser.parse_args()
    print(
        f"sqlalchemy {sqlalchemy.__version__}, SQLite {sqlite3.sqlite_version}, "
        f"psycopg {psycopg.__version__}; {given.processes} processes"
    )
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        amount = (given.processes, given.evaluations)
        if given.only in (None, "workers"):
            with_slow_store(str(folder / "slow.db"))
        if given.only in (None, "sqlite"):
            cost_of_one(str(folder / "one.db"))
            compare("SQLite", str(folder / "store.db"), str(folder / "bare.db"), *amount)
        if given.only in ("sqlite", "workers"):
            return
        try:
            url = given.postgresql or stack.enter_context(Server(durable=True)).url
        except NoServer as error:
            sys.exit(f"PostgreSQL is left out: {error}")
        compare("PostgreSQL", url, url, *amount)


if __name__ == "__main__":
    main()
