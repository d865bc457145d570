"""How many workers can one search keep busy? A discrete-event simulation, checked by real workers.

    python examples/benchmarks/scale.py [--children 20000] [--tail 0] [--seconds S]

Children take as long as they did in a recorded benchmark: NAS-Bench-201 on CIFAR-10 for 12 epochs
if its table is in NAS_GYM_DATA, else TinyBench, which ships. With ``--tail SIGMA`` (1 in the
second table), each time is multiplied by a lognormal factor of mean 1, as where machines or data
differ: with 1, one child in a hundred takes more than six times the mean. ``--seconds`` scales the
mean; NASNet's children took 2.2 hours.

One controller serves all: whatever a worker gets next, it proposes, and whatever a worker brings,
it stores and learns from, one after the other. Its seconds are measured here first: a proposal and
its share of an update by PPO with the defaults of ``nas-gym search`` on NASNet's 50 decisions, and
a write to the store.

- asynchronous: a worker that has finished gets the next child at once.
- lock-step N: N children are proposed, all are evaluated, the agent learns; N is 1, 2 and 4 times
  the workers. "longest first" starts each batch by falling time, which it is assumed to know.

Utilisation is the share of the workers' time in which they train, until the last child has been
handed out; "to the end" counts the time, too, in which the last ones finish and no work is left:
no order of work can shorten it by much, but a time-out can.
A search is 20,000 children, as NASNet's (Zoph et al. 2018, appendix B: 450 workers).
"""

from __future__ import annotations

import argparse
import heapq
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3 import PPO

import nas_gym
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.registry import AGENTS
from nas_gym import Architecture, Evaluation, NASVectorEnv
from nas_gym.data.dataset import InvalidDataset
from nas_gym.evaluation.evaluator import ConcurrentEvaluator
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.families.nasbench201.tiny_bench import tiny_bench_table
from nas_gym.sb3 import NASVecEnv
from nas_gym.store.store import Store
from nas_gym.workers.local import LocalWorkers

WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 450, 512)
NASNET_WORKERS = 450
TIMEOUT = 6.0
"""Times the mean, in the search with a time-out."""
DAY = 86_400.0

Seconds = NDArray[np.float64]


@dataclass(frozen=True)
class Overhead:
    """Seconds of the controller for each child."""

    propose: float = 0.0
    """From an idle worker to a child for it."""
    learn: float = 0.0
    """The child's share of an update."""
    store: float = 0.0
    """To write its evaluation."""

    @property
    def total(self) -> float:
        """All of them: what limits how many children a second there can be."""
        return self.propose + self.learn + self.store


@dataclass(frozen=True)
class Outcome:
    """Result of a simulated search."""

    workers: int
    trained: float
    """Seconds that workers trained, all together."""
    trained_later: float
    """Those of them after the last child was handed out."""
    handed_out: float
    """When the last child was handed out, in seconds from the start."""
    end: float
    """When the last child was finished."""

    @property
    def utilisation(self) -> float:
        """Until the last child was handed out."""
        return (self.trained - self.trained_later) / (self.workers * self.handed_out)

    @property
    def to_the_end(self) -> float:
        """Until the last child was finished."""
        return self.trained / (self.workers * self.end)

    @property
    def searches_per_day(self) -> float:
        """Return the number of such searches a day, one after the other."""
        return DAY / self.end


def outcome(workers: int, starts: Sequence[float], ends: Sequence[float]) -> Outcome:
    """Summarize the children's start and finish times."""
    first, last = np.array(starts), np.array(ends)
    handed_out = float(first.max())
    later = np.maximum(last - handed_out, 0.0).sum()
    return Outcome(workers, float((last - first).sum()), float(later), handed_out, last.max())


def asynchronous(seconds: Seconds, workers: int, overhead: Overhead) -> Outcome:
    """Each worker that is free gets the next child, as soon as the controller can attend to it."""
    free = [0.0] * workers
    controller = 0.0
    starts, ends = [], []
    for child, taken in enumerate(seconds.tolist()):
        asks = heapq.heappop(free)
        after_child = overhead.store + overhead.learn if child >= workers else 0.0
        controller = max(controller, asks) + after_child + overhead.propose
        starts.append(controller)
        ends.append(controller + taken)
        heapq.heappush(free, ends[-1])
    return outcome(workers, starts, ends)


