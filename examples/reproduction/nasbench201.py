"""NAS-Bench-201's protocol: what searches of a fixed time find, beside what was published.

    python examples/reproduction/nasbench201.py --seeds 500            # the table
    python examples/reproduction/nasbench201.py --algorithms RS,tpe    # any agent, by its name
    python examples/reproduction/nasbench201.py --time                 # the speed of 500 searches

The protocol (Dong & Yang 2020, https://arxiv.org/abs/2001.00326, and AutoDL-Projects,
exps/NAS-Bench-201-algos/R_EA.py), on CIFAR-10:

- A search sees the validation accuracy of a cell after 12 epochs, as its reward.
- Every query costs the simulated seconds of that training, also one of a cell that was queried
  before (with --free-repeats, that one costs nothing). The search ends with the query that would
  exceed the budget, and which does not count: 12,000 seconds in the paper, 20,000 in NATS-Bench.
- The result is the test accuracy after 200 epochs of the cell that was best in validation.

Two differences from the paper: the 12-epoch accuracy is the mean of two trainings, where the
official interface draws one of them, and its queries cost 3 to 4% more, for validation. It needs
nasbench201_cifar10.npz in NAS_GYM_DATA.

Every search is an agent that `nas-gym search` knows, made as it makes them. Strategies play side
by side, each in an episode of its own of one NASVectorEnv; a Stable-Baselines3 algorithm has an
environment to itself.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, wait
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper
from stable_baselines3.common.vec_env.base_vec_env import VecEnvStepReturn

from nas_agents.catalogue.agents import Agent, find_agent
from nas_agents.catalogue.defaults import NASBENCH201, Plan
from nas_agents.strategies.side_by_side import side_by_side
from nas_gym import NASVectorEnv
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.sb3 import NASVecEnv, VecWholeArchitecture
from nas_gym.tables.table import Table

BUDGETS = (12_000, 20_000)
"""Simulated seconds."""
EPISODES = 200
"""About how many queries the longer budget pays for: what agents' defaults are planned for."""
CHUNK = 20
"""Searches that a process makes at a time, of those that cannot be made side by side."""


@dataclass(frozen=True)
class Algorithm:
    """A row of the table."""

    agent: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Beside the agent's defaults."""
    whole: bool = False
    """A step designs a whole cell (`VecWholeArchitecture`); otherwise it decides an edge."""
    published: Mapping[int, str] = field(default_factory=dict)
    """Test accuracy by budget: the paper's table of 500 runs."""


ALGORITHMS = {
    "RS": Algorithm("random", published={12_000: "93.70 ± 0.36"}),
    "REA": Algorithm(
        "regularized-evolution",
        {"population": 10, "sample": 3},
        published={12_000: "93.92 ± 0.30"},
    ),
    "REINFORCE": Algorithm(
        "reinforce",
        NASBENCH201,
        whole=True,
        published={12_000: "93.85 ± 0.37"},
    ),
    "PPO": Algorithm("ppo"),
    "LS": Algorithm("local-search"),
    "TPE": Algorithm("tpe"),
    "MB": Algorithm("model-based"),
    "MB without updates": Algorithm("model-based", {"updates": 0}),
}
FIGURES = {"RS": 1.0, "REA": 1.5, "REINFORCE": 25.0}
"""Seconds that 500 searches of 12,000 simulated seconds may take on two cores."""


@dataclass(frozen=True)
class Trace:
    """The queries of one search, in order."""

    rows: NDArray[np.int64]
    """(Q,) which cells."""
    seconds: NDArray[np.float64]
    """(Q,) what they cost."""

    def best(self, budget: float) -> int:
        """Return the best cell in validation within the budget."""
        paid = self.rows[np.cumsum(self.seconds) <= budget]
        return int(paid[accuracies().accuracy[paid].argmax()])


@cache
def accuracies() -> Table:
    """Return validation accuracy after 12 epochs, and its cost."""
    return nasbench201_table("cifar10", epochs=12)


@cache
def finals() -> Table:
    """Test accuracy after 200 epochs, in the same rows."""
    return nasbench201_table("cifar10", epochs=200)


def traces(algorithm: Algorithm, seeds: Sequence[int], budget: float, free: bool) -> list[Trace]:
    """Make a search for each of the seeds."""
    agent = find_agent(algorithm.agent)
    arguments = agent.arguments(Plan(6, EPISODES), algorithm.arguments)
    if agent.strategy is not None:
        return _strategies(agent, arguments, seeds, budget, free)
    return [_agent(agent, algorithm.whole, arguments, seed, budget, free) for seed in seeds]


def timed_traces(
    algorithm: Algorithm, seeds: Sequence[int], budget: float, free: bool
) -> tuple[float, list[Trace]]:
    """Return the CPU seconds of `traces`, and its result."""
    started = time.process_time()
    found = traces(algorithm, seeds, budget, free)
    return time.process_time() - started, found


