"""What imports cost, in processor seconds: `nas_gym`, `gymnasium`, and `nas-gym --help`.

    python examples/benchmarks/imports.py

Fresh processes take turns, 10 of each; medians are printed, and the ratio of the two imports.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys

RUNS = 10
PROGRAMS = {
    "import gymnasium": ("-c", "import gymnasium"),
    "import nas_gym": ("-c", "import nas_gym"),
    "nas-gym --help": ("-m", "nas_agents.cli.main", "--help"),
}


def processor_seconds(arguments: tuple[str, ...]) -> float:
    """Return the processor seconds, user and system, of a fresh Python."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print a line for each program, and the ratio."""
    rounds = [{n: processor_seconds(p) for n, p in PROGRAMS.items()} for _ in range(RUNS)]
    medians = {name: statistics.median(each[name] for each in rounds) for name in PROGRAMS}
    for name, seconds in medians.items():
        print(f"{name}: {seconds:.3f} s")
    ratio = medians["import nas_gym"] / medians["import gymnasium"]
    print(f"import nas_gym: {ratio:.2f} times import gymnasium")


if __name__ == "__main__":
    main()
