"""Does every agent learn? Mean accuracy of a search's last fifth, beside random search's.

    python examples/benchmarks/agents.py --agents ppo,dqn --episodes 1000 --seeds 3
    python examples/benchmarks/agents.py --best 60,150,500 --agents model-based,ppo --seeds 10

NAS-Bench-201, CIFAR-10, validation accuracy after 12 epochs, from the recorded benchmark: it needs
nasbench201_cifar10.npz in NAS_GYM_DATA. The mean is over all networks of the last fifth of each
run, those included that the agent tried to explore. The margin over random search is in standard
errors of the difference: each side's error is the standard deviation between its seeds' means,
divided by the square root of their number; with one seed it is that of the networks within it.

With --best, instead: the highest reward of the first so many networks, mean and standard deviation
over the seeds; `nas_agents.catalogue.automatic` has what ``--agent auto`` is chosen by.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from nas_agents.catalogue.registry import AGENTS
from nas_agents.search.run import search
from nas_agents.search.settings import SearchSettings

ENV_ID = "nas_gym/NASBench201-Recorded-v0"
ENV_ARGUMENTS = {"epochs": 12}


@dataclass(frozen=True)
class Result:
    """One agent's runs."""

    means: list[float]
    """Mean reward of the last fifth, one a seed."""
    error: float
    """Standard error of their mean."""
    best: float
    """Highest reward of all runs."""
    seconds: float
    """Of one run, on average."""


def rewards_of(agent: str, episodes: int, seed: int) -> list[float]:
    """Return the rewards of one search, in order."""
    settings = SearchSettings(
        ENV_ID, agent, episodes=episodes, seed=seed, env_arguments=ENV_ARGUMENTS, final=False
    )
    with tempfile.TemporaryDirectory() as folder:
        run = search(settings, Path(folder) / "run").run
        lines = (run / "episodes.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["reward"] for line in lines]


def measure(agent: str, episodes: int, seeds: int) -> Result:
    """Run an agent once a seed."""
    started = time.perf_counter()
    runs = [rewards_of(agent, episodes, seed) for seed in range(seeds)]
    seconds = (time.perf_counter() - started) / seeds
    lasts = [run[-max(2, episodes // 5) :] for run in runs]
    means = [statistics.mean(last) for last in lasts]
    spread = means if seeds > 1 else lasts[0]
    error = statistics.stdev(spread) / math.sqrt(len(spread))
    return Result(means, error, max(max(run) for run in runs), seconds)


def row(agent: str, episodes: int, result: Result, random: Result) -> str:
    """One line of the table."""
    mean, baseline = statistics.mean(result.means), statistics.mean(random.means)
    margin = (mean - baseline) / math.hypot(result.error, random.error)
    return (
        f"| {agent} | {episodes:,} | {result.seconds:.0f} | {mean:.4f} | {min(result.means):.4f} | "
        f"{baseline:.4f} | {margin:+.1f} | {result.best:.4f} |"
    )


def print_bests(agents: list[str], numbers: list[int], seeds: range) -> None:
    """Print the best of the first networks of each agent's searches."""
    print(f"| agent | {' | '.join(f'{number:,}' for number in numbers)} |")
    print(f"|---|{'---|' * len(numbers)}")
    for agent in agents:
        runs = [rewards_of(agent, max(numbers), seed) for seed in seeds]
        cells = []
        for number in numbers:
            best = [max(run[:number]) for run in runs]
            cells.append(f"{statistics.mean(best):.4f} ({statistics.stdev(best):.4f})")
        print(f"| {agent} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    learners = [name for name, e in AGENTS.items() if name != "random" and not e.env_arguments]
    parser.add_argument("--agents", default=",".join(learners), help="names, with commas")
    parser.add_argument("--episodes", type=int, default=1000, help="networks a run")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each agent")
    parser.add_argument("--first-seed", type=int, default=100, help="with --best")
    parser.add_argument("--best", help="numbers of networks, with commas: best of the first ones")
    given = parser.parse_args()
    if given.best:
        numbers = sorted(int(number) for number in given.best.split(","))
        seeds = range(given.first_seed, given.first_seed + given.seeds)
        print_bests(given.agents.split(","), numbers, seeds)
        return
    random = measure("random", given.episodes, given.seeds)
    print("| agent | episodes | seconds | last fifth | worst seed | random | margin | best |")
    print("|---|---|---|---|---|---|---|---|")
    for agent in given.agents.split(","):
        result = measure(agent, given.episodes, given.seeds)
        print(row(agent, given.episodes, result, random), flush=True)


if __name__ == "__main__":
    main()