def _strategies(
    agent: Agent, arguments: Mapping[str, Any], seeds: Sequence[int], budget: float, free: bool
) -> list[Trace]:
    """Search with a strategy, side by side, until the last search has spent its budget."""
    table = accuracies()
    strategies = [agent.make_strategy(table.search_space, arguments, seed) for seed in seeds]
    seen = np.zeros((len(seeds), len(table) + 1), dtype=np.bool_)
    searches = np.arange(len(seeds))
    spent = np.zeros(len(seeds))
    rows, costs = [], []
    for played in side_by_side(
        strategies, NASVectorEnv(table.search_space, table, num_envs=len(seeds))
    ):
        row = table.rows(played.choices)
        cost = np.where(seen[searches, row] & free, 0.0, played.seconds)
        seen[searches, row] = True
        rows.append(row)
        costs.append(cost)
        spent += cost
        if (spent > budget).all() or len(rows) == _MOST:
            break
    return [Trace(*each) for each in zip(np.stack(rows, 1), np.stack(costs, 1), strict=True)]


_MOST = 5_000
"""Queries, after which a search ends that repeats free ones."""


class BudgetSpent(Exception):
    """Raised within an agent's step."""


class Meter(VecEnvWrapper):
    """Keeps the trace of one agent, and ends its search."""

    def __init__(self, venv: VecEnv, budget: float, free: bool) -> None:
        super().__init__(venv)
        self.budget, self.free = budget, free
        self.rows: list[int] = []
        self.costs: list[float] = []
        self._spent = 0.0
        self._seen: set[int] = set()

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> VecEnvStepReturn:
        observations, rewards, dones, infos = self.venv.step_wait()
        if dones[0]:
            self._add(infos[0])
        return observations, rewards, dones, infos

    def _add(self, info: Mapping[str, Any]) -> None:
        """Count a query."""
        choices = np.asarray(info["terminal_observation"], dtype=np.int64) - 1
        row = int(accuracies().rows(choices[np.newaxis])[0])
        cost = 0.0 if self.free and row in self._seen else float(info["evaluation"]["seconds"])
        self._seen.add(row)
        self.rows.append(row)
        self.costs.append(cost)
        self._spent += cost
        if self._spent > self.budget or len(self.rows) == _MOST:
            raise BudgetSpent


def _agent(
    agent: Agent,
    whole: bool,
    arguments: Mapping[str, Any],
    seed: int,
    budget: float,
    free: bool,
) -> Trace:
    """Search with a Stable-Baselines3 algorithm."""
    table = accuracies()
    env = NASVectorEnv(table.search_space, table, autoreset_mode="SameStep")
    vec_env: VecEnv = NASVecEnv(env)
    if whole:
        vec_env = VecWholeArchitecture(vec_env)
    meter = Meter(vec_env, budget, free)
    with suppress(BudgetSpent):
        agent.make(meter, arguments, seed).learn(10**9)
    return Trace(np.array(meter.rows), np.array(meter.costs))


@dataclass(frozen=True)
class Result:
    """Results of one algorithm under one budget."""

    algorithm: str
    budget: int
    test: list[float]
    """Accuracy in percent, one a seed."""
    queries: float
    """On average."""
    seconds: float
    """Wall time of all searches, to the largest budget."""
    cpu_seconds: float
    """Of all processes together."""

    @property
    def mean(self) -> float:
        """Of the test accuracies."""
        return float(np.mean(self.test))

    @property
    def deviation(self) -> float:
        """Between the searches."""
        return float(np.std(self.test, ddof=1)) if len(self.test) > 1 else math.nan

    @property
    def interval(self) -> tuple[float, float]:
        """95% confidence interval of the mean (Student's t)."""
        half = self.deviation / math.sqrt(len(self.test)) * stats.t.ppf(0.975, len(self.test) - 1)
        return self.mean - float(half), self.mean + float(half)


