"""Compare `nas-gym auto` with other networks, trained for the same time on the same data.

    python examples/benchmarks/auto.py --minutes 20 --seeds 3
    python examples/benchmarks/auto.py --minutes 3 --seeds 1 --images 100    # in 13 minutes

A folder of photographs of four classes is made from CIFAR-10 (500 of each, or --images) at mixed
sizes and modes, with 500 more of each class to test on. For each seed, `nas-gym auto` has the time
for everything, and ResNet-18 and MobileNetV2, from scratch on the same images at the same size with
the same augmentation, train for as long: SGD and a cosine that ends when the time does. So does
random choice of width and depth, as AutoKeras begins with (Jin et al. 2019,
https://arxiv.org/abs/1806.10282): trials of a fortieth of the time in its first half, the best by
validation accuracy in the second.

On a machine that others use, wall time is not the same for all: with --processor-time, the others
have as many processor seconds as `nas-gym auto` used, all that it started included.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import models

from nas_gym import TrainingSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.training.steps.optimizers import sgd
from nas_gym.training.tasks.images import ImageClassification

CLASSES = ("airplane", "automobile", "bird", "cat")
MODES = ("RGB", "RGB", "RGB", "L", "P", "RGBA")
BASELINES: dict[str, Any] = {"ResNet-18": models.resnet18, "MobileNetV2": models.mobilenet_v2}
RANDOM, TRIALS = "random width and depth", 40
"""Name of random choice; and the share of the time, 1 in so many, that one of its trials takes."""
CLOCK: Callable[[], float] = time.perf_counter
SETTINGS = TrainingSettings(batch_size=64, learning_rate=0.05)


def make_folder(folder: Path, images: int, tests: int = 500) -> None:
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
    """Return the result of `nas-gym auto`, with the seconds that the command took in all.

    ``processor_seconds`` are those of all its processes.
    """
    command = [sys.executable, "-m", "nas_agents.cli.main", "auto", str(folder), "--json"]
    command += ["--minutes", str(minutes), "--seed", str(seed), "--run", str(run)]
    started, used = time.perf_counter(), processor_seconds()
    result = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    took = {"seconds": time.perf_counter() - started}
    return {**json.loads(result.stdout), **took, "processor_seconds": processor_seconds() - used}


def processor_seconds() -> float:
    """Return the processor seconds of the processes that were started and have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def train(network: Any, task: ImageClassification, seed: int, seconds: float) -> int:
    """Train for a time, with a cosine that ends with it; return the number of epochs, begun ones.

    A training that is given no time takes one step.
    """
    network.to(memory_format=torch.channels_last).train()
    optimizer = sgd(network.parameters(), task.settings, 0.05)
    generator, started, epochs = torch.Generator().manual_seed(seed), CLOCK(), 0
    while True:
        epochs += 1
        for images, labels in task.batches(generator):
            share = min(1.0, (CLOCK() - started) / max(seconds, 1e-3))
            optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * share))
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            if share == 1.0:
                return epochs


def baseline(name: str, dataset: Dataset, seconds: float, seed: int) -> tuple[float, int]:
    """Train a network of torchvision for a time; return its test accuracy, and its epochs."""
    task = ImageClassification(dataset, SETTINGS, torch.device("cpu"), final=True)
    torch.manual_seed(seed)
    network = BASELINES[name](num_classes=len(dataset.classes))
    epochs = train(network, task, seed, seconds)
    return task.value(network, "test"), epochs


def plain_network(rng: np.random.Generator, classes: int) -> Callable[[], nn.Module]:
    """Draw a plain network, as AutoKeras's ConvBlock is drawn; return a function that makes it.

    One to three blocks of one or two convolutions, with 16 to 256 filters each and a kernel of 3 or
    5, batch normalization, and maximum pooling.
    """
    blocks = [
        (int(rng.choice([16, 32, 64, 128, 256])), int(rng.choice([3, 5])))
        for _ in range(int(rng.integers(1, 4)))
    ]
    depth = int(rng.integers(1, 3))

    def make() -> nn.Module:
        layers: list[nn.Module] = []
        for filters, kernel in blocks:
            for _ in range(depth):
                layers.append(nn.LazyConv2d(filters, kernel, padding=kernel // 2, bias=False))
                layers += [nn.BatchNorm2d(filters), nn.ReLU()]
            layers.append(nn.MaxPool2d(2))
        return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(classes))

    return make


def random_choice(dataset: Dataset, seconds: float, seed: int) -> tuple[float, int]:
    """Train random plain networks for half of a time, and the best one for the other half."""
    rng, started = np.random.default_rng(seed), CLOCK()
    children = ImageClassification(dataset, SETTINGS, torch.device("cpu"))
    final = ImageClassification(dataset, SETTINGS, torch.device("cpu"), final=True)
    best: tuple[float, Callable[[], nn.Module]] | None = None
    while best is None or CLOCK() - started < seconds / 2 - seconds / TRIALS:
        make = plain_network(rng, len(dataset.classes))
        torch.manual_seed(seed)
        network: Any = made(make, children)
        train(network, children, seed, seconds / TRIALS)
        accuracy = children.value(network, "validation")
        best = max(best or (accuracy, make), (accuracy, make), key=lambda each: each[0])
    torch.manual_seed(seed)
    network = made(best[1], final)
    epochs = train(network, final, seed, started + seconds - CLOCK())
    return final.value(network, "test"), epochs


def made(make: Callable[[], nn.Module], task: ImageClassification) -> nn.Module:
    """Make a network whose layers learn the shape of their inputs from a batch."""
    network = make()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of lazy modules
        network(next(iter(task.batches(torch.Generator())))[0])
    return network


def main() -> None:
    """Print a line for each network and seed, then the means."""
    global CLOCK  # noqa: PLW0603
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=500, help="of each class, to train on")
    parser.add_argument("--folder", type=Path, default=Path("runs/auto-benchmark"))
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine")
    arguments = parser.parse_args()
    if arguments.processor_time:
        CLOCK = time.process_time
    photos, minutes = arguments.folder / f"photos-{arguments.images}", arguments.minutes
    if not photos.exists():
        make_folder(photos, arguments.images)
    found: dict[str, list[float]] = {}
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        run = arguments.folder / f"{minutes:g}-minutes-{arguments.images}-images-{seed}"
        result = searched(photos, minutes, seed, run)
        found.setdefault("nas-gym auto", []).append(result["test_accuracy"])
        used = result["processor_seconds"]
        print(
            f"seed {seed}: auto {result['test_accuracy']:.2%} in {result['seconds']:.0f} s "
            f"({used:.0f} processor seconds): {result['children']} children, {result['epochs']} "
            f"epochs of {result['parameters']:,} parameters",
            flush=True,
        )
        seconds = used if arguments.processor_time else 60 * minutes
        size = result["plan"]["data"]["image_size"]
        for name in (*BASELINES, RANDOM):
            given = (load_dataset(photos, size), seconds, seed)
            accuracy, epochs = random_choice(*given) if name == RANDOM else baseline(name, *given)
            found.setdefault(name, []).append(accuracy)
            print(f"seed {seed}: {name} {accuracy:.2%} in {epochs} epochs", flush=True)
    for name, values in found.items():
        print(f"{name}: {np.mean(values):.2%} (standard deviation {np.std(values):.2%})")


if __name__ == "__main__":
    main()
