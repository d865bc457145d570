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
have as many processor seconds as `nas-gym auto` used, all that it started included; then several
can be trained at once (--jobs). Results are kept in --folder, and what is there is not done again.
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
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional as F
from torchvision import models

from nas_gym import TrainingSettings, load_dataset
from nas_gym.training.steps.optimizers import sgd
from nas_gym.training.tasks.images import ImageClassification

CLASSES = ("airplane", "automobile", "bird", "cat")
MODES = ("RGB", "RGB", "RGB", "L", "P", "RGBA")
BASELINES: dict[str, Any] = {"ResNet-18": models.resnet18, "MobileNetV2": models.mobilenet_v2}
AUTO, RANDOM, TRIALS = "nas-gym auto", "random width and depth", 40
"""Names of ours and of random choice; and the share of the time, 1 in so many, that one of its
trials takes."""
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


@dataclass(frozen=True)
class Given:
    """What a compared network has: images at one size, and time by one of Python's clocks."""

    photos: Path
    image_size: int
    seed: int
    seconds: float
    clock: Callable[[], float]

    def task(self, *, final: bool) -> ImageClassification:
        """Return the task of the photographs; a final one trains on the validation images, too."""
        dataset = load_dataset(self.photos, self.image_size)
        return ImageClassification(dataset, SETTINGS, torch.device("cpu"), final=final)


def train(network: Any, task: ImageClassification, given: Given, seconds: float) -> int:
    """Train for a time, with a cosine that ends with it; return the number of epochs, begun ones.

    A training that is given no time takes one step.
    """
    network.to(memory_format=torch.channels_last).train()
    optimizer = sgd(network.parameters(), task.settings, 0.05)
    generator, started, epochs = torch.Generator().manual_seed(given.seed), given.clock(), 0
    while True:
        epochs += 1
        for images, labels in task.batches(generator):
            share = min(1.0, (given.clock() - started) / max(seconds, 1e-3))
            optimizer.param_groups[0]["lr"] = 0.05 * 0.5 * (1 + math.cos(math.pi * share))
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            if share == 1.0:
                return epochs


def compared(name: str, given: Given) -> tuple[float, int]:
    """Train one of the other networks; return its test accuracy, and its epochs."""
    if name == RANDOM:
        return random_choice(given)
    task = given.task(final=True)
    torch.manual_seed(given.seed)
    network = BASELINES[name](num_classes=len(CLASSES))
    epochs = train(network, task, given, given.seconds)
    return task.value(network, "test"), epochs


def plain_network(rng: np.random.Generator) -> Callable[[], nn.Module]:
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
        return nn.Sequential(
            *layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LazyLinear(len(CLASSES))
        )

    return make


def random_choice(given: Given) -> tuple[float, int]:
    """Train random plain networks for half of a time, and the best one for the other half."""
    rng, clock, seconds = np.random.default_rng(given.seed), given.clock, given.seconds
    children, final, started = given.task(final=False), given.task(final=True), clock()
    best: tuple[float, Callable[[], nn.Module]] | None = None
    while best is None or clock() - started < seconds / 2 - seconds / TRIALS:
        make = plain_network(rng)
        torch.manual_seed(given.seed)
        network: Any = made(make, children)
        train(network, children, given, seconds / TRIALS)
        accuracy = children.value(network, "validation")
        best = max(best or (accuracy, make), (accuracy, make), key=lambda each: each[0])
    torch.manual_seed(given.seed)
    network = made(best[1], final)
    epochs = train(network, final, given, started + seconds - clock())
    return final.value(network, "test"), epochs


def made(make: Callable[[], nn.Module], task: ImageClassification) -> nn.Module:
    """Make a network whose layers learn the shape of their inputs from a batch."""
    network = make()
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # of lazy modules
        network(next(iter(task.batches(torch.Generator())))[0])
    return network


class Results:
    """A file with the results by now: of each seed, those of `nas-gym auto` and of the others."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.of: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}

    def add(self, seed: int, name: str, result: dict[str, Any]) -> None:
        """Keep a result, and print it."""
        self.of.setdefault(str(seed), {})[name] = result
        part = self.path.with_suffix(".part")
        part.write_text(json.dumps(self.of, indent=1) + "\n")
        part.replace(self.path)
        about = {key: value for key, value in result.items() if key not in ("accuracy", "plan")}
        print(f"seed {seed}: {name} {result['accuracy']:.2%} {about}", flush=True)


def main() -> None:
    """Print a line for each network and seed, then the means."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--images", type=int, default=500, help="of each class, to train on")
    parser.add_argument("--folder", type=Path, default=Path("runs/auto-benchmark"))
    parser.add_argument("--processor-time", action="store_true", help="on a busy machine")
    parser.add_argument("--jobs", type=int, default=1, help="others at once, by processor time")
    arguments = parser.parse_args()
    if arguments.jobs > 1 and not arguments.processor_time:
        parser.error("--jobs: networks at once slow each other down; add --processor-time")
    clock = time.process_time if arguments.processor_time else time.perf_counter
    photos, minutes = arguments.folder / f"photos-{arguments.images}", arguments.minutes
    if not photos.exists():
        make_folder(photos, arguments.images)
    size = f"{minutes:g}-minutes-{arguments.images}-images"
    results = Results(arguments.folder / f"{size}.json")
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for seed in seeds:
        if AUTO not in results.of.get(str(seed), {}):
            found = searched(photos, minutes, seed, arguments.folder / f"{size}-{seed}")
            results.add(seed, AUTO, {"accuracy": found["test_accuracy"], **found})
    threads = max(1, torch.get_num_threads() // arguments.jobs)
    with ProcessPoolExecutor(
        arguments.jobs, get_context("spawn"), torch.set_num_threads, (threads,)
    ) as pool:
        jobs = {}
        for seed in seeds:
            of_auto = results.of[str(seed)][AUTO]
            seconds = of_auto["processor_seconds"] if arguments.processor_time else 60 * minutes
            given = Given(photos, of_auto["plan"]["data"]["image_size"], seed, seconds, clock)
            for name in [n for n in (*BASELINES, RANDOM) if n not in results.of[str(seed)]]:
                jobs[pool.submit(compared, name, given)] = (seed, name)
        for job in as_completed(jobs):
            accuracy, epochs = job.result()
            results.add(*jobs[job], {"accuracy": accuracy, "epochs": epochs})
    for name in (AUTO, *BASELINES, RANDOM):
        values = [results.of[str(seed)][name]["accuracy"] for seed in seeds]
        print(f"{name}: {np.mean(values):.2%} (standard deviation {np.std(values):.2%})")


if __name__ == "__main__":
    main()
