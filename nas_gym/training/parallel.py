"""A final training on several devices of one machine, by DistributedDataParallel.

One process a device, as with torchrun: this one has the first device, and starts the others. Each
takes its own batches of the common random order, so a step has as many images as all of their
batches, and gradients are averaged (Li et al. 2020, https://arxiv.org/abs/2006.15704). On CUDA,
batch normalization is computed over all of a step's images (SyncBatchNorm); on a CPU, which has no
such layer, over each process's batch, with the running statistics of the first.
"""

from __future__ import annotations

import multiprocessing
import signal
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nas_gym.errors import require
from nas_gym.networks import ChildNetwork
from nas_gym.networks.devices import cpu_threads, resolve_device
from nas_gym.training.loop import BatchLoop, TrainingLoop
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import seed_from, set_seed

TIMEOUT = timedelta(minutes=10)
"""Time after which a process stops waiting for another one."""


def devices_of(device: str, number: int = 1) -> list[str]:
    """Return the names of the devices of a training: those of "cuda:0,cuda:1", or so many.

    With one kind of device, such as "auto", "cuda" or "cpu", ``number`` says how many of it.
    `InvalidSettings` if one is not there, they are of several kinds, or a GPU is named twice.
    """
    names = [name.strip() for name in device.split(",")]
    require(number >= 1, f"devices: expected at least 1, got {number}")
    require(number == 1 or len(names) == 1, f"devices: {device!r} names {len(names)} already")
    if number > 1:
        kind = resolve_device(names[0]).type
        names = [kind if kind == "cpu" else f"{kind}:{index}" for index in range(number)]
    resolved = [resolve_device(name) for name in names]
    if len(names) > 1:
        same = len({each.type for each in resolved}) == 1 and resolved[0].type in ("cpu", "cuda")
        require(same, f"devices: expected GPUs, or CPUs alone, got {', '.join(names)}")
        twice = resolved[0].type == "cuda" and len(set(resolved)) < len(resolved)
        require(not twice, f"devices: a GPU is named twice: {', '.join(names)}")
    return names


class Member:
    """One of the processes of a training, on its device: number ``rank`` of ``number``."""

    def __init__(self, rank: int, number: int) -> None:
        self.rank, self.number = rank, number

    def take_share(self, trainer: NetworkTrainer) -> None:
        """Give a trainer this process's share, before it builds networks, which depend on it."""
        if self.number > 1:
            trainer.task.take_share(self.rank, self.number)

    def loop(self, trainer: NetworkTrainer, network: ChildNetwork) -> TrainingLoop:
        """Return the training of a network by a trainer that has this process's share."""
        if self.number == 1:
            return trainer.task.loop(network)
        on_cuda = trainer.device.type == "cuda"
        if on_cuda:
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)
        loop = trainer.task.loop(network)
        assert isinstance(loop, BatchLoop)
        own = [trainer.device.index or 0] if on_cuda else None
        loop.steps.network = _Parallel(network, device_ids=own, static_graph=True)  # type: ignore[assignment]
        return loop


class _Parallel(DistributedDataParallel):
    """Averages gradients, and has the attributes of the network in it."""

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("module"), name)


@contextmanager
def team(devices: Sequence[str], follow: Any, *arguments: Any) -> Iterator[Member]:
    """Start the other processes of a training within it, and end them; yield this one's part.

    With one device, nothing is started. ``follow`` is a function of a module, called in each other
    process with a `Member`, its device and the arguments, which are pickled.
    """
    number, first = len(devices), devices[0]
    if number == 1:
        yield Member(0, 1)
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        meeting = Path(folder) / "meeting"
        others = [
            context.Process(
                target=_joined, args=(rank, number, device, meeting, follow, arguments), daemon=True
            )
            for rank, device in enumerate(devices[1:], start=1)
        ]
        for process in others:
            process.start()
        try:
            with _group(0, number, first, meeting), cpu_threads(_threads(number, first)):
                yield Member(0, number)
        finally:
            for process in others:
                process.terminate()
                process.join()


def _joined(
    rank: int, number: int, device: str, meeting: Path, follow: Any, arguments: tuple[Any, ...]
) -> None:
    """Take part in a training as another process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process ends this one
    torch.set_num_threads(_threads(number, device))
    with _group(rank, number, device, meeting):
        follow(Member(rank, number), device, *arguments)


def _threads(number: int, device: str) -> int:
    """Return the threads of one of so many processes, which share a CPU's cores."""
    return max(1, torch.get_num_threads() // (number if device == "cpu" else 1))


@contextmanager
def _group(rank: int, number: int, device: str, meeting: Path) -> Iterator[None]:
    kind = torch.device(device)
    if kind.type == "cuda":
        torch.cuda.set_device(kind)
    store = torch.distributed.FileStore(str(meeting), number)  # type: ignore[attr-defined]
    backend = "nccl" if kind.type == "cuda" else "gloo"
    distributed.init_process_group(
        backend, store=store, rank=rank, world_size=number, timeout=TIMEOUT
    )
    try:
        yield
    finally:
        distributed.destroy_process_group()


def shared_epochs(
    trainer: NetworkTrainer, loop: TrainingLoop, member: Member, seed: int
) -> Iterator[float]:
    """Train as `NetworkTrainer.go_on`; with others, random numbers follow from seed and epoch.

    So the checkpoint of one process is enough for all of them.
    """
    if member.number == 1:
        yield from trainer.go_on(loop)
        return

    def reseed() -> None:
        common = seed_from(f"{seed}/epoch {loop.epoch}")
        loop.generators[0].manual_seed(common >> 1)
        set_seed(seed_from(f"{common}/{member.rank}"), trainer.device)

    with warnings.catch_warnings():  # of kernels of 1x1, which have the strides of both layouts
        warnings.filterwarnings("ignore", "Grad strides do not match bucket view strides")
        reseed()
        for value in trainer.go_on(loop):
            yield value
            reseed()
