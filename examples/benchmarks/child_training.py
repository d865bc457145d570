"""How fast is child training? Prints ratios against baselines measured in the same run.

    python examples/benchmarks/child_training.py

1. A tiny child (NASNet-A's cells, N = 1, 8 filters, 8x8 digits, batch 64): steps per second of
   `Trainer.fit`, its augmentation, schedule and validation included, against a bare loop over the
   same module with its data in tensors, with the same optimizer, memory format and threads.
2. A CIFAR child (NASNet-A's cells, N = 2, 16 filters, batch 128): images per second of
   `Trainer.fit` against plain PyTorch on the same module: DataLoader, a transform an image,
   contiguous float32, `torch.optim.SGD`. It needs cifar10.npz in NAS_GYM_DATA.

Every measurement has a process of its own, since memory settings hold for a whole process, and the
two sides take turns, since machines are noisy. The median of the rounds is what counts.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace

import torch
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import transforms

import nas_gym
from nas_gym.evaluation.datasets import InvalidDataset, load_dataset
from nas_gym.evaluation.settings import TrainingSettings
from nas_gym.evaluation.training import Trainer
from nas_gym.networks import CellNetworkSettings, ImageShape, build_network

ROUNDS = 3
CIFAR_STEPS = 4


def tiny_trainer() -> Trainer:
    """A trainer of tiny children."""
    settings = TrainingSettings(CellNetworkSettings(cells=1, filters=8), epochs=3, batch_size=64)
    return Trainer(load_dataset("digits"), settings, device="cpu")


def cifar_trainer() -> Trainer:
    """A trainer of CIFAR children, with an epoch of a few steps."""
    whole = load_dataset("cifar10")
    batch = 128
    part = replace(
        whole, train=whole.train[: batch * CIFAR_STEPS], validation=whole.validation[:16]
    )
    settings = TrainingSettings(
        CellNetworkSettings(cells=2, filters=16), epochs=3, batch_size=batch
    )
    return Trainer(part, settings, device="cpu")


def fitted(trainer: Trainer) -> float:
    """Images per second of `Trainer.fit`; its first epoch warms up."""
    images = trainer.steps_per_epoch * trainer.batch_size
    with trainer.isolated(seed=0):
        epochs = trainer.fit(trainer.build(nas_gym.published("NASNet-A")))
        next(epochs)
        started = time.perf_counter()
        done = sum(images for _ in epochs)
        return done / (time.perf_counter() - started)


def tiny_ours() -> float:
    """Images per second of a tiny child."""
    return fitted(tiny_trainer())


def tiny_bare() -> float:
    """Images per second of a loop that does nothing but train."""
    trainer = tiny_trainer()
    with trainer.isolated(seed=0):
        network = trainer.build(nas_gym.published("NASNet-A")).train()
        optimizer = torch.optim.SGD(
            network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True
        )
        images = torch.randn(64, 1, 8, 8).to(memory_format=torch.channels_last)
        labels = torch.randint(0, 10, (64,))
        times = []
        for _ in range(3 * trainer.steps_per_epoch):
            started = time.perf_counter()
            optimizer.zero_grad()
            F.cross_entropy(network(images), labels).backward()
            optimizer.step()
            times.append(time.perf_counter() - started)
        measured = times[trainer.steps_per_epoch :]
        return 64 * len(measured) / sum(measured)


def cifar_ours() -> float:
    """Images per second of a CIFAR child."""
    return fitted(cifar_trainer())


class _Images(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images with a transform each, as a tutorial writes it."""

    def __init__(self) -> None:
        self.data = load_dataset("cifar10")
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
            ]
        )

    def __len__(self) -> int:
        return len(self.data.train)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        place = self.data.train[index]
        return self.transform(self.data.images[place]), int(self.data.labels[place])


def cifar_plain() -> float:
    """Images per second of plain PyTorch on the same module."""
    torch.manual_seed(0)
    network = nas_gym_network()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)
    loader = DataLoader(_Images(), batch_size=128, shuffle=True)
    times = []
    started = time.perf_counter()
    for images, labels in loader:
        optimizer.zero_grad()
        F.cross_entropy(network(images), labels).backward()
        optimizer.step()
        times.append(time.perf_counter() - started)
        started = time.perf_counter()
        if len(times) == 2 + CIFAR_STEPS:
            break
    return 128 * CIFAR_STEPS / sum(times[2:])


def nas_gym_network() -> torch.nn.Module:
    """The CIFAR child's module, as torch makes it: contiguous float32."""
    shape = ImageShape(channels=3, height=32, width=32, classes=10)
    settings = CellNetworkSettings(cells=2, filters=16)
    return build_network(nas_gym.published("NASNet-A"), shape, settings).train()


def measured(name: str) -> float:
    """The figure of one measurement, taken in a process of its own."""
    command = [sys.executable, __file__, name]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def compare(title: str, ours: str, baseline: str) -> None:
    """Prints the ratio of two measurements that take turns."""
    rounds = [(measured(ours), measured(baseline)) for _ in range(ROUNDS)]
    ratios = [mine / theirs for mine, theirs in rounds]
    mine, theirs = (statistics.median(side) for side in zip(*rounds, strict=True))
    print(
        f"{title}: {mine:.0f} against {theirs:.0f} images per second, "
        f"ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}, "
        f"{ROUNDS} rounds)"
    )


MEASUREMENTS = {
    "tiny_ours": tiny_ours,
    "tiny_bare": tiny_bare,
    "cifar_ours": cifar_ours,
    "cifar_plain": cifar_plain,
}


def main() -> None:
    """Runs one measurement if it is named, else all comparisons."""
    if len(sys.argv) == 2:
        print(MEASUREMENTS[sys.argv[1]]())
        return
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")
    compare("tiny child against a bare loop", "tiny_ours", "tiny_bare")
    try:
        load_dataset("cifar10")
    except InvalidDataset as error:
        print(f"CIFAR child: skipped: {error}")
        return
    compare("CIFAR child against plain PyTorch", "cifar_ours", "cifar_plain")


if __name__ == "__main__":
    main()
