"""Kill a final training at random moments, resume it, and compare its weights to the bit.

    python examples/benchmarks/train_kills.py --kills 10

`nas-gym train` trains a small NASNet-A on digits once without interruption, and once killed by
SIGKILL after random times, each of at most a fraction of what the whole training took. The weights'
files must be the same, byte by byte.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [
    *(sys.executable, "-m", "nas_agents.cli.main", "train", "NASNet-A", "--dataset", "digits"),
    *("--device", "cpu", "--cells", "1", "--filters", "4", "--preset", "adamw"),
    *("--set", "auxiliary_head=true", "--set", "drop_path_keep=0.6"),
]


def start(epochs: int, out: Path) -> subprocess.Popen[bytes]:
    """Start a training, or go on with it."""
    begun = ["--resume"] if (out / "checkpoint.pt").exists() else []
    command = [*COMMAND, "--epochs", str(epochs), "--out", str(out), *begun]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def main() -> None:
    """Train without and with kills, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as name:
        whole, killed = Path(name, "whole"), Path(name, "killed")
        started = time.perf_counter()
        if start(arguments.epochs, whole).wait() != 0:
            sys.exit("the training failed")
        took = time.perf_counter() - started
        kills = 0
        while not (killed / "model.json").exists():
            process = start(arguments.epochs, killed)
            try:
                # Long enough that an epoch or two more are done now and then.
                wait = rng.uniform(0, 0.6 * took) if kills < arguments.kills else None
                if process.wait(wait) != 0:
                    sys.exit("the resumed training failed")
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                kills += 1
        files = [(folder / "weights.safetensors").read_bytes() for folder in (whole, killed)]
        same = files[0] == files[1]
        print(f"{kills} kills; weights {'are the same to the bit' if same else 'DIFFER'}")
        sys.exit(0 if same and kills == arguments.kills else 1)


if __name__ == "__main__":
    main()
