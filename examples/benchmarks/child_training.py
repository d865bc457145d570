"""How fast is child training? Prints ratios against baselines measured in the same run.

    python examples/benchmarks/child_training.py [steps] [single] [workers] [overhead]

Two children, both NASNet-A: a tiny one (N = 1, 8 filters, 8x8 digits, batch 64) and a CIFAR one
(N = 2, 16 filters, batch 128), which needs cifar10.npz in NAS_GYM_DATA.

- ``steps``: images per second, each step of tuning switched on in turn, on one thread.
- ``single``: the tiny child against a bare loop that trains and validates the same module on random
  tensors, without augmentation and schedule; both children against plain PyTorch: DataLoader, a
  transform an image, contiguous float32, `torch.optim.SGD`.
- ``workers``: children per hour of two processes, one thread each, against two of plain PyTorch
  (without loader workers). Both build, train and validate whole children.
- ``overhead``: milliseconds a step of the tiny child, and of one with two images, which is what
  Python and torch's dispatch take; images per second of the CIFAR child by number of threads.

Every measurement has a process of its own, since memory settings hold for a whole process, and the
sides that are compared take turns, since machines are noisy. The median of the rounds counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

import nas_gym
from nas_gym import Trainer, TrainingSettings, load_dataset
from nas_gym.data.batches import DeviceDataset
from nas_gym.data.dataset import Dataset, Indices, InvalidDataset
from nas_gym.families.nasnet import network as cell_network
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ImageShape, build_network
from nas_gym.networks.convolutions import AveragePool2d, DepthwiseConv2d, PointwiseConv2d
from nas_gym.training import network_trainer
from nas_gym.training.tasks import images as training

ROUNDS = 3
CHILD = nas_gym.published("NASNet-A")
CIFAR_STEPS = 3
"""Of an epoch."""


def dataset_of(kind: str) -> Dataset:
    """Load the images: all digits, or a part of CIFAR-10 for an epoch of a few steps."""
    if kind == "tiny":
        return load_dataset("digits")
    whole = load_dataset("cifar10")
    return replace(whole, train=whole.train[: 128 * CIFAR_STEPS], validation=whole.validation[:128])


def settings_of(kind: str) -> TrainingSettings:
    """Training settings of such a child."""
    if kind == "tiny":
        return TrainingSettings(CellNetworkSettings(cells=1, filters=8), epochs=2, batch_size=64)
    return TrainingSettings(CellNetworkSettings(cells=2, filters=16), epochs=2, batch_size=128)


def trainer_of(kind: str) -> Trainer:
    """Make a trainer of such children on the CPU."""
    return Trainer(dataset_of(kind), settings_of(kind), device="cpu")


def ours(kind: str) -> float:
    """Images per second of `Trainer.fit`; its first epoch warms up."""
    trainer = trainer_of(kind)
    with trainer.isolated(seed=0):
        epochs = trainer.fit(trainer.build(CHILD))
        next(epochs)
        started = time.perf_counter()
        done = sum(trainer.task.steps_per_epoch * trainer.task.batch_size for _ in epochs)
        return done / (time.perf_counter() - started)


def bare(kind: str, batch: int = 64) -> float:
    """Images per second of a loop over the tiny child's module that does nothing but train, and
    validate after each epoch, on random tensors; its first epoch warms up.
    """
    trainer = trainer_of(kind)
    with trainer.isolated(seed=0):
        network = trainer.build(CHILD)
        optimizer = torch.optim.SGD(
            network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True
        )
        images, others = (
            torch.randn(number, 1, 8, 8).to(memory_format=torch.channels_last)
            for number in (batch, len(trainer.dataset.validation) * batch // 64)
        )
        labels = torch.randint(0, 10, (batch,))
        times = []
        for _ in range(3):
            started = time.perf_counter()
            network.train()
            for _ in range(trainer.task.steps_per_epoch):
                optimizer.zero_grad()
                F.cross_entropy(network(images), labels).backward()
                optimizer.step()
            network.eval()
            with torch.no_grad():
                network(others).argmax(dim=1)
            times.append(time.perf_counter() - started)
        return batch * trainer.task.steps_per_epoch / statistics.median(times[1:])


class _Images(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images with a transform each, as a tutorial writes it."""

    def __init__(self, kind: str, data: Dataset, indices: Indices, training: bool) -> None:
        self.data, self.indices = data, indices
        crops = [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip()]
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                *(crops if training and kind == "cifar" else []),
                transforms.ToTensor(),
                transforms.Normalize((0.47,), (0.25,)),
            ]
        )

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        place = self.indices[index]
        return self.transform(self.data.images[place]), int(self.data.labels[place])


