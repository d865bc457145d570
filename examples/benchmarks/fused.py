"""How much faster are several trainings of a child as one network? Prints the ratio.

    python examples/benchmarks/fused.py [--seeds 4] [--rounds 3] [--device cpu]

Seeds of a tiny child (NASNet-A, N = 1, 8 filters, 8x8 digits, batch 64, two epochs), built, trained
and validated: one after the other, and as one fused network. The two take turns on one thread; the
time is the processor's on a CPU, and the median of the rounds counts.
"""

from __future__ import annotations

import argparse
import statistics
import time
from dataclasses import replace

import torch

import nas_gym
from nas_gym import Trainer, TrainingSettings, load_dataset
from nas_gym.families.nasnet.network import CellNetworkSettings

CHILD = nas_gym.published("NASNet-A")
SETTINGS = TrainingSettings(CellNetworkSettings(cells=1, filters=8), epochs=2, batch_size=64)


def children_per_hour(trainer: Trainer, seeds: int) -> float:
    """Train a child under several seeds; return children per hour."""
    clock = time.process_time if trainer.device.type == "cpu" else time.perf_counter
    started = clock()
    for at in range(0, seeds, trainer.fused):
        made = trainer.evaluate_repeats(CHILD, range(at, min(at + trainer.fused, seeds)))
        assert all(evaluation.status == "ok" for evaluation in made)
    return 3600 * seeds / (clock() - started)


def main() -> None:
    """Print children per hour of both, and their ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(1)
    digits = load_dataset("digits")
    fused = replace(SETTINGS, fused=given.seeds)
    trainers = [Trainer(digits, each, given.device) for each in (SETTINGS, fused)]
    rounds = [
        [children_per_hour(trainer, given.seeds) for trainer in trainers]
        for _ in range(given.rounds)
    ]
    separate, together = (statistics.median(side) for side in zip(*rounds, strict=True))
    ratios = [round(theirs / mine, 2) for mine, theirs in rounds]
    print(
        f"{given.seeds} seeds of a tiny child on {given.device}: {separate:.0f} children per hour "
        f"separately, {together:.0f} fused, ratio {statistics.median(ratios)} ({ratios})"
    )


if __name__ == "__main__":
    main()
