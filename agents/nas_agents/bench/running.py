"""Makes all searches of a benchmark in processes, and keeps each in a folder."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable, Iterator
from concurrent.futures import as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pebble import ProcessPool

from nas_agents.bench.searching import (
    check_search,
    environment_of,
    fingerprint,
    resolved,
    run_search,
)
from nas_agents.bench.settings import Benchmark, Search
from nas_gym.errors import NASGymError
from nas_gym.outside.files import append_line, drop_cut_line, open_appending
from nas_gym.outside.json_text import UnreadableText, read_json_text, read_text_file

SEARCHES, LOCK = "searches.jsonl", "lock"
MOST_BYTES = 2**33
"""The most bytes of ``searches.jsonl``."""
Record = dict[str, Any]
OnSearch = Callable[[int, int], None]
"""Called with the number of searches that are finished, and of all searches."""


class InvalidBenchmark(NASGymError):
    """A benchmark's folder cannot be read or written, or a search was lost."""


def run_benchmark(
    benchmark: Benchmark,
    folder: Path,
    workers: int = 1,
    on_search: OnSearch = lambda done, total: None,
) -> list[Record]:
    """Make the searches that the folder does not hold yet; return the records of all, in order.

    A line of ``searches.jsonl`` says all that a search depends on beside this package's version. So
    the same call goes on where it was stopped, one with more agents, data sets or seeds makes only
    what is new, and other processes' results may be added to the file.
    """
    searches = [resolved(search) for search in benchmark.searches()]
    for search in searches[: len(searches) // benchmark.seeds]:
        check_search(search)
        for reported in benchmark.reported(search):
            environment_of(reported)
    with _opened(folder) as descriptor:
        finished = read_searches(folder)
        by_key = {key_of(each.to_dict()): each for each in searches}  # some may be the same
        missing = [each for key, each in by_key.items() if key not in finished]
        _check_fingerprints(searches, finished, folder)
        on_search(len(searches) - len(missing), len(searches))
        for number, record in enumerate(_run(missing, workers), start=1):
            append_line(descriptor, json.dumps(record), lasting=True)
            finished[key_of(record)] = record
            on_search(len(searches) - len(missing) + number, len(searches))
    return [finished[key_of(each.to_dict())] for each in searches]


def read_searches(folder: Path) -> dict[str, Record]:
    """Return a folder's finished searches, by `key_of`; a last line cut short is left out."""
    file, finished = folder / SEARCHES, {}
    try:
        *lines, _ = read_text_file(file, MOST_BYTES).split("\n")
        for number, line in enumerate(lines, start=1):
            record = read_json_text(line, f"line {number} of {file}")
            if not isinstance(record, dict) or not {*_FIELDS, "best"} <= set(record):
                raise UnreadableText(f"line {number} of {file}: no search")
            finished[key_of(record)] = record
    except UnreadableText as error:
        raise InvalidBenchmark(
            f"benchmark: {error}; remove the line, or use a new folder"
        ) from None
    return finished


_FIELDS = tuple(Search.__dataclass_fields__)


def key_of(record: Record) -> str:
    """Return what identifies a search: all that it depends on, as JSON."""
    return json.dumps([record[name] for name in _FIELDS], sort_keys=True)


def _run(searches: list[Search], workers: int) -> Iterator[Record]:
    """Yield the searches' records as they finish."""
    if workers == 1:
        from threadpoolctl import threadpool_limits  # noqa: PLC0415

        with threadpool_limits(1):  # as in several processes; more make small networks slower
            yield from map(run_search, searches)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPool(workers, initializer=_one_thread, context=context) as pool:
        try:
            futures = [pool.schedule(run_search, args=[search]) for search in searches]
            for future in as_completed(futures):
                yield future.result()
        except BaseException as error:
            pool.stop()  # type: ignore[no-untyped-call]
            if isinstance(error, NASGymError | KeyboardInterrupt | GeneratorExit):
                raise
            raise InvalidBenchmark(
                f"benchmark: a search failed ({type(error).__name__}: {error}); those that were "
                "finished are kept, and the same command goes on"
            ) from error


def _one_thread() -> None:
    """Let a process use one thread: the others have searches of their own."""
    import torch  # noqa: PLC0415
    from threadpoolctl import threadpool_limits  # noqa: PLC0415

    torch.set_num_threads(1)
    threadpool_limits(1)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open the folder's file of searches for appending; no other process can do so meanwhile."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / LOCK, timeout=0):
            descriptor = open_appending(folder / SEARCHES)
            try:
                drop_cut_line(descriptor)
                yield descriptor
            finally:
                os.close(descriptor)
    except Timeout:
        raise InvalidBenchmark(f"benchmark: another process works in {folder}") from None
    except OSError as error:
        raise InvalidBenchmark(
            f"benchmark: {folder} cannot be written ({error.strerror}); name another folder"
        ) from error


def _check_fingerprints(searches: list[Search], finished: dict[str, Record], folder: Path) -> None:
    """Raise `InvalidBenchmark` if finished searches looked up in another record."""
    for search in searches:
        record = finished.get(key_of(search.to_dict()))
        if record is not None and record.get("fingerprint") != fingerprint(search):
            raise InvalidBenchmark(
                f"benchmark: {folder} has searches in another record of {search.env_id} "
                f"{search.dataset}; use a new folder, or the file of before"
            )