def plain_child(kind: str) -> Iterator[float]:
    """Trains a child in plain PyTorch; yields its validation accuracy after each epoch."""
    data, settings = dataset_of(kind), settings_of(kind)
    _, height, width, channels = data.images.shape
    shape = ImageShape(channels, height, width, len(data.classes))
    network = build_network(CHILD, shape, settings.network)  # contiguous float32
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    parts = [_Images(kind, data, data.train, True), _Images(kind, data, data.validation, False)]
    train = DataLoader(parts[0], settings.batch_size, shuffle=True, drop_last=True)
    validation = DataLoader(parts[1], 256)
    for _ in range(settings.epochs):
        network.train()
        for images, labels in train:
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
        network.eval()
        with torch.no_grad():
            right = sum((network(x).argmax(1) == y).sum().item() for x, y in validation)
        yield right / len(data.validation)


def plain(kind: str) -> float:
    """Images per second of plain PyTorch; its first epoch warms up."""
    torch.manual_seed(0)
    epochs = plain_child(kind)
    next(epochs)
    settings, images = settings_of(kind), len(dataset_of(kind).train)
    done = images // settings.batch_size * settings.batch_size * (settings.epochs - 1)
    started = time.perf_counter()
    list(epochs)
    return done / (time.perf_counter() - started)


def children_ours(kind: str) -> float:
    """Children per hour of a trainer."""
    trainer = trainer_of(kind)
    return _per_hour(kind, lambda number: trainer.evaluate_one(CHILD, number))


def children_plain(kind: str) -> float:
    """Children per hour of plain PyTorch."""
    return _per_hour(kind, lambda number: list(plain_child(kind)))


def _per_hour(kind: str, train: Callable[[int], object]) -> float:
    """Train a tiny child to warm up; a CIFAR one takes too long for that to matter."""
    first, children = (1, 3) if kind == "tiny" else (0, 1)
    for number in range(first):
        train(number)
    started = time.perf_counter()
    for number in range(first, first + children):
        train(number)
    return 3600 * children / (time.perf_counter() - started)


def replaced(target: Any, name: str, value: Any) -> Callable[[], None]:
    """Replace an attribute for the rest of the process."""
    assert hasattr(target, name)
    return lambda: patch.object(target, name, value).start()


def _without_channels_last() -> None:
    normalized, build = DeviceDataset._normalized, Trainer.build
    patch.object(
        DeviceDataset, "_normalized", lambda self, pixels: normalized(self, pixels).contiguous()
    ).start()
    layout = torch.contiguous_format
    patch.object(
        Trainer, "build", lambda self, child: build(self, child).to(memory_format=layout)
    ).start()


def _without_fused_optimizer() -> None:
    sgd: Any = torch.optim.SGD
    unfused = lambda *given, **named: sgd(*given, **{**named, "fused": False})  # noqa: E731
    patch.object(torch.optim, "SGD", unfused).start()


STEPS: list[tuple[str, Callable[[], None]]] = [
    ("data in one tensor, augmented as a batch", lambda: None),
    ("fused optimizer", _without_fused_optimizer),
    ("freed memory is kept", replaced(network_trainer, "keep_freed_memory", lambda device: None)),
    ("channels last", _without_channels_last),
    (
        "contiguous gradients of concatenations",
        replaced(cell_network, "concatenate", lambda states: torch.cat(tuple(states), dim=1)),
    ),
    (
        "1x1 convolutions as matrix products",
        replaced(PointwiseConv2d, "forward", nn.Conv2d.forward),
    ),
    (
        "depthwise gradients by fast kernels",
        replaced(DepthwiseConv2d, "forward", nn.Conv2d.forward),
    ),
    (
        "average pooling as a convolution",
        replaced(AveragePool2d, "forward", nn.AvgPool2d.forward),
    ),
    ("bfloat16, from 16x16 pixels on", replaced(training, "autocast_dtype", lambda *_: None)),
]
"""Optimizations, in order, each with the function that undoes it."""


