"""Child training on a GPU: one table and one JSON. ``gpu.sh`` runs it.

- images a second of a tiny (8x8, N = 1, 8 filters), a CIFAR (32x32, N = 2, 16 filters) and a
  paper-size child (N = 2, 32 filters, batch 32): plain PyTorch with a DataLoader, then each step of
  tuning on top of those before it;
- children an hour: one after the other, 2, 4 and 8 as one fused network, by 1, 2 and 4 processes;
- share of the time of a step in which the GPU runs kernels, by the profiler, and share of its peak,
  that of a large matrix product, that a training's arithmetic reaches;
- a search of 60 children, end to end;
- final trainings, with cuDNN's algorithms by time, and compiled if that is faster.

`nas-gym presets` takes its estimates from the rates at the end. Images are random: nothing here
depends on what they show. A line that fails, or falls back on something slower, says why, and the
others go on; no line begins after 330 seconds, and the JSON is complete after each.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.data import DataLoader, TensorDataset

import nas_gym
from examples.benchmarks.kernel_calls import training_calls
from nas_gym import Trainer, TrainingSettings
from nas_gym.data.dataset import Dataset
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ImageShape, build_network, measure_cost
from nas_gym.networks.devices import hardware_name, synchronize
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.steps import compiling
from nas_gym.training.steps.graphs import NotCaptured
from nas_gym.training.together import TrainedSeparately

CHILD = nas_gym.published("NASNet-A")
SECONDS, RATE, AN_HOUR = 330, "images a second", "children an hour"
KINDS = {"tiny": (8, 1, 8, 64), "cifar": (32, 2, 16, 128), "paper": (32, 2, 32, 32)}
"""Pixels of a side, N, F and the batch size of each kind of child."""
STEPS: list[tuple[str, dict[str, Any]]] = [
    ("data on the device, float32", {"precision": "float32", "cuda_graphs": False}),
    ("+ the precision of the device", {"cuda_graphs": False}),
    (FASTEST := "+ CUDA graphs", {}),
]


class Lines:
    """The measured figures, by name; each line is printed and written when it is there."""

    def __init__(self, dry: bool, out: Path, device: str) -> None:
        self.dry, self.out, self.started = dry, out, time.perf_counter()
        self.figures: dict[str, float | str] = {}
        hardware = hardware_name(torch.device(device))
        self.facts = {"hardware": hardware, "torch": torch.__version__, "dry": dry}

    def measure(
        self, name: str, unit: str, figure: Callable[..., float], *given: Any, **changes: Any
    ) -> None:
        """Measure a line, unless the time is over."""
        if time.perf_counter() - self.started > SECONDS:
            value: float | str = "left out: the time is over"
        else:
            try:
                value = round(figure(*given, **changes), 3)
            except Exception as error:  # the other lines are worth having
                value = f"failed: {type(error).__name__}: {str(error).partition(chr(10))[0]}"
        self.figures[f"{name} ({unit})"] = value
        print(f"{name:<55} {value} {unit if isinstance(value, float) else ''}", flush=True)
        self.write()

    def fastest(self, kind: str) -> float | str | None:
        """Return the images a second of a kind with all steps of tuning, if they are measured."""
        return self.figures.get(f"{kind}: {FASTEST} ({RATE})")

    def write(self) -> None:
        """Replace the JSON, which has rates if there are those of a GPU."""
        facts = {**self.facts, "figures": self.figures}
        paper, tiny = (self.fastest(kind) for kind in ("paper", "tiny"))
        if isinstance(paper, float) and isinstance(tiny, float) and not self.dry:
            facts["rates"] = rates(paper, tiny)
        self.out.write_text(json.dumps(facts, indent=2))


def rates(paper: float, tiny: float) -> dict[str, float]:
    """Return the rates of `nas_agents.catalogue.presets.Rates` by images a second of two children.

    Arithmetic is what a paper-size child waits for, three forward passes of each image; launches
    are what a tiny one waits for.
    """
    multiply_adds = measure_cost(CHILD, shape_of("paper"), settings_of("paper", False).network)
    calls = training_calls(CHILD, shape_of("tiny"), settings_of("tiny", False).network)
    return {
        "multiply_adds": 3 * multiply_adds.multiply_adds * paper,
        "seconds_a_call": KINDS["tiny"][3] / tiny / calls,
    }


def shape_of(kind: str) -> ImageShape:
    """Return the shape of a kind's images."""
    return ImageShape(3, KINDS[kind][0], KINDS[kind][0], 10)


