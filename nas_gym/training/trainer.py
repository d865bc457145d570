"""Trains child networks: from (architecture, data set, settings) to an `Evaluation`.

The recipe is NASNet's for children (Zoph et al. 2018, appendix A): SGD with momentum, weight decay,
a cosine learning rate of one period, random crops and mirror images. Data, augmentation, loss and
accuracy stay on the device; Python waits for it at the end of an epoch only.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nas_gym.architecture import Architecture
from nas_gym.data.batches import DeviceDataset
from nas_gym.data.dataset import Dataset, Indices, part_of
from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.networks import (
    ChildNetwork,
    ImageShape,
    build_network,
    count_parameters,
    measure_latency,
    multiply_adds,
)
from nas_gym.networks.devices import hardware_name, resolve_device
from nas_gym.training.devices import autocast_dtype, keep_freed_memory, threads_for
from nas_gym.training.early_stopping import FinishedCurve, StoppingRule
from nas_gym.training.failures import Diverged, is_out_of_memory
from nas_gym.training.inheritance import WeightFolder, inherit
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import TrainingSteps

RECIPE = 3
"""Raised whenever the code trains or validates differently under the same settings; part of the
fingerprint."""


EVALUATION_PIXELS = 2**20
"""Validation takes as many images at once as have so many pixels: 1,024 of 32x32."""


def child_seed(seed: int, architecture: Architecture, repeat: int = 0) -> int:
    """A child's own seed, in [0, 2**63): it follows from the run's and the architecture alone.

    Args:
        seed: The run's.
        architecture: The child.
        repeat: Which training of the same child, where it is trained several times on purpose.
    """
    text = f"{seed}/{architecture.key}" + (f"/{repeat}" if repeat else "")
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


class Trainer:
    """Trains children on one data set, on one device, under one `TrainingSettings`.

    Args:
        dataset: The images. The test split is touched by `test_accuracy` alone.
        settings: How a child is built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.
        final: Train on the training and the validation split together, for a network that is
            tested afterwards, instead of validating on the latter. Nothing is made cheaper then:
            all of the data, to the end, from weights of its own.
        count_multiply_adds: Whether evaluations say how many; on 8x8 images, counting takes as long
            as two or three steps of training.

    Raises:
        InvalidSettings: the device, or the one for latency, does not exist here; ``cuda_graphs``
            is asked for on another device than CUDA; a file or folder of the settings cannot be
            used.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainingSettings,
        device: str = "auto",
        final: bool = False,
        count_multiply_adds: bool = True,
    ) -> None:
        self.dataset, self.settings, self.final = dataset, settings, final
        self.count_multiply_adds = count_multiply_adds
        self.device = self._latency_device = resolve_device(device)
        if settings.latency is not None and settings.latency.device is not None:
            self._latency_device = resolve_device(settings.latency.device)
        require(
            not settings.cuda_graphs or self.device.type == "cuda",
            f"cuda_graphs: expected a CUDA device, but children train on {self.device}",
        )
        self._prepare_process()
        _, height, width, channels = dataset.images.shape
        self.image_shape = ImageShape(channels, height, width, len(dataset.classes))
        self.autocast_dtype = autocast_dtype(settings.precision, self.device, height)
        self._augmentation = settings.augmentation(dataset, final)
        self._known = part_of(dataset.train, dataset.labels, settings.data_fraction)
        if final:
            self._known = np.concatenate([dataset.train, dataset.validation])
        self._train = self._on_device(self._known, self._augmentation.padding)
        self._validation = None if final else self._on_device(dataset.validation)
        self.batch_size = min(settings.batch_size, len(self._train))
        self.steps_per_epoch = len(self._train) // self.batch_size
        self._evaluation_batch = max(self.batch_size, EVALUATION_PIXELS // (height * width))
        self._rule: StoppingRule | None = None
        self._weights: WeightFolder | None = None
        if settings.early_stopping is not None and not final:
            self._rule = StoppingRule(settings.early_stopping, settings.epochs, self.fingerprint)
        if settings.inherit_weights is not None and not final:
            self._weights = WeightFolder(Path(settings.inherit_weights) / dataset.digest)

    def _prepare_process(self) -> None:
        """What holds for the whole process that trains, and is to be done again in another."""
        keep_freed_memory(self.device)

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._prepare_process()

    def _on_device(self, indices: Indices, padding: int = 0) -> DeviceDataset:
        return DeviceDataset(self.dataset, indices, self._known, self.device, padding)

    @property
    def costs(self) -> tuple[str, ...]:
        """Which costs its evaluations have; see `nas_gym.rewards.check_costs`."""
        measured = () if self.settings.latency is None else ("latency",)
        return ("parameters", "multiply_adds", *measured)

    @property
    def fingerprint(self) -> str:
        """A digest of everything but the architecture that could change an evaluation.

        The model of the device counts only where latency is measured, on which it depends. Where
        curves and weights of earlier children are kept does not count, but that they are used does.
        """
        settings = asdict(self.settings)
        settings["inherit_weights"] = self.settings.inherit_weights is not None
        if self.settings.early_stopping is not None:
            del settings["early_stopping"]["curves"]
        if self.settings.latency is None:
            del settings["latency"]
        else:
            settings["latency"]["hardware"] = hardware_name(self._latency_device)
        facts = {
            "recipe": RECIPE,
            "dataset": self.dataset.digest,
            "settings": settings,
            "network": type(self.settings.network).__name__,
            "augmentation": asdict(self._augmentation),
            "autocast": str(self.autocast_dtype),
            "device": self.device.type,
            "final": self.final,
        }
        text = json.dumps(facts, sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Trains each architecture and validates it; see `nas_gym.evaluation.Evaluator`."""
        return [self.evaluate_one(architecture) for architecture in architectures]

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`: the canonical form is what is built and trained."""
        return architecture.key

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """The seed of a child's training; see `child_seed`."""
        return child_seed(self.settings.seed, architecture, repeat)

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Trains one architecture and validates it. Whatever goes wrong becomes a status.

        Args:
            architecture: The child.
            repeat: Which of its trainings: each has a seed of its own.
        """
        return self.train_one(architecture, repeat)[0]

    def train_one(
        self, architecture: Architecture, repeat: int = 0
    ) -> tuple[Evaluation, ChildNetwork | None]:
        """As `evaluate_one`; gives the trained network too, unless the child failed.

        Its canonical form is what is built, so that architectures which are the same network get
        the same evaluation.

        Raises:
            InvalidSettings: the file of curves or the folder of weights can no longer be used.
        """
        started = time.perf_counter()
        seed = self.seed_of(architecture, repeat)
        calibrates = self._rule is None or self._rule.begin(seed)
        parent = None if self._weights is None else self._weights.nearest(architecture)
        child = _Attempt()
        with self.isolated(seed):
            try:
                for _ in self._training(child, architecture.canonical(), parent):
                    if self._rule and not calibrates and self._rule.stops(child.curve):
                        break
                child.status = "ok"
            except Diverged as error:
                child.status, child.message = "diverged", str(error)
            except Exception as error:
                if is_out_of_memory(error):
                    child.status = "out_of_memory"
                child.message = f"{type(error).__name__}: {error}"
        succeeded = child.status == "ok"
        network = child.network if succeeded else None
        if network is not None and len(child.curve) == self.settings.epochs:
            finished = FinishedCurve(seed, tuple(child.curve), calibrates)
            self._share(architecture, network, finished)
        evaluation = Evaluation(
            status=child.status,
            accuracy=child.curve[-1] if succeeded else 0.0,
            curve=tuple(child.curve),
            seconds=time.perf_counter() - started,
            seed=seed,
            fingerprint=self.fingerprint,
            parameters=child.parameters,
            multiply_adds=child.multiply_adds,
            latency=child.latency,
            message=child.message,
        )
        return evaluation, network

    def _training(
        self, child: _Attempt, architecture: Architecture, parent: str | None
    ) -> Iterator[None]:
        """Builds, measures and trains a child; what was done so far stands in ``child``. It pauses
        after each epoch.
        """
        network = child.network = self.build(architecture)
        child.parameters = count_parameters(network)
        if self.count_multiply_adds:
            child.multiply_adds = multiply_adds(network, self.image_shape)
        child.status = "crashed"
        if self.settings.latency is not None:
            child.latency = measure_latency(
                network, self.image_shape, self.settings.latency
            ).seconds
        if self._weights is not None and parent is not None:
            inherited = inherit(network, self._weights.weights(parent))
            child.message = f"began with {inherited:,} weights of {parent}"
        for accuracy in self.fit(network):
            child.curve.append(accuracy)
            yield

    def _share(
        self, architecture: Architecture, network: ChildNetwork, curve: FinishedCurve
    ) -> None:
        """Keeps what later children are compared with, and begin from."""
        if self._rule is not None:
            self._rule.finish(curve)
        if self._weights is not None:
            self._weights.save(architecture, network)

    @property
    def batch_norm_momentum(self) -> float:
        """The weight of a batch in batch normalization's running statistics.

        A short training moves the weights faster than the usual 0.1 lets the statistics follow.
        """
        if self.settings.batch_norm_momentum is not None:
            return self.settings.batch_norm_momentum
        quarter = self.settings.epochs * self.steps_per_epoch / 4
        return float(max(0.1, 1 - 0.01 ** (1 / max(1.0, quarter))))

    @contextmanager
    def isolated(self, seed: int) -> Iterator[None]:
        """Within it, torch's global generators start from ``seed``, and threads are as they
        should be for these images; after it, both are as they were before.
        """
        cuda = [self.device.index or 0] if self.device.type == "cuda" else []
        with torch.random.fork_rng(cuda), threads_for(self.device, self.image_shape.height):
            torch.manual_seed(seed)
            yield

    def build(self, architecture: Architecture) -> ChildNetwork:
        """The child on this trainer's device, its weights from torch's global generator."""
        network = build_network(architecture, self.image_shape, self.settings.network)
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = self.batch_norm_momentum
        return network.to(self.device).to(memory_format=torch.channels_last)

    def fit(self, network: ChildNetwork) -> Iterator[float]:
        """Trains a network; yields its validation accuracy after each epoch (NaN if ``final``).

        Raises:
            Diverged: the loss of an epoch is not finite, or what the network answers after it.
        """
        steps = self.settings.epochs * self.steps_per_epoch
        generator = torch.Generator(self.device).manual_seed(torch.initial_seed())
        train = TrainingSteps(network, self.settings, self.device, self.autocast)
        for epoch in range(self.settings.epochs):
            network.train()
            order = torch.randperm(len(self._train), generator=generator, device=self.device)
            batches = order[: self.steps_per_epoch * self.batch_size].split(self.batch_size)
            total = torch.zeros((), device=self.device)
            for number, chosen in enumerate(batches, start=epoch * self.steps_per_epoch):
                images, labels = self._train.augmented_batch(chosen, self._augmentation, generator)
                total += train.step(images, labels, number / steps)
            if not math.isfinite(total.item()):
                raise Diverged(f"the loss is {total.item()} in epoch {epoch + 1}")
            yield (
                math.nan if self._validation is None else self._accuracy(network, self._validation)
            )

    def _accuracy(self, network: ChildNetwork, data: DeviceDataset) -> float:
        """The share of ``data`` that the network classifies rightly, in [0, 1].

        Raises:
            Diverged: it does not answer with numbers.
        """
        network.eval()
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        finite = torch.ones((), dtype=torch.bool, device=self.device)
        with torch.inference_mode(), self.autocast():
            for chosen in torch.arange(len(data), device=self.device).split(self._evaluation_batch):
                images, labels = data.batch(chosen)
                logits = network(images)
                right += (logits.argmax(dim=1) == labels).sum()
                finite &= logits.isfinite().all()
        if not finite:
            raise Diverged("the logits are not finite")
        return right.item() / len(data)

    def test_accuracy(self, network: ChildNetwork) -> float:
        """The accuracy on the test split, in [0, 1]: for a final network, once. No agent has it.

        Raises:
            Diverged: the network does not answer with numbers.
        """
        return self._accuracy(network, self._test)

    @cached_property
    def _test(self) -> DeviceDataset:
        return self._on_device(self.dataset.test)

    def autocast(self) -> AbstractContextManager[object]:
        """Within it, a network computes in the trainer's precision."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)


@dataclass
class _Attempt:
    """A child in training, as far as it has come."""

    status: Status = "unbuildable"
    message: str = ""
    network: ChildNetwork | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    curve: list[float] = field(default_factory=list)


def train_child(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainingSettings | None = None,
    device: str = "auto",
) -> Evaluation:
    """Trains one child and validates it: the environment's reason to exist.

    Whoever trains many children on one data set keeps a `Trainer` instead.
    """
    return Trainer(dataset, settings or TrainingSettings(), device).evaluate_one(architecture)
