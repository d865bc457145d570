"""Do the files of this folder run in the RL Zoo? Trains every algorithm for a few hundred steps.

    python examples/rl_zoo/run_all.py
    python examples/rl_zoo/run_all.py --env nas_gym/NASBench201-v0 --env-kwargs "epochs:1"

It needs rl_zoo3, and prints one line a file: how many networks the algorithm designed, and the mean
reward of the last hundred, as the Zoo's monitor has them.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FOLDER = Path(__file__).parent


def command(algo: str, given: argparse.Namespace, logs: Path) -> list[str]:
    """Return the command that trains one algorithm."""
    options = {
        "--algo": algo,
        "--conf-file": str(FOLDER / f"{algo}.yml"),
        "--env": given.env,
        "-n": str(given.steps),
        "--eval-freq": "-1",
        "--seed": "0",
        "-f": str(logs),
    }
    parts = [part for option in options.items() for part in option]
    env_kwargs = ["--env-kwargs", *given.env_kwargs] if given.env_kwargs else []
    return [sys.executable, str(FOLDER / "zoo.py"), "train", *parts, *env_kwargs]


def rewards(logs: Path) -> list[float]:
    """Return the rewards that the Zoo's monitor wrote down."""
    files = sorted(logs.rglob("*.monitor.csv"))
    return [
        float(row["r"])
        for file in files
        for row in csv.DictReader(file.read_text(encoding="utf-8").splitlines()[1:])
    ]


def main() -> int:
    """Trains all; the exit code says whether all went well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    algorithms = sorted(file.stem for file in FOLDER.glob("*.yml"))
    parser.add_argument("--env", default="nas_gym/TinyBench-v0", help="id of an environment")
    parser.add_argument("--env-kwargs", nargs="*", default=[], help="as rl_zoo3.train has it")
    parser.add_argument("--steps", type=int, default=600, help="of each algorithm, at least")
    parser.add_argument("--algos", default=",".join(algorithms), help="names, with commas")
    given = parser.parse_args()
    failed = 0
    for algo in given.algos.split(","):
        started = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            ran = subprocess.run(
                command(algo, given, Path(folder)), capture_output=True, text=True, check=False
            )
            made = rewards(Path(folder))
        seconds = time.perf_counter() - started
        if ran.returncode or not made:
            failed += 1
            print(f"{algo:9} failed ({ran.returncode}): {ran.stderr.strip()[-2000:]}", flush=True)
        else:
            last = made[-100:]
            print(
                f"{algo:9} {len(made):5} networks in {seconds:3.0f} s, "
                f"mean reward of the last {len(last)}: {sum(last) / len(last):.3f}",
                flush=True,
            )
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
