"""Measure gains and costs of worker processes and Ray actors; prints ratios of alternating sides.

    python examples/benchmarks/workers.py [digits] [cifar] [one] [ray] [calls] [memory]

- digits, cifar: two workers with one thread each against one: children per hour. It is quiet
  machines with two cores that this is about.
- one: a pool of one worker against the bare `Trainer` in this process, both with one thread.
- ray: two Ray actors on this machine against two local workers, for children of five seconds that
  are really trained, and for such that sleep.
- calls: what a call costs that does nothing: `ray.remote`, concurrent.futures' and pebble's process
  pools, and a child that does nothing on `RayWorkers` and on `LocalWorkers`.
- memory: what a worker has for itself, and what it shares, with CIFAR-10.

cifar and memory need cifar10.npz in NAS_GYM_DATA. Without names, all of them run.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pebble
import ray
import torch

import nas_gym
from nas_gym import Architecture, Evaluation, Evaluator, Trainer, TrainingSettings, load_dataset
from nas_gym.data.dataset import resplit
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.workers.local import LocalWorkers
from nas_gym.workers.on_ray import RayWorkers

ROUNDS = 3


def children(number: int) -> list[Architecture]:
    """Random children of NASNet's search space, the same ones each time."""
    search_space, rng = nas_gym.NASNetSearchSpace(), np.random.default_rng(0)
    return [search_space.decode(search_space.sample(rng)) for _ in range(number)]


def digits_trainer(epochs: int = 1) -> Trainer:
    """Make a trainer of `nas_gym/NASNet-v0`'s children, in less than its two epochs."""
    network = CellNetworkSettings(cells=1, filters=8)
    settings = TrainingSettings(network, epochs=epochs, batch_size=64)
    return Trainer(load_dataset("digits"), settings, "cpu")


def cifar_trainer() -> Trainer:
    """Make a trainer of CIFAR children, with an epoch of eight steps."""
    dataset = resplit(load_dataset("cifar10"), 8 * 128, 512, 512)
    return Trainer(dataset, TrainingSettings(CellNetworkSettings(cells=1, filters=16), 1), "cpu")


@dataclass
class Sleeper:
    """An evaluator whose children sleep."""

    seconds: float
    fingerprint: str = "sleeper"

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the number of the repeat."""
        return repeat

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Return an empty record."""
        time.sleep(self.seconds)
        return Evaluation("ok", 0.0, (), self.seconds, repeat, self.fingerprint)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One for each."""
        return [self.evaluate_one(architecture) for architecture in architectures]


class KnownSeconds:
    """Seconds of each child, measured once: longest-first needs costs."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def measure(self, evaluator: Evaluator, architectures: Sequence[Architecture]) -> None:
        """Evaluate the children, which warms the workers up as well."""
        for architecture, made in zip(
            architectures, evaluator.evaluate(architectures), strict=True
        ):
            assert made.status == "ok", made.message
            self.seconds[architecture.key] = made.seconds

    def __call__(self, architecture: Architecture) -> float:
        return self.seconds.get(architecture.key, 0.0)


def compare(
    title: str, ours: Evaluator, baseline: Evaluator, architectures: Sequence[Architecture]
) -> None:
    """Print the ratio of children per hour."""

    def per_hour(evaluator: Evaluator) -> float:
        started = time.perf_counter()
        made = evaluator.evaluate(architectures)
        assert all(evaluation.status == "ok" for evaluation in made)
        return 3600 * len(made) / (time.perf_counter() - started)

    rounds = [(per_hour(ours), per_hour(baseline)) for _ in range(ROUNDS)]
    ratios = [mine / theirs for mine, theirs in rounds]
    mine, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        f"{title}: {mine:.0f} against {theirs:.0f} children per hour, ratio "
        f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f}, "
        f"{ROUNDS} rounds of {len(architectures)})",
        flush=True,
    )


def two_against_one(title: str, trainer: Trainer, number: int) -> None:
    """Two workers against one, each with one thread."""
    architectures, cost = children(number), KnownSeconds()
    with (
        LocalWorkers(trainer, 2, threads=1, cost=cost) as two,
        LocalWorkers(trainer, 1, threads=1) as one,
    ):
        cost.measure(two, architectures)
        one.evaluate(architectures[:1])
        compare(f"{title}: two workers against one", two, one, architectures)


def digits() -> None:
    """Two workers against one, for digits children."""
    two_against_one("digits", digits_trainer(), 14)