def dataset_of(kind: str, dry: bool) -> Dataset:
    """Return random images of a kind's size: 60 steps of training, and a batch of validation."""
    size, _, _, batch = KINDS[kind]
    size, batch = (8, 16) if dry else (size, batch)
    train = batch * (1 if dry else 60)
    total, rng = train + 2 * batch, np.random.default_rng(0)
    parts = np.split(np.arange(total), [train, train + batch])
    images = rng.integers(0, 256, (total, size, size, 3), dtype=np.uint8)
    names = tuple("abcdefghij")
    train_part, validation, test = parts
    labels = rng.integers(0, 10, total)
    return Dataset("random", images, labels, names, True, train_part, validation, test)


def settings_of(kind: str, dry: bool, **changes: Any) -> TrainingSettings:
    """Return the training settings of a kind, for two epochs."""
    _, cells, filters, batch = KINDS[kind]
    if dry:
        cells, filters, batch = 1, 4, 16
    network = CellNetworkSettings(cells=cells, filters=filters)
    return replace(TrainingSettings(network, epochs=2, batch_size=batch), **changes)


def images_a_second(
    kind: str, device: str, dry: bool, final: bool = False, **changes: Any
) -> float:
    """Images a second of a training; the first epoch warms up, and captures the graph."""
    settings = settings_of(kind, dry, **changes)
    trainer = NetworkTrainer(dataset_of(kind, dry), settings, device, final)
    with trainer.isolated(0):
        epochs = trainer.fit(trainer.build(CHILD))
        next(epochs)
        started = time.perf_counter()
        list(epochs)
    return trainer.task.steps_per_epoch * trainer.task.batch_size / (time.perf_counter() - started)


def compiled_images_a_second(kind: str, device: str, dry: bool) -> float:
    """Images a second of a final training that is compiled in its first epoch, if that pays."""
    compiling.LEAST_SECONDS, compiling.PROBE = 0.0, 5
    return images_a_second(kind, device, dry, final=True)


def plain_images_a_second(kind: str, device: str, dry: bool) -> float:
    """Images a second of plain PyTorch: a DataLoader, contiguous float32, torch's SGD."""
    data, settings = dataset_of(kind, dry), settings_of(kind, dry)
    size = data.images.shape[1]
    network = build_network(CHILD, ImageShape(3, size, size, 10), settings.network).to(device)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    pixels = torch.from_numpy(data.images[data.train]).permute(0, 3, 1, 2).float().div(255)
    both = TensorDataset(pixels.contiguous(), torch.from_numpy(data.labels[data.train]))
    loader = DataLoader(both, settings.batch_size, shuffle=True, drop_last=True)
    for _ in range(2):  # the first epoch warms up
        started, number = time.perf_counter(), 0
        for images, labels in loader:
            optimizer.zero_grad()
            logits: Any = network(images.to(device))
            F.cross_entropy(logits, labels.to(device)).backward()
            optimizer.step()
            number += len(images)
        synchronize(torch.device(device))
    return number / (time.perf_counter() - started)


def fused_children_an_hour(kind: str, fused: int, device: str, dry: bool) -> float:
    """Children an hour, ``fused`` of them as one network; the first group warms up."""
    settings = settings_of(kind, dry, fused=fused)
    trainer = Trainer(dataset_of(kind, dry), settings, device)
    trainer.evaluate_repeats(CHILD, range(fused))
    started = time.perf_counter()
    made = trainer.evaluate_repeats(CHILD, range(fused, 2 * fused))
    assert all(evaluation.status == "ok" for evaluation in made), made[0].message
    return 3600 * fused / (time.perf_counter() - started)


def processes_children_an_hour(workers: int, device: str, dry: bool) -> float:
    """Paper-size children an hour of processes on one GPU; one child of each warms up."""
    from nas_gym.workers import LocalWorkers  # noqa: PLC0415  # which needs Pebble

    trainer = Trainer(dataset_of("paper", dry), settings_of("paper", dry), device)
    with LocalWorkers(trainer, workers) as pool:
        for number in (workers, 2 * workers):
            started = time.perf_counter()
            asked = [pool.submit(CHILD, repeat) for repeat in range(number)]
            made = [future.result() for future in asked]
            assert all(each.status == "ok" for each in made), made[0].message
    return 3600 * 2 * workers / (time.perf_counter() - started)