def lock_step(
    seconds: Seconds, workers: int, overhead: Overhead, batch: int, longest_first: bool = False
) -> Outcome:
    """``batch`` children are proposed, all of them are evaluated, and the agent learns."""
    clock = 0.0
    starts, ends = [], []
    for first in range(0, len(seconds), batch):
        part = seconds[first : first + batch]
        clock += len(part) * overhead.propose
        free = [clock] * workers
        ordered = np.sort(part)[::-1] if longest_first else part
        for taken in ordered.tolist():
            starts.append(heapq.heappop(free))
            ends.append(starts[-1] + taken)
            heapq.heappush(free, ends[-1])
        clock = max(free) + len(part) * (overhead.learn + overhead.store)
    return outcome(workers, starts, ends)


def recorded_seconds() -> tuple[str, Seconds]:
    """Return the seconds of all children of a recorded benchmark, (n,)."""
    try:
        table, name = nasbench201_table(epochs=12), "NAS-Bench-201, CIFAR-10, 12 epochs"
    except InvalidDataset:
        table, name = tiny_bench_table(), "TinyBench"
    seconds = np.asarray(table.columns["seconds"], dtype=np.float64)
    return name, seconds[seconds > 0]


def drawn(recorded: Seconds, children: int, tail: float, mean: float | None) -> Seconds:
    """Return the seconds of the children of a search, (children,)."""
    rng = np.random.default_rng(0)
    seconds = rng.choice(recorded, children)
    if tail:
        seconds *= rng.lognormal(-(tail**2) / 2, tail, children)
    return seconds if mean is None else seconds * (mean / seconds.mean())


class Free:
    """An evaluator that costs nothing: all networks are worth the same."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One record for each."""
        return [Evaluation("ok", 0.5, (0.5,), 0.0, 0, "free") for _ in architectures]


def measured_overhead(environments: int = 16, children: int = 160) -> Overhead:
    """Measure the seconds of PPO and of the store for a child here."""
    search_space = nas_gym.NASNetSearchSpace()
    envs = NASVectorEnv(search_space, Free(), environments, autoreset_mode="SameStep")
    vec_env = NASVecEnv(envs)
    decisions = len(search_space.decisions)
    settings = AGENTS["ppo"].defaults(Plan(decisions, children, environments))
    agent = PPO("MlpPolicy", vec_env, device="cpu", seed=0, **settings)
    agent.learn(decisions * environments)  # warms up
    started = time.perf_counter()
    agent.collect_rollouts(
        vec_env, _no_callback(agent), agent.rollout_buffer, n_rollout_steps=agent.n_steps
    )
    proposed = time.perf_counter()
    agent.train()
    learned = time.perf_counter()
    in_rollout = agent.n_steps * environments / decisions
    stored = _seconds_of_a_write()
    return Overhead((proposed - started) / in_rollout, (learned - proposed) / in_rollout, stored)


def _no_callback(agent: PPO) -> Any:
    _, callback = agent._setup_learn(1, None, reset_num_timesteps=False)
    return callback


def _seconds_of_a_write(writes: int = 500) -> float:
    """Measure a write to a store in SQLite, on this machine's disk for temporary files."""
    search_space, rng = nas_gym.NASNetSearchSpace(), np.random.default_rng(0)
    children = [search_space.decode(search_space.sample(rng)) for _ in range(writes)]
    [evaluation] = Free().evaluate(children[:1])
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder) / "evaluations.db") as store:
        started = time.perf_counter()
        for child in children:
            store.add(child, evaluation, "scale")
        return (time.perf_counter() - started) / writes


def print_table(seconds: Seconds, overhead: Overhead) -> None:
    """Print utilisation and searches per day by number of workers."""
    print(
        "         asynchronous                   lock-step, batches of\n"
        "workers  utilisation  to the end  per day   1x     2x     4x   4x longest first  per day"
    )
    for workers in WORKERS:
        free = asynchronous(seconds, workers, overhead)
        steps = [lock_step(seconds, workers, overhead, times * workers) for times in (1, 2, 4)]
        steps.append(lock_step(seconds, workers, overhead, 4 * workers, longest_first=True))
        cells = [f"{step.utilisation:6.1%}" for step in steps]
        print(
            f"{workers:7} {free.utilisation:12.1%} {free.to_the_end:11.1%} "
            f"{free.searches_per_day:8.3g}  {' '.join(cells[:3])} {cells[3]:>12} "
            f"{steps[2].searches_per_day:12.3g}",
            flush=True,
        )


