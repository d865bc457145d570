"""Compare `nas-gym auto` with networks of torchvision, trained for the same time on the same data.

    python examples/benchmarks/auto.py --minutes 20 --seeds 3

A folder of photographs of four classes is made from CIFAR-10 (500 of each, or --images) at mixed
sizes and modes, with 100 more of each class to test on. For each seed, `nas-gym auto` has the time
for everything, and ResNet-18 and MobileNetV2, from scratch on the same images at the same size with
the same augmentation, train for as long: SGD and a cosine that ends when the time does.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision import models

from nas_gym import TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.training.steps.optimizers import sgd
from nas_gym.training.tasks.images import ImageClassification

CLASSES = ("airplane", "automobile", "bird", "cat")
MODES = ("RGB", "RGB", "RGB", "L", "P", "RGBA")
BASELINES = {"ResNet-18": models.resnet18, "MobileNetV2": models.mobilenet_v2}


def make_folder(folder: Path, images: int, tests: int = 100) -> None:
    """Write PNG files into ``train/`` and ``test/``, one folder a class."""
    data, rng = load_dataset("cifar10"), np.random.default_rng(0)
    for label, name in enumerate(CLASSES):
        places = np.flatnonzero(data.labels == label)[: images + tests]
        for number, place in enumerate(places):
            part = folder / ("train" if number < images else "test") / name
            part.mkdir(parents=True, exist_ok=True)
            side = int(rng.integers(32, 64))
            image = Image.fromarray(data.images[place]).resize((side, side + int(rng.integers(16))))
            image.convert(str(rng.choice(MODES))).save(part / f"{number}.png")


def searched(folder: Path, minutes: float, seed: int, run: Path) -> dict[str, Any]:
    """Return the result of `nas-gym auto`, with the seconds that the command took in all."""
    command = [sys.executable, "-m", "nas_agents.cli.main", "auto", str(folder), "--json"]
    command += ["--minutes", str(minutes), "--seed", str(seed), "--run", str(run)]
    started = time.perf_counter()
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    return {**json.loads(result.stdout), "seconds": time.perf_counter() - started}


def baseline(name: str, dataset: Dataset, seconds: float, seed: int) -> tuple[float, int]:
    """Train a network of torchvision for a time; return its test accuracy, and its epochs."""
    settings = TrainingSettings(batch_size=64, learning_rate=0.05)
    task = ImageClassification(dataset, settings, torch.device("cpu"), final=True)
    torch.manual_seed(seed)
    network: Any = BASELINES[name](num_classes=len(dataset.classes))
    network.to(memory_format=torch.channels_last).train()
    optimizer = sgd(network.parameters(), settings, settings.learning_rate)
    generator, started, epochs = torch.Generator().manual_seed(seed), time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        for images, labels in task.batches(generator):
            share = min(1.0, (time.perf_counter() - started) / seconds)
            optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * share))
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        epochs += 1
    return task.value(network, "test"), epochs


def main() -> None:
    """Print a line for each network and seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=500, help="of each class, to train on")
    parser.add_argument("--folder", type=Path, default=Path("runs/auto-benchmark"))
    arguments = parser.parse_args()
    photos = arguments.folder / "photos"
    if not photos.exists():
        make_folder(photos, arguments.images)
    found: dict[str, list[float]] = {}
    for seed in range(arguments.seeds):
        run = arguments.folder / f"{arguments.minutes:g}-minutes-{seed}"
        result = searched(photos, arguments.minutes, seed, run)
        found.setdefault("nas-gym auto", []).append(result["test_accuracy"])
        print(f"seed {seed}: auto {result['test_accuracy']:.2%} in {result['seconds']:.0f} s")
        size = result["plan"]["data"]["image_size"]
        for name in BASELINES:
            dataset = load_dataset(photos, size)
            accuracy, epochs = baseline(name, dataset, 60 * arguments.minutes, seed)
            found.setdefault(name, []).append(accuracy)
            print(f"seed {seed}: {name} {accuracy:.2%} after {epochs} epochs", flush=True)
    for name, values in found.items():
        print(f"{name}: {np.mean(values):.2%} (standard deviation {np.std(values):.2%})")


if __name__ == "__main__":
    main()