def measure(
    pool: ProcessPoolExecutor,
    processes: int,
    name: str,
    seeds: range,
    budgets: Sequence[int],
    free: bool,
) -> list[Result]:
    """Make all searches of an algorithm; each also gives the results of smaller budgets."""
    algorithm = ALGORITHMS.get(name, Algorithm(name))
    started = time.perf_counter()
    together = find_agent(algorithm.agent).strategy is not None
    size = -(-len(seeds) // processes)
    size = size if together else min(CHUNK, size)
    chunks = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    asked = [pool.submit(timed_traces, algorithm, chunk, max(budgets), free) for chunk in chunks]
    made = [future.result() for future in asked]
    seconds = time.perf_counter() - started
    found = [trace for _, chunk in made for trace in chunk]
    return [
        Result(
            name,
            budget,
            [float(100 * finals().test[trace.best(budget)]) for trace in found],
            float(np.mean([(np.cumsum(trace.seconds) <= budget).sum() for trace in found])),
            seconds,
            sum(cpu_seconds for cpu_seconds, _ in made),
        )
        for budget in budgets
    ]


def p_value(result: Result, other: Result) -> float:
    """Of Welch's t-test, two-sided, that both have the same mean."""
    if result is other:
        return math.nan
    return float(stats.ttest_ind(result.test, other.test, equal_var=False).pvalue)


def line(result: Result, results: Sequence[Result]) -> str:
    """One line of the table."""
    rea = next((r for r in results if (r.algorithm, r.budget) == ("REA", result.budget)), None)
    value = math.nan if rea is None else p_value(result, rea)
    algorithm = ALGORITHMS.get(result.algorithm)
    low, high = result.interval
    cells = (
        result.algorithm,
        f"{result.budget:,}",
        algorithm.published.get(result.budget, "") if algorithm else "",
        f"{result.mean:.2f} ± {result.deviation:.2f}",
        f"{len(result.test)}",
        f"{low:.2f} to {high:.2f}",
        "" if math.isnan(value) else f"{value:.2g}",
        f"{result.queries:.0f}",
        f"{result.seconds:.1f}",
        f"{result.cpu_seconds:.1f}",
    )
    return f"| {' | '.join(cells)} |"


HEAD = (
    "| algorithm | budget, s | published | measured | n | 95% interval of the mean | "
    "p against REA | queries | time, s | CPU time, s |\n|---|---|---|---|---|---|---|---|---|---|"
)


def record(result: Result, results: Sequence[Result]) -> dict[str, Any]:
    """Return the JSON object of one line."""
    rea = next((r for r in results if (r.algorithm, r.budget) == ("REA", result.budget)), None)
    tests: dict[str, Any] = {}
    if rea is not None and rea is not result:
        tests["p_welch"] = p_value(result, rea)
        tests["p_mann_whitney"] = float(stats.mannwhitneyu(result.test, rea.test).pvalue)
    means = {"mean": result.mean, "deviation": result.deviation, "interval": result.interval}
    return {**asdict(result), **means, **tests}


def hardware(processes: int) -> str:
    """Describe the hardware and software."""
    info = Path("/proc/cpuinfo")
    names = [
        line.partition(":")[2].strip()
        for line in (info.read_text() if info.is_file() else "").splitlines()
        if line.startswith("model name")
    ]
    cpu = names[0] if names else platform.processor()
    versions = f"Python {platform.python_version()}, numpy {np.__version__}"
    return f"{cpu}; {processes} processes of one thread; {versions}, torch {torch.__version__}"


def prepare(names: Sequence[str]) -> None:
    """Prepare a process: load the tables, and try each algorithm."""
    torch.set_num_threads(1)
    finals()
    for name in names:
        traces(ALGORITHMS.get(name, Algorithm(name)), [0], 500.0, False)


def workers(processes: int, names: Sequence[str]) -> ProcessPoolExecutor:
    """So many processes, ready to search."""
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=prepare, initargs=(names,))
    wait([pool.submit(time.sleep, 1.0) for _ in range(processes)])
    return pool


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--algorithms", default=",".join(ALGORITHMS), help="names, with commas")
    parser.add_argument("--seeds", type=int, default=500, help="searches of each algorithm")
    parser.add_argument("--first-seed", type=int, default=0, help="theirs are from this one on")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--free-repeats", action="store_true", help="a cell is paid for once")
    parser.add_argument("--time", action="store_true", help="measure the speed, at 12,000 s")
    parser.add_argument("--json", type=Path, help="write all results to this file")
    given = parser.parse_args()
    names = [name.strip() for name in given.algorithms.split(",")]
    seeds = range(given.first_seed, given.first_seed + given.seeds)
    with workers(given.processes, names) as pool:
        if given.time:
            _time(pool, given.processes, [name for name in names if name in FIGURES], seeds)
            return
        results: list[Result] = []
        for name in names:
            print(f"{name}: {given.seeds} searches", file=sys.stderr, flush=True)
            results += measure(pool, given.processes, name, seeds, BUDGETS, given.free_repeats)
    print(HEAD)
    for result in results:
        print(line(result, results))
    print(f"\n{hardware(given.processes)}")
    if given.json:
        rows = [record(result, results) for result in results]
        document = {"hardware": hardware(given.processes), "results": rows}
        given.json.write_text(json.dumps(document, indent=1), encoding="utf-8")


def _time(pool: ProcessPoolExecutor, processes: int, names: Sequence[str], seeds: range) -> None:
    """Print the duration of the searches, beside its limit."""
    print("| algorithm | searches | may take, s | took, s | CPU time, s |\n|---|---|---|---|---|")
    for name in names:
        [result] = measure(pool, processes, name, seeds, BUDGETS[:1], False)
        took = f"{result.seconds:.2f} | {result.cpu_seconds:.2f}"
        may = FIGURES[name] * len(seeds) / 500
        print(f"| {name} | {len(seeds)} | {may:g} | {took} |", flush=True)
    print(f"\n{hardware(processes)}")


if __name__ == "__main__":
    main()
