"""Does bfloat16 cost accuracy? Trains a CIFAR child in both precisions, with several seeds.

    python examples/benchmarks/precision.py [SEEDS]

NASNet-A's cells (N = 1, 8 filters) on 2,000 images of CIFAR-10 for 3 epochs, validated on 2,000
others. Both precisions share their seeds: the weights at the start and the batches are the same. It
needs cifar10.npz in NAS_GYM_DATA.
"""

from __future__ import annotations

import sys
from statistics import mean, stdev
from typing import Literal

import nas_gym
from nas_gym import Trainer, TrainingSettings, load_dataset
from nas_gym.data.dataset import resplit
from nas_gym.families.nasnet.network import CellNetworkSettings

IMAGES, EPOCHS = 2000, 3
Precision = Literal["float32", "bfloat16"]


def accuracies(precision: Literal["float32", "bfloat16"], seeds: int) -> list[float]:
    """Return validation accuracy after the last epoch, of each seed."""
    settings = TrainingSettings(
        CellNetworkSettings(cells=1, filters=8), epochs=EPOCHS, batch_size=64, precision=precision
    )
    dataset = resplit(load_dataset("cifar10"), IMAGES, IMAGES, IMAGES)
    trainer = Trainer(dataset, settings)
    child = nas_gym.published("NASNet-A")
    return [trainer.evaluate_one(child, seed).accuracy for seed in range(seeds)]


def main() -> None:
    """Trains, and prints means, spreads, and the difference with its standard error."""
    seeds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    found = {
        "float32": accuracies("float32", seeds),
        "bfloat16": accuracies("bfloat16", seeds),
    }
    for precision, values in found.items():
        each = ", ".join(f"{100 * value:.2f}" for value in values)
        print(f"{precision}: {100 * mean(values):.2f}%, spread {100 * stdev(values):.2f} ({each})")
    gains = [100 * (b - f) for f, b in zip(found["float32"], found["bfloat16"], strict=True)]
    error = stdev(gains) / len(gains) ** 0.5
    print(f"bfloat16 - float32: {mean(gains):+.2f} points, standard error {error:.2f}")


if __name__ == "__main__":
    main()