def busy_share(kind: str, device: str, dry: bool, **changes: Any) -> float:
    """Share of the time in which kernels run, in [0, 1]; on a CPU, that of its operations."""
    activities = [ProfilerActivity.CPU]
    if device != "cpu":
        activities.append(ProfilerActivity.CUDA)
    trainer = Trainer(dataset_of(kind, dry), settings_of(kind, dry, **changes), device)
    with trainer.isolated(0):
        loop = trainer.task.loop(trainer.build(CHILD))
        loop.train_epoch()
        synchronize(trainer.device)
        with profile(activities=activities) as profiler:
            started = time.perf_counter()
            loop.train_epoch()
            synchronize(trainer.device)
            seconds = time.perf_counter() - started
    kernels = "CPU" if device == "cpu" else "CUDA"
    times: list[float] = [  # an operation on the host has the time of its kernels a second time
        event.self_cpu_time_total if device == "cpu" else event.self_device_time_total
        for event in profiler.key_averages()
        if event.device_type.name == kernels and not getattr(event, "is_user_annotation", False)
    ]
    return sum(times) / 1e6 / seconds


def peak_share(kind: str, device: str, dry: bool, images_a_second: float | str | None) -> float:
    """Share of the device's peak that a training's arithmetic reaches: three passes, as `rates`."""
    assert isinstance(images_a_second, float), "the rate is missing"
    network = settings_of(kind, dry).network
    cost = measure_cost(CHILD, shape_of(kind), network).multiply_adds
    return 6 * cost * images_a_second / matrix_operations_a_second(device, dry)


def matrix_operations_a_second(device: str, dry: bool) -> float:
    """Operations a second of a product of large matrices, in the precision of the trainings."""
    size, dtype = (256, torch.float32) if dry else (8192, torch.bfloat16)
    if device != "cpu" and not torch.cuda.is_bf16_supported(including_emulation=False):
        dtype = torch.float16
    matrix = torch.randn(size, size, device=device, dtype=dtype)
    for times in (3, 20):  # the first ones warm up
        synchronize(torch.device(device))
        started = time.perf_counter()
        for _ in range(times):
            matrix @ matrix
        synchronize(torch.device(device))
    return 20 * 2 * size**3 / (time.perf_counter() - started)


def search_seconds(device: str, dry: bool) -> float:
    """Seconds of a random search of 60 tiny children on the digits, end to end."""
    from nas_agents.runs.settings import SearchSettings  # noqa: PLC0415
    from nas_agents.search.run import search  # noqa: PLC0415

    arguments = {"dataset": "digits", "cells": 1, "filters": 8, "epochs": 1, "device": device}
    settings = SearchSettings(
        env_id="nas_gym/NASNet-v0",
        agent="random",
        episodes=2 if dry else 60,
        env_arguments=arguments,
        final=False,
    )
    with TemporaryDirectory() as folder:
        started = time.perf_counter()
        search(settings, Path(folder) / "run")
        return time.perf_counter() - started


def main() -> None:
    """Measure every line, and write the JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dry", action="store_true", help="the smallest sizes, on the CPU")
    parser.add_argument("out", nargs="?", type=Path)
    given = parser.parse_args()
    out = given.out or Path("gpu-dry.json" if given.dry else "gpu.json")
    dry, device = given.dry, "cpu" if given.dry else "cuda"
    for slower in (NotCaptured, TrainedSeparately, compiling.NotCompiled):
        warnings.simplefilter("error", slower)  # a line must not show something else than it says
    lines = Lines(dry, out, device)
    for kind in KINDS:
        lines.measure(f"{kind}: plain PyTorch", RATE, plain_images_a_second, kind, device, dry)
        for title, changes in STEPS:
            lines.measure(f"{kind}: {title}", RATE, images_a_second, kind, device, dry, **changes)
        of_kind = (kind, device, dry)
        lines.measure(f"{kind}: kernels run", "share of time", busy_share, *of_kind)
        rate = lines.fastest(kind)
        lines.measure(f"{kind}: arithmetic", "share of peak", peak_share, *of_kind, rate)
        one = (kind, 1, device, dry)
        lines.measure(f"{kind}: fused=1", AN_HOUR, fused_children_an_hour, *one)
    for fused in (2, 4, 8):
        several = ("tiny", fused, device, dry)
        lines.measure(f"tiny: fused={fused}", AN_HOUR, fused_children_an_hour, *several)
    for workers in (1,) if dry else (1, 2, 4):
        name = f"paper: {workers} processes"
        lines.measure(name, AN_HOUR, processes_children_an_hour, workers, device, dry)
    lines.measure("a search of 60 children", "seconds", search_seconds, device, dry)
    of_final = ("cifar", device, dry)
    lines.measure("cifar: final training", RATE, images_a_second, *of_final, final=True)
    lines.measure("cifar: final, compiled if faster", RATE, compiled_images_a_second, *of_final)
    print(f"written to {out}")


if __name__ == "__main__":
    main()
