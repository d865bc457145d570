"""The default search (`make search`) beside random search, and its accuracy on other test splits.

    python examples/benchmarks/first_search.py runs/first --seeds 10 --seed 100
    python examples/benchmarks/first_search.py runs/first --tested 3 --seed 200 --split-seed 11

The first searches with each seed, without a final training, on the split on which 300 random
children were recorded with the package (`random_children.py`, ``split_seed=0``). Those are five
searches of 60 by random search, one after the other, so that no two share a child. The second makes
whole searches, each on a split of its own, and tests what they end with. Both can be interrupted:
the same command goes on. One search of 60 takes a minute on two cores.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_agents.catalogue.environments import make_environment
from nas_agents.runs.comparison import children
from nas_agents.runs.random_children import recorded_accuracies
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import read_summary
from nas_agents.search.run import search

ENV = "nas_gym/NASNet-v0"
CHILDREN, ENDS = 60, 20
"""Children of a search; and those at its beginning, and at its end, whose means are compared."""


def searched(runs: Path, seed: int, split: int, final: bool) -> Path:
    """Search as `make search` does, or go on with it; return the run folder."""
    settings = SearchSettings(
        ENV,
        episodes=CHILDREN,
        seed=seed,
        workers=min(os.cpu_count() or 1, 8),
        env_arguments={"device": "cpu", "split_seed": split},
        final=final,
    )
    run = runs / f"seed-{seed}-split-{split}"
    result = search(settings, run, resume=True)
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    tested = result.summary["test_accuracy"]
    print(
        f"seed {seed}, split {split}: best child {children(run).accuracies.max():.2%}"
        + (f", tested {tested:.2%}" if final else ""),
        flush=True,
    )
    return run


def random_searches() -> NDArray[np.float64]:
    """Return the recorded random children as searches, (N, CHILDREN)."""
    env = make_environment(ENV, {"device": "cpu"})
    recorded = recorded_accuracies(env.memory.evaluator, env.search_space)
    if recorded is None:
        raise SystemExit("the recorded random children were trained otherwise: record them again")
    return recorded[: len(recorded) // CHILDREN * CHILDREN].reshape(-1, CHILDREN)


def mean_of(values: NDArray[np.float64]) -> str:
    """Return the mean with its interval of 95% by Student's t."""
    low, high = stats.ttest_1samp(values, 0).confidence_interval()
    return f"{values.mean():.2%} ({low:.2%} to {high:.2%})"


def compare(runs: Sequence[Path]) -> None:
    """Print what searches found beside random search."""
    found = np.stack([children(run).accuracies for run in runs])  # (N, CHILDREN)
    best, random_best = found.max(axis=1), random_searches().max(axis=1)
    print(f"best of {CHILDREN}, {len(best)} searches: {mean_of(best)}")
    print(f"best of {CHILDREN}, {len(random_best)} random searches: {mean_of(random_best)}")
    print(f"Mann-Whitney, two-sided: p = {stats.mannwhitneyu(best, random_best).pvalue:.2g}")


def improvement(runs: Sequence[Path]) -> None:
    """Print how much better the last children of searches are than their first."""
    found = np.stack([children(run).accuracies for run in runs])
    learned = found[:, -ENDS:].mean(axis=1) - found[:, :ENDS].mean(axis=1)
    print(f"mean of the last {ENDS} less that of the first {ENDS}: {mean_of(learned)}")


def test(runs: Sequence[Path]) -> None:
    """Print the share of right answers of the final networks in all tests."""
    confusion = np.sum([(read_summary(run) or {})["final"]["confusion"] for run in runs], axis=0)
    right, answers = int(np.trace(confusion)), int(confusion.sum())
    low, high = stats.binomtest(right, answers).proportion_ci(method="wilson")
    print(f"tested: {right / answers:.2%} of {answers:,} answers ({low:.2%} to {high:.2%})")


def main() -> None:
    """Search, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("runs", type=Path, help="folder of the run folders")
    parser.add_argument("--seeds", type=int, default=0, help="searches beside random search")
    parser.add_argument("--tested", type=int, default=0, help="searches that end with a test")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split-seed", type=int, default=1, help="of the first test")
    given = parser.parse_args()
    runs, seed, split = given.runs, given.seed, given.split_seed
    if given.seeds:
        found = [searched(runs, seed + n, 0, final=False) for n in range(given.seeds)]
        compare(found)
        improvement(found)
    if given.tested:
        found = [searched(runs, seed + n, split + n, final=True) for n in range(given.tested)]
        improvement(found)
        test(found)


if __name__ == "__main__":
    main()
