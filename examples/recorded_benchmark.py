"""Three agents on a recorded benchmark, 100 seeds each, with intervals, tests and a plot.

    python examples/recorded_benchmark.py

What `nas-gym bench nas_gym/TinyBench-v0` does, from Python. The searches are kept in a folder:
interrupt it at will, and start it again with more seeds or agents.
"""

from __future__ import annotations

from pathlib import Path

from nas_agents.bench.curves import write_curves
from nas_agents.bench.results import groups_of, rows_of
from nas_agents.bench.running import run_benchmark
from nas_agents.bench.settings import Benchmark

AGENTS = ("random", "regularized-evolution", "local-search")


def main(seeds: int = 100, evaluations: int = 150, workers: int = 2) -> None:
    """Make the searches, print a line for each agent, and write curves.svg."""
    folder = Path("tiny_bench")
    agents = {name: {"agent": name} for name in AGENTS}
    benchmark = Benchmark("nas_gym/TinyBench-v0", agents=agents, seeds=seeds, limits=(evaluations,))
    groups = groups_of(benchmark, run_benchmark(benchmark, folder, workers))
    for row in rows_of(benchmark, groups):
        low, high = row.interval
        best = max(row.values)
        print(f"{row.agent:22} {row.mean:.2f} ({low:.2f} to {high:.2f}), best {best:.2f}")
    write_curves(benchmark, groups, folder / "curves.svg")


if __name__ == "__main__":
    main()