def cifar() -> None:
    """Two workers against one, for CIFAR children."""
    two_against_one("CIFAR", cifar_trainer(), 10)


def one() -> None:
    """Compare a pool of one worker with the bare trainer."""
    trainer = digits_trainer()
    torch.set_num_threads(1)
    trainer.evaluate(children(1))
    with LocalWorkers(trainer, 1, threads=1) as pool:
        pool.evaluate(children(1))
        compare("a pool of one against the bare trainer", pool, trainer, children(12))


def on_ray() -> None:
    """Ray actors against local workers."""
    trainer, trained = digits_trainer(epochs=4), children(4)
    cost = KnownSeconds()
    with (
        LocalWorkers(trainer, 2, threads=1, cost=cost) as local,
        RayWorkers(trainer, "local", 2, cost=cost) as cluster,
    ):
        cost.measure(local, trained)
        cluster.evaluate(trained[:2])
        print(f"a trained child takes {statistics.mean(cost.seconds.values()):.1f} s on average")
        compare("Ray against local workers, trained children", cluster, local, trained)
    sleeper = Sleeper(5.0)
    with LocalWorkers(sleeper, 2) as local, RayWorkers(sleeper, "local", 2) as cluster:
        for pool in (local, cluster):
            pool.evaluate(children(2))
        compare("Ray against local workers, sleeping children", cluster, local, children(4))


def nothing(value: int) -> int:
    """Do nothing: only the call costs."""
    return value


def seconds_of(call: Callable[[], object], times: int = 300) -> float:
    """Return the median of the seconds of a call, after ten that warm up."""
    taken = []
    for _ in range(times + 10):
        started = time.perf_counter()
        call()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[10:])


def calls() -> None:
    """Print the cost of a call."""
    spawn, idle, child = get_context("spawn"), Sleeper(0.0), children(1)
    with ProcessPoolExecutor(1, spawn) as executor:
        taken = seconds_of(lambda: executor.submit(nothing, 1).result())
        print(f"concurrent.futures' process pool: {1e3 * taken:.2f} ms a call")
    with pebble.ProcessPool(1, context=spawn) as processes:
        taken = seconds_of(lambda: processes.schedule(nothing, (1,)).result())
        print(f"pebble's process pool: {1e3 * taken:.2f} ms a call")
    with LocalWorkers(idle, 1) as local:
        print(f"LocalWorkers: {1e3 * seconds_of(lambda: local.evaluate(child)):.2f} ms a child")
    with RayWorkers(idle, "local", 1) as cluster:
        remote = ray.remote(nothing)
        taken = seconds_of(lambda: ray.get(remote.remote(1)))
        print(f"ray.remote: {1e3 * taken:.2f} ms a task")
        print(f"RayWorkers: {1e3 * seconds_of(lambda: cluster.evaluate(child)):.2f} ms a child")


class Weighed(Sleeper):
    """An evaluator that has all of CIFAR-10; its message says what its process holds."""

    def __init__(self, trainer: Trainer) -> None:
        super().__init__(0.5)
        self.trainer = trainer

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Read every image, and return the memory of the process."""
        self.trainer.dataset.images.sum()
        time.sleep(self.seconds)
        lines = Path("/proc/self/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]
        kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
        own = kilobytes["Private_Clean"] + kilobytes["Private_Dirty"]
        message = f"{own / 1e3:.0f} {kilobytes['Rss'] / 1e3:.0f}"
        return Evaluation("ok", 0.0, (), 0.0, repeat, self.fingerprint, message=message)


def memory() -> None:
    """Print the memory that two workers do not share."""
    trainer = Trainer(load_dataset("cifar10"), TrainingSettings(), "cpu")
    size = trainer.dataset.images.nbytes / 1e6
    with LocalWorkers(Weighed(trainer), 2) as pool:
        for made in pool.evaluate(children(2)):
            own, resident = made.message.split()
            print(f"a worker: {own} MB its own of {resident} MB; CIFAR-10 has {size:.0f} MB")


MEASUREMENTS = {
    "digits": digits,
    "cifar": cifar,
    "one": one,
    "ray": on_ray,
    "calls": calls,
    "memory": memory,
}


def main() -> None:
    """Run the measurements that are named, or all of them."""
    print(f"torch {torch.__version__}, Ray {ray.__version__}, Python {sys.version.split()[0]}")
    for name in sys.argv[1:] or MEASUREMENTS:
        MEASUREMENTS[name]()


if __name__ == "__main__":
    main()