def print_with_timeout(seconds: Seconds, overhead: Overhead) -> None:
    """Print the effect of a time-out with NASNet's number of workers."""
    limit = TIMEOUT * seconds.mean()
    ended = np.minimum(seconds, limit)
    free = asynchronous(ended, NASNET_WORKERS, overhead)
    step = lock_step(ended, NASNET_WORKERS, overhead, NASNET_WORKERS)
    print(
        f"{NASNET_WORKERS} workers, with a time-out of {TIMEOUT:g} times the mean, which ends "
        f"{(seconds > limit).mean():.1%} of the children: asynchronous {free.utilisation:.1%}, to "
        f"the end {free.to_the_end:.1%}; lock-step {step.utilisation:.1%}"
    )


class Sleeper:
    """An evaluator whose children sleep as long as they were drawn; for real workers.

    Args:
        seconds: By `Architecture.key`.
    """

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.fingerprint = "sleeper"

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the number of the repeat."""
        return repeat

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Return an empty record."""
        time.sleep(self.seconds[architecture.key])
        return replace(Free().evaluate([architecture])[0], seed=repeat)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One for each."""
        return [self.evaluate_one(architecture) for architecture in architectures]


def check_against_workers(seconds: Seconds, mean: float = 0.1, children: int = 60) -> None:
    """Print the duration of real searches with one and two workers, beside simulated ones."""
    search_space, rng = nas_gym.NASNetSearchSpace(), np.random.default_rng(0)
    architectures = [search_space.decode(search_space.sample(rng)) for _ in range(children)]
    scaled = seconds[:children] * (mean / seconds[:children].mean())
    evaluator = Sleeper({a.key: s for a, s in zip(architectures, scaled.tolist(), strict=True)})
    for workers in (1, 2):
        with LocalWorkers(evaluator, workers, threads=1) as pool:
            pool.evaluate(architectures[: 2 * workers])
            for name, run, simulated in (
                ("asynchronous", _run_asynchronously, asynchronous(scaled, workers, Overhead())),
                ("lock-step", _run_in_lock_step, lock_step(scaled, workers, Overhead(), workers)),
            ):
                started = time.perf_counter()
                run(pool, architectures)
                real = time.perf_counter() - started
                print(
                    f"{workers} worker(s), {name}: {real:.2f} s, simulated {simulated.end:.2f} s, "
                    f"ratio {real / simulated.end:.3f}"
                )


def _run_asynchronously(pool: ConcurrentEvaluator, architectures: Sequence[Architecture]) -> None:
    """As many children under way as there are workers, until none is left."""
    waiting = iter(architectures)
    running: set[Future[Evaluation]] = set()
    while True:
        while len(running) < pool.workers and (child := next(waiting, None)) is not None:
            running.add(pool.submit(child))
        if not running:
            return
        _, running = wait(running, return_when=FIRST_COMPLETED)


def _run_in_lock_step(pool: ConcurrentEvaluator, architectures: Sequence[Architecture]) -> None:
    """Batches of as many children as there are workers."""
    for first in range(0, len(architectures), pool.workers):
        pool.evaluate(architectures[first : first + pool.workers])


def main() -> None:
    """Print the overhead, the tables, and the check."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--children", type=int, default=20_000)
    parser.add_argument("--tail", type=float, default=1.0, metavar="SIGMA")
    parser.add_argument("--seconds", type=float, metavar="MEAN")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    name, recorded = recorded_seconds()
    overhead = measured_overhead()
    print(
        f"the controller takes {1e3 * overhead.propose:.1f} ms to propose a child, "
        f"{1e3 * overhead.learn:.1f} ms to learn from it, {1e3 * overhead.store:.2f} ms to store it"
    )
    for tail in (0.0, arguments.tail):
        seconds = drawn(recorded, arguments.children, tail, arguments.seconds)
        mean = seconds.mean()
        print(
            f"\n{len(seconds):,} children, {name}, tail {tail:g}: mean {mean:.0f} s, "
            f"99% below {np.quantile(seconds, 0.99) / mean:.1f} times it, "
            f"longest {seconds.max() / mean:.1f} times"
        )
        print(
            f"one controller can attend to {mean / overhead.total:,.0f} workers, "
            f"one store to {mean / overhead.store:,.0f}"
        )
        print_table(seconds, overhead)
    print_with_timeout(seconds, overhead)
    print("\nreal workers, children of 0.1 s on average:")
    check_against_workers(seconds)


if __name__ == "__main__":
    main()
