"""Is one commit slower than another? Runs a benchmark in both, in turns, and prints ratios.

    python examples/benchmarks/compare_commits.py BASE HEAD
    python examples/benchmarks/compare_commits.py BASE HEAD --rounds 9 -- \
        examples/benchmarks/env_speed.py --seconds 0.2

Both commits are checked out in a temporary folder, and each runs the benchmark as it stood then;
without one, `env_speed.py` and `child_training.py`. A figure is the number behind a line's title
(behind ":", or behind a gap of two spaces), and is compared where both commits print its title. The
ratio is HEAD's figure to BASE's: the geometric mean over the rounds, with its 95% interval by
Student's t. The commit that begins changes from round to round.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from scipy import stats

BENCHMARKS = [["examples/benchmarks/env_speed.py"], ["examples/benchmarks/child_training.py"]]
FIGURE = re.compile(r"^\s*(\S.*?)(?:: +| {2,})(\d[\d,]*(?:\.\d+)?)(?=\s|$)", re.MULTILINE)
Figures = dict[str, float]


@contextmanager
def checked_out(commits: Sequence[str]) -> Iterator[list[Path]]:
    """Check commits of the repository around the working directory out in folders of their own."""
    with tempfile.TemporaryDirectory() as folder:
        trees = [Path(folder, str(number)) for number in range(len(commits))]
        try:
            for tree, commit in zip(trees, commits, strict=True):
                git("worktree", "add", "--quiet", "--detach", str(tree), commit)
            yield trees
        finally:
            for tree in filter(Path.exists, trees):
                git("worktree", "remove", "--force", str(tree))


def git(*arguments: str) -> None:
    """Run git, and end the program with its message if it fails."""
    if subprocess.run(["git", *arguments], check=False).returncode:
        sys.exit(f"git {' '.join(arguments)}: failed")


def figures(tree: Path, command: Sequence[str]) -> Figures:
    """Run a Python program in a tree and return the figures that it prints, by title."""
    path = os.pathsep.join([str(tree), str(tree / "agents")])
    environment = {**os.environ, "PYTHONPATH": path}
    finished = subprocess.run(
        [sys.executable, *command], cwd=tree, env=environment, stdout=subprocess.PIPE, check=False
    )
    if finished.returncode:
        sys.exit(f"{' '.join(command)}: ended with exit code {finished.returncode} in {tree}")
    return figures_in(finished.stdout.decode())


def figures_in(text: str) -> Figures:
    """Return the figures in a program's output; the first where a title stands twice."""
    found = {title: float(number.replace(",", "")) for title, number in FIGURE.findall(text)[::-1]}
    return {title: number for title, number in reversed(found.items()) if number > 0}


def interval(ratios: Sequence[float]) -> tuple[float, float, float]:
    """Return the geometric mean of two or more ratios, and its 95% interval."""
    logs = np.log(ratios)
    half = float(stats.sem(logs) * stats.t.ppf(0.975, len(logs) - 1))
    mean = float(logs.mean())
    return float(np.exp(mean)), float(np.exp(mean - half)), float(np.exp(mean + half))


def compare(trees: Sequence[Path], command: Sequence[str], rounds: int) -> None:
    """Run a program in both trees in turns, and print a line for each figure that both print."""
    base, head = trees
    programs = [tree / command[0] for tree in trees]
    if not all(map(Path.is_file, programs)):
        sys.exit(f"{command[0]}: is no program of both commits")
    if len({program.read_bytes() for program in programs}) > 1:
        print(f"{command[0]} itself differs between the commits; its figures may mean other things")
    runs: list[dict[Path, Figures]] = []
    for number in range(rounds):
        order = (base, head) if number % 2 == 0 else (head, base)
        runs.append({tree: figures(tree, command) for tree in order})
    titles = set.intersection(*({*run[tree]} for run in runs for tree in trees))
    print(f"{' '.join(command):60} HEAD / BASE, {rounds} rounds")
    for title in filter(titles.__contains__, runs[0][base]):
        mean, low, high = interval([run[head][title] / run[base][title] for run in runs])
        print(f"  {title:58} {mean:.3f} ({low:.3f} to {high:.3f})", flush=True)
    if not titles:
        sys.exit(f"{' '.join(command)}: prints no figure in both commits")


def main(given: Sequence[str]) -> None:
    """Compare two commits by the benchmarks."""
    split = list(given).index("--") if "--" in given else len(given)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", help="the earlier commit")
    parser.add_argument("head", help="the later commit")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each; at least 2")
    parser.usage = f"{parser.format_usage().strip()[7:]} [-- PROGRAM ARGUMENT ...]"
    arguments = parser.parse_args(given[:split])
    if arguments.rounds < 2:
        parser.error(f"--rounds: expected at least 2, got {arguments.rounds}")
    command = list(given[split + 1 :])
    with checked_out([arguments.base, arguments.head]) as trees:
        for benchmark in [command] if command else BENCHMARKS:
            compare(trees, benchmark, arguments.rounds)


if __name__ == "__main__":
    main(sys.argv[1:])
