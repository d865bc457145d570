"""Do the counts add up when children fail? A thousand of them, 30% of which fail in six ways.

    python examples/benchmarks/failures.py --children 1000 --workers 2

A random search with workers, whose children are trained on digits. A twentieth of the architectures
each has its weights turned to NaN, asks for more memory than there is, sleeps until the time-out
ends it, reads address 0, ends its process, or raises an exception: which ones follows from their
keys. The table compares what was to happen with what ``episodes.jsonl``, ``summary.json`` and the
store say.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch

from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import (
    Architecture,
    Evaluation,
    NASEnv,
    NASNetSearchSpace,
    Trainer,
    TrainingSettings,
    load_dataset,
)
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.store.store import Store
from nas_gym.training.loop import TrainingLoop

ENV_ID = "failures/Failing-v0"
TIMEOUT = 4.0
STATUSES = {
    "nan": "diverged",
    "memory": "out_of_memory",
    "sleep": "timed_out",
    "segfault": "crashed",
    "exit": "crashed",
    "exception": "crashed",
}
"""Status of a child that fails in each way."""


def way_of(key: str) -> str:
    """Return how a child fails, if it does: 5% of all keys each way."""
    return dict(enumerate(STATUSES)).get(int(key[:8], 16) % 20, "ok")


class FailingTrainer(Trainer):
    """Trains children, some of which fail."""

    way = "ok"

    def evaluate_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Evaluation:
        self.way = way_of(architecture.key)
        return super().evaluate_one(architecture, repeat, epochs)

    def go_on(self, loop: TrainingLoop, epochs: int | None = None) -> Iterator[float]:
        if self.way == "nan":
            with torch.no_grad():
                next(loop.network.parameters()).fill_(torch.nan)
        elif self.way == "memory":
            torch.empty(2**50)
        elif self.way == "sleep":
            time.sleep(3600)
        elif self.way == "segfault":
            ctypes.string_at(0)
        elif self.way == "exit":
            os._exit(3)
        elif self.way == "exception":
            raise ValueError("a child of bad luck")
        return super().go_on(loop, epochs)


def make_env(training_seed: int = 0) -> NASEnv:
    """NASNet cells of two blocks; one epoch on digits."""
    network = CellNetworkSettings(cells=1, filters=2)
    training = TrainingSettings(network, epochs=1, batch_size=64, seed=training_seed)
    return NASEnv(NASNetSearchSpace(2), FailingTrainer(load_dataset("digits"), training, "cpu"))


class Shown(Callback):
    """Prints every hundredth child."""

    def on_child(self, child: Child) -> None:
        if child.number % 100 == 0:
            print(f"{child.progress.seconds:6.0f} s  {child.number} children", flush=True)


def report(run: Path, summary: dict[str, Any]) -> bool:
    """Print the counts; return True if they add up."""
    lines = (run / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    episodes = [json.loads(line) for line in lines]
    keys = [Architecture.from_json(episode["architecture"]).key for episode in episodes]
    meant = Counter(map(way_of, keys))
    statuses: Counter[str] = Counter()
    right: bool = bool(lines)
    print("| way | children | status | with that status and way |\n|---|---|---|---|")
    for way, number in sorted(meant.items()):
        status = STATUSES.get(way, "ok")
        statuses[status] += number
        found = sum(
            episode["status"] == status and way_of(key) == way
            for key, episode in zip(keys, episodes, strict=True)
        )
        right &= found == number
        print(f"| {way} | {number} | {status} | {found} |")
    with Store(run / "evaluations.db") as store:
        [stored] = store.counts().values()
        kept = store.size()
    counts = summary["evaluations"]
    print(f"summary.json: {counts}, {summary['statuses']}; the store: {kept}, {stored}")
    right &= bool(summary["statuses"] == dict(statuses))
    right &= len(episodes) == counts["asked"] == counts["made"] + counts["cached"]
    right &= kept == len(set(keys)) == sum(stored.values()) == counts["made"]
    failed = 1 - meant["ok"] / len(episodes)
    print(f"{failed:.1%} failed; the counts {'add up' if right else 'DO NOT ADD UP'}")
    return right


def main() -> None:
    """Search, and print the counts."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--children", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    gym.register(ENV_ID, entry_point="__main__:make_env")
    settings = SearchSettings(
        ENV_ID,
        "random",
        episodes=given.children,
        workers=given.workers,
        child_timeout=TIMEOUT,
        final=False,
    )
    with tempfile.TemporaryDirectory() as folder:
        result = search(settings, Path(folder) / "run", callbacks=[Shown()])
        print(f"stopped by: {result.stopped_by}, after {result.progress.seconds:.0f} s")
        if not report(result.run, result.summary):
            raise SystemExit(1)


if __name__ == "__main__":
    main()
