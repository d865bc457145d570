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
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.architecture import Architecture
from nas_gym.evaluation.augmentation import DeviceDataset
from nas_gym.evaluation.datasets import Dataset, Indices
from nas_gym.evaluation.devices import (
    autocast_dtype,
    keep_freed_memory,
    threads_for,
)
from nas_gym.evaluation.evaluator import Evaluation, Status
from nas_gym.evaluation.settings import TrainingSettings
from nas_gym.networks import (
    ChildNetwork,
    ImageShape,
    build_network,
    count_parameters,
    measure_latency,
    multiply_adds,
)
from nas_gym.networks.devices import hardware_name, resolve_device

RECIPE = 1
"""Raised whenever the code trains differently under the same settings; part of the fingerprint."""
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
            tested afterwards, instead of validating on the latter.
        count_multiply_adds: Whether evaluations say how many; on 8x8 images, counting takes as long
            as two or three steps of training.

    Raises:
        InvalidSettings: the device, or the one for latency, does not exist here.
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
        self._prepare_process()
        _, height, width, channels = dataset.images.shape
        self.image_shape = ImageShape(channels, height, width, len(dataset.classes))
        self.autocast_dtype = autocast_dtype(settings.precision, self.device, height)
        self._augmentation = settings.augmentation(dataset, final)
        self._known = dataset.train
        if final:
            self._known = np.concatenate([dataset.train, dataset.validation])
        self._train = self._on_device(self._known, self._augmentation.padding)
        self._validation = None if final else self._on_device(dataset.validation)
        self.batch_size = min(settings.batch_size, len(self._train))
        self.steps_per_epoch = len(self._train) // self.batch_size
        self._evaluation_batch = max(self.batch_size, EVALUATION_PIXELS // (height * width))

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

        The model of the device counts only where latency is measured, on which it depends.
        """
        settings = asdict(self.settings)
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
        """
        started = time.perf_counter()
        seed = self.seed_of(architecture, repeat)
        parameters, operations, latency = None, None, None
        curve: list[float] = []
        status: Status = "unbuildable"
        message = ""
        network: ChildNetwork | None = None
        with self.isolated(seed):
            try:
                network = self.build(architecture.canonical())
                parameters = count_parameters(network)
                if self.count_multiply_adds:
                    operations = multiply_adds(network, self.image_shape)
                status = "crashed"
                if self.settings.latency is not None:
                    measured = measure_latency(network, self.image_shape, self.settings.latency)
                    latency = measured.seconds
                for accuracy in self.fit(network):
                    curve.append(accuracy)  # noqa: PERF402 (a failure keeps what came before)
                status = "ok"
            except Diverged as error:
                status, message = "diverged", str(error)
            except Exception as error:
                if is_out_of_memory(error):
                    status = "out_of_memory"
                message = f"{type(error).__name__}: {error}"
        evaluation = Evaluation(
            status=status,
            accuracy=curve[-1] if status == "ok" else 0.0,
            curve=tuple(curve),
            seconds=time.perf_counter() - started,
            seed=seed,
            fingerprint=self.fingerprint,
            parameters=parameters,
            multiply_adds=operations,
            latency=latency,
            message=message,
        )
        return evaluation, network if status == "ok" else None

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
            Diverged: the loss of an epoch is not finite.
        """
        settings = self.settings
        optimizer = torch.optim.SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.nesterov and settings.momentum > 0,
            weight_decay=settings.weight_decay,
            fused=True,
        )
        generator = torch.Generator(self.device).manual_seed(torch.initial_seed())
        steps = settings.epochs * self.steps_per_epoch
        step = 0
        for epoch in range(1, settings.epochs + 1):
            network.train()
            order = torch.randperm(len(self._train), generator=generator, device=self.device)
            batches = order[: self.steps_per_epoch * self.batch_size].split(self.batch_size)
            total = torch.zeros((), device=self.device)
            for chosen in batches:
                progress = step / steps
                network.set_progress(progress)
                rate = 0.5 * settings.learning_rate * (1 + math.cos(math.pi * progress))
                optimizer.param_groups[0]["lr"] = rate
                images, labels = self._train.augmented_batch(chosen, self._augmentation, generator)
                with self._autocast():
                    loss = self._loss(network, images, labels)
                loss.backward()
                if settings.gradient_clip:
                    nn.utils.clip_grad_norm_(network.parameters(), settings.gradient_clip)
                optimizer.step()
                optimizer.zero_grad()
                total += loss.detach()
                step += 1
            if not math.isfinite(total.item()):
                raise Diverged(f"the loss is {total.item()} in epoch {epoch}")
            yield (
                math.nan if self._validation is None else self._accuracy(network, self._validation)
            )

    def _loss(self, network: ChildNetwork, images: Tensor, labels: Tensor) -> Tensor:
        outputs = network(images)
        smoothing = self.settings.label_smoothing
        if isinstance(outputs, Tensor):
            return F.cross_entropy(outputs, labels, label_smoothing=smoothing)
        main, auxiliary = (F.cross_entropy(o, labels, label_smoothing=smoothing) for o in outputs)
        return main + network.auxiliary_weight * auxiliary

    def _accuracy(self, network: ChildNetwork, data: DeviceDataset) -> float:
        """The share of ``data`` that the network classifies rightly, in [0, 1]."""
        network.eval()
        right = torch.zeros((), dtype=torch.int64, device=self.device)
        with torch.inference_mode(), self._autocast():
            for chosen in torch.arange(len(data), device=self.device).split(self._evaluation_batch):
                images, labels = data.batch(chosen)
                right += (network(images).argmax(dim=1) == labels).sum()
        return right.item() / len(data)

    def test_accuracy(self, network: ChildNetwork) -> float:
        """The accuracy on the test split, in [0, 1]: for a final network, once. No agent has it."""
        return self._accuracy(network, self._test)

    @cached_property
    def _test(self) -> DeviceDataset:
        return self._on_device(self.dataset.test)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)


class Diverged(ArithmeticError):
    """The loss of a child is not finite any more."""


def is_out_of_memory(error: Exception) -> bool:
    """Whether an exception says that the machine or the device has no memory left."""
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in text or "can't allocate memory" in text
    )


@dataclass(frozen=True)
class FinalResult:
    """A network trained to the end, and how it did on the test split."""

    network: ChildNetwork
    test_accuracy: float
    """On the test split, in [0, 1]."""
    parameters: int
    epochs: int
    seconds: float


def train_final(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainingSettings,
    device: str = "auto",
    on_epoch: Callable[[int], None] = lambda epoch: None,
) -> FinalResult:
    """Trains an architecture on training and validation images together, and tests it once.

    Args:
        architecture: What to train, as it was chosen.
        dataset: The images.
        settings: How to build and train it.
        device: "auto" takes CUDA, then MPS, then the CPU.
        on_epoch: Called with the number of epochs done after each.

    Raises:
        Diverged: the loss is not finite any more.
    """
    started = time.perf_counter()
    trainer = Trainer(dataset, settings, device, final=True)
    with trainer.isolated(child_seed(settings.seed, architecture)):
        network = trainer.build(architecture)
        for epoch, _ in enumerate(trainer.fit(network), start=1):
            on_epoch(epoch)
        accuracy = trainer.test_accuracy(network)
    seconds = time.perf_counter() - started
    return FinalResult(network, accuracy, count_parameters(network), settings.epochs, seconds)


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