def measured(*arguments: str, threads: int = 1, at_once: int = 1) -> float:
    """Measure in a separate process; return the sum if several run at once."""
    command = [sys.executable, __file__, "measure", str(threads), *arguments]
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(at_once)
    ]
    figures = [float(process.communicate()[0]) for process in processes]
    return sum(figures)


def compare(title: str, unit: str, kind: str, sides: tuple[str, str], at_once: int = 1) -> None:
    """Print the ratio of two measurements that alternate."""
    rounds = [[measured(side, kind, at_once=at_once) for side in sides] for _ in range(ROUNDS)]
    ratios = [mine / theirs for mine, theirs in rounds]
    mine, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        f"{title}: {mine:.0f} against {theirs:.0f} {unit}, ratio {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}, {ROUNDS} rounds)",
        flush=True,
    )


def print_steps(kinds: list[str]) -> None:
    """Images per second with the first steps of tuning, then one more, and so on."""
    print(f"images per second, one thread: {', '.join(kinds)}")
    rates = [measured("plain", kind) for kind in kinds]
    print(f"{'plain PyTorch':>42}  " + "  ".join(f"{rate:6.0f}" for rate in rates), flush=True)
    for number, (title, _) in enumerate(STEPS, start=1):
        rates = [measured("ours", kind, str(number)) for kind in kinds]
        print(f"{'+ ' + title:>42}  " + "  ".join(f"{rate:6.0f}" for rate in rates), flush=True)


def print_single(kinds: list[str]) -> None:
    """One process against one process."""
    unit = "images per second"
    compare("tiny child against a bare loop", unit, "tiny", ("ours", "bare"))
    for kind in kinds:
        compare(f"{kind} child against plain PyTorch", unit, kind, ("ours", "plain"))


def print_workers(kinds: list[str]) -> None:
    """Two processes against two processes."""
    for kind in kinds:
        title = f"two workers against two plain PyTorch processes, {kind} children"
        sides = ("children_ours", "children_plain")
        compare(title, "children per hour", kind, sides, at_once=2)


def print_overhead(kinds: list[str]) -> None:
    """Print the share that is not arithmetic, and the gain of a second thread."""
    for batch in (64, 2):
        step = 1000 * batch / measured("bare", "tiny", "", str(batch))
        print(f"tiny child: {step:.1f} ms a step with {batch} images", flush=True)
    for threads in (1, 2) if "cifar" in kinds else ():  # the tiny child has one, always
        rate = measured("ours", "cifar", threads=threads)
        print(f"CIFAR child, {threads} thread(s): {rate:.0f} images per second", flush=True)


SECTIONS = {
    "steps": print_steps,
    "single": print_single,
    "workers": print_workers,
    "overhead": print_overhead,
}
MEASUREMENTS: dict[str, Callable[..., float]] = {
    "ours": ours,
    "bare": bare,
    "plain": plain,
    "children_ours": children_ours,
    "children_plain": children_plain,
}


def measure(threads: str, name: str, kind: str, steps: str = "", batch: str = "") -> None:
    """One measurement, with the first ``steps`` of tuning: the figure on standard output."""
    torch.set_num_threads(int(threads))
    for _, take_away in STEPS[int(steps) :] if steps else []:
        take_away()
    print(MEASUREMENTS[name](kind, *([int(batch)] if batch else [])))


def main() -> None:
    """Run one measurement if it is asked for, otherwise all comparisons or those named."""
    if sys.argv[1:2] == ["measure"]:
        measure(*sys.argv[2:])
        return
    print(f"torch {torch.__version__}, {torch.backends.cpu.get_cpu_capability()}")
    kinds = ["tiny", "cifar"]
    try:
        load_dataset("cifar10")
    except InvalidDataset as error:
        print(f"CIFAR child: skipped: {error}")
        kinds.remove("cifar")
    for name in sys.argv[1:] or SECTIONS:
        SECTIONS[name](kinds)


if __name__ == "__main__":
    main()
