"""Measure the cost of being resumable: writing everything down, checkpoints, and the resume.

    python examples/benchmarks/resume.py --episodes 60

A search of PPO over NASNet's 50 decisions, whose children are trained on digits. The first figure
is the share of its time that goes into what a resumption needs: the store, ``episodes.jsonl``,
``best.json`` and checkpoints: of the clock's seconds, and of the processor's, which other programs
do not change. Then the same run is resumed from its last checkpoint, as after a
kill in the last moment, and once more from its beginning (``--verify``): seconds of each, with the
loading of the data.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from nas_agents.drivers.checkpoint import Checkpoints
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym.store.store import Store

PARTS: list[tuple[type, str]] = [
    (Store, "get"),
    (Store, "add_rows"),
    (RunFolder, "add_episode"),
    (RunFolder, "write"),
    (Checkpoints, "save_if_due"),
]


def now() -> NDArray[np.float64]:
    """Return the clock's seconds, and this thread's on the processor."""
    return np.array([time.perf_counter(), time.thread_time()])


def timed(function: Callable[..., Any], name: str, spent: dict[str, Any]) -> Callable[..., Any]:
    """Wrap a function to add up its seconds."""

    def call(*args: Any, **keywords: Any) -> Any:
        started = now()
        try:
            return function(*args, **keywords)
        finally:
            spent[name] += now() - started

    return call


@contextmanager
def stopwatches() -> Iterator[dict[str, Any]]:
    """Return the seconds that each of `PARTS` takes within it, by `now`."""
    spent: dict[str, Any] = defaultdict(lambda: np.zeros(2))
    patches = [
        patch.object(kind, name, timed(getattr(kind, name), f"{kind.__name__}.{name}", spent))
        for kind, name in PARTS
    ]
    for each in patches:
        each.start()
    try:
        yield spent
    finally:
        for each in patches:
            each.stop()


def main() -> None:
    """Print both figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--episodes", type=int, default=60)
    given = parser.parse_args()
    settings = SearchSettings("nas_gym/NASNet-v0", "ppo", episodes=given.episodes, final=False)
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        processor = time.process_time()
        with stopwatches() as spent:
            seconds = search(settings, run).summary["search_seconds"]
        processor = time.process_time() - processor
        for name, part in sorted(spent.items()):
            clock, own = 1000 * part / given.episodes
            print(f"{name}: {clock:.2f} ms a child, {own:.2f} ms of the processor")
        clock, own = sum(spent.values()) / [seconds, processor]
        print(f"written down in {clock:.2%} of {seconds:.0f} s; ", end="")
        print(f"{own:.2%} of the processor's {processor:.0f} s")
        for verify in (False, True):
            (run / "summary.json").unlink()
            started = time.perf_counter()
            result = search(settings, run, resume=True, verify=verify)
            took = time.perf_counter() - started
            assert result.progress.resumed == given.episodes
            what = "repeated from the beginning" if verify else "resumed from its checkpoint"
            print(f"{given.episodes} episodes of 50 decisions, {what}: {took:.1f} s")


if __name__ == "__main__":
    main()
