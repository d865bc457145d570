"""`NetworkTrainer`: builds a network on the device, trains it on its task, and measures it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.family import resolve
from nas_gym.networks import ChildNetwork, build_network
from nas_gym.networks.devices import device_here, keep_freed_memory, numerics, resolve_device
from nas_gym.training.failures import Diverged
from nas_gym.training.fingerprint import digest
from nas_gym.training.loop import TrainingLoop
from nas_gym.training.seeds import isolated
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data, Task


def check_device(settings: LearningSettings, device: torch.device) -> None:
    """Raise `InvalidSettings` for the first setting that a device cannot do."""
    is_cuda, is_mps = device.type == "cuda", device.type == "mps"
    where = f"but children train on {device}"
    says = f"cuda_graphs: expected a CUDA device, {where}; leave it out"
    require(settings.cuda_graphs is not True or is_cuda, says)
    says = f"deterministic: expected a CUDA device or a CPU, {where}; leave it out"
    require(not (settings.deterministic and is_mps), says)
    says = f"precision: 'float16' has no loss scaling on {device}; use 'float32' or 'bfloat16'"
    require(not (settings.precision == "float16" and is_mps), says)


class DeviceTraining:
    """A data set on a device, as its task has it.

    "auto" takes CUDA, then MPS, then the CPU; another process takes its own device of that name:
    see `device_here`. With ``final``, training is on the training and the validation split
    together, for a network that is tested afterwards.
    """

    def __init__(
        self, dataset: Data, settings: LearningSettings, device: str = "auto", final: bool = False
    ) -> None:
        self.dataset: Any = dataset
        self.settings: Any = settings
        self.device_name, self.final = device, final
        self.device = resolve_device(device)
        check_device(settings, self.device)
        keep_freed_memory(self.device)
        self.task: Task = resolve(dataset.task)(dataset, settings, self.device, final)

    def __getstate__(self) -> dict[str, Any]:
        on_cpu = self.device.type == "cpu"  # another process has a device of its own
        return {name: value for name, value in vars(self).items() if on_cpu or name != "task"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        device = device_here(self.device_name)
        if device.type != self.device.type or "task" not in state:
            task: type[Task] = resolve(self.dataset.task)
            self.task = task(self.dataset, self.settings, device, self.final)
        self.device = device
        keep_freed_memory(self.device)  # for the whole process, and this is another one

    @contextmanager
    def isolated(self, seed: int) -> Iterator[None]:
        """Train within it: random numbers follow from ``seed``, and a GPU computes as it is set."""
        tf32, deterministic = self.settings.precision != "float32", self.settings.deterministic
        with (
            isolated(seed, self.device, self.task.one_thread),
            numerics(self.device, tf32, deterministic, benchmark=self.final),
        ):
            yield

    def digest(self, **facts: object) -> str:
        """Return a digest of facts, and of the data, the task and the device."""
        own = self.task.digest_facts()
        return digest(dataset=self.dataset.digest, device=self.device.type, **own, **facts)


def made_again(kind: Any, search_space: Any, dataset: Any, settings: Any, device: str) -> Any:
    """Make the training of weights that children share anew, perhaps in another process.

    Its parameters are parts of one tensor, which a copy would not keep. The process takes its own
    device of that name, as with `DeviceTraining`.
    """
    made = kind(search_space, dataset, settings, str(device_here(device)))
    made.device_name = device
    return made


class NetworkTrainer(DeviceTraining):
    """Trains networks on one data set; `test_accuracy` alone touches its test split."""

    def build(self, architecture: Architecture) -> ChildNetwork:
        """Build a network on the trainer's device, with weights from torch's global generator."""
        network = build_network(architecture, self.task.input_shape, self.settings.network)
        return self.task.prepared(network)

    def fit(self, network: ChildNetwork) -> Iterator[float]:
        """Train a network; yield the metric's value after each epoch (NaN if ``final``).

        `Diverged` if the loss of an epoch is not finite, or the outputs after it are not.
        """
        yield from self.go_on(self.task.loop(network))

    def go_on(self, loop: TrainingLoop, epochs: int | None = None) -> Iterator[float]:
        """Train a network from where its loop is to the end, as `fit` does, or to an epoch."""
        validate = self.task.validation_of(loop.network)
        while loop.epoch < (epochs or loop.ends or self.settings.epochs):
            loss = loop.train_epoch().item()
            if not math.isfinite(loss):
                raise Diverged(f"the loss is {loss} in epoch {loop.epoch}")
            with loop.evaluating():
                value = validate()
            yield value
        if loop.epoch >= (loop.ends or self.settings.epochs):
            loop.finish()

    def test_accuracy(self, network: ChildNetwork) -> float:
        """Return the score on the test split, in [0, 1], for a final network, once.

        `Diverged` if the network's outputs are not finite.
        """
        with self.isolated(self.settings.seed):
            return self.task.metric.score(self.task.value(network, "test"))
