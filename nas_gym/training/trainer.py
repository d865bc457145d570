"""`Trainer`: trains child networks, from (architecture, data set, settings) to an `Evaluation`."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from nas_gym.architecture import Architecture
from nas_gym.data.dataset import Dataset
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.networks import ChildNetwork, count_parameters, measure_latency, multiply_adds
from nas_gym.networks.devices import hardware_name, resolve_device
from nas_gym.training.early_stopping import FinishedCurve, StoppingRule
from nas_gym.training.failures import Diverged, is_out_of_memory
from nas_gym.training.fingerprint import builder_digests, digest
from nas_gym.training.inheritance import WeightFolder, inherit
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import TrainingSettings


class Trainer(NetworkTrainer):
    """Evaluates children by training them on one data set, on one device.

    Args:
        dataset: The images.
        settings: How a child is built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.
        count_multiply_adds: Add multiply-adds to evaluations; on 8x8 images, counting takes as long
            as two or three steps of training.
        architecture_type: The children's type, whose network's code counts in the fingerprint;
            default: the networks of all registered families count.

    Raises:
        InvalidSettings: the device, or the one for latency, does not exist here; ``cuda_graphs``
            is set on another device than CUDA; a file or folder of the settings cannot be used.
    """

    def __init__(
        self,
        dataset: Dataset,
        settings: TrainingSettings,
        device: str = "auto",
        count_multiply_adds: bool = True,
        architecture_type: type[Architecture] | None = None,
    ) -> None:
        super().__init__(dataset, settings, device)
        self.count_multiply_adds = count_multiply_adds
        self.architecture_type = architecture_type
        self._builders: dict[str, str] | None = None  # in another process: those of the first one
        self._latency_device = self.device
        if settings.latency is not None and settings.latency.device is not None:
            self._latency_device = resolve_device(settings.latency.device)
        self._rule: StoppingRule | None = None
        self._weights: WeightFolder | None = None
        if settings.early_stopping is not None:
            self._rule = StoppingRule(settings.early_stopping, settings.epochs, self.fingerprint)
        if settings.inherit_weights is not None:
            self._weights = WeightFolder(Path(settings.inherit_weights) / dataset.digest)

    def __getstate__(self) -> dict[str, Any]:
        """Return the state for another process, where the builders' source may not be at hand."""
        return {**self.__dict__, "_builders": self._builder_digests()}

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that its evaluations have; see `nas_gym.rewards.check_costs`."""
        measured = () if self.settings.latency is None else ("latency",)
        return ("parameters", "multiply_adds", *measured)

    @property
    def fingerprint(self) -> str:
        """A digest of everything but the architecture that could change an evaluation.

        The code that builds the networks counts; see `nas_gym.training.fingerprint`. The model of
        the device counts only where latency is measured, which depends on it. That weights and
        curves of earlier children are used counts, but not where they are kept.
        """
        settings = asdict(self.settings)
        settings["inherit_weights"] = self.settings.inherit_weights is not None
        if self.settings.early_stopping is not None:
            del settings["early_stopping"]["curves"]
        if self.settings.latency is None:
            del settings["latency"]
        else:
            settings["latency"]["hardware"] = hardware_name(self._latency_device)
        return digest(
            builders=self._builder_digests(),
            dataset=self.dataset.digest,
            settings=settings,
            network=type(self.settings.network).__name__,
            augmentation=asdict(self._augmentation),
            autocast=str(self.autocast_dtype),
            device=self.device.type,
        )

    def _builder_digests(self) -> dict[str, str]:
        if self._builders is not None:
            return self._builders
        return builder_digests("network", self.architecture_type)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Train and validate each architecture; see `nas_gym.evaluation.Evaluator`."""
        return [self.evaluate_one(architecture) for architecture in architectures]

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`: the canonical form is what is built and trained."""
        return architecture.key

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the seed of a child's training; see `child_seed`."""
        return child_seed(self.settings.seed, architecture, repeat)

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Train and validate one architecture; any failure becomes a status.

        Args:
            architecture: The child.
            repeat: Number of its training: each has a seed of its own.
        """
        return self.train_one(architecture, repeat)[0]

    def train_one(
        self, architecture: Architecture, repeat: int = 0
    ) -> tuple[Evaluation, ChildNetwork | None]:
        """Return the evaluation, and the trained network unless the child failed.

        The network is built from the canonical form, so that architectures which are the same
        network get the same evaluation.

        Raises:
            InvalidSettings: the file of curves or the folder of weights can no longer be used, or a
                file in it is damaged.
        """
        started = time.perf_counter()
        seed = self.seed_of(architecture, repeat)
        calibrates = self._rule is None or self._rule.begin(seed)
        weights = self._weights_for(architecture)
        child = _Attempt()
        with self.isolated(seed):
            try:
                for _ in self._training(child, architecture.canonical(), *weights):
                    if self._rule and not calibrates and self._rule.stops(child.curve):
                        break
                child.status = "ok"
            except Diverged as error:
                child.status, child.message = "diverged", str(error)
            except Exception as error:
                if is_out_of_memory(error):
                    child.status = "out_of_memory"
                child.message = f"{type(error).__name__}: {error}"

        network = child.network if child.status == "ok" else None
        if network is not None and len(child.curve) == self.settings.epochs:
            finished = FinishedCurve(seed, tuple(child.curve), calibrates)
            self._share(architecture, network, finished)
        evaluation = child.evaluation(time.perf_counter() - started, seed, self.fingerprint)
        return evaluation, network

    def _training(
        self, child: _Attempt, architecture: Architecture, parent: str, weights: dict[str, Any]
    ) -> Iterator[None]:
        """Build, measure and train a child, recorded in ``child``; pause after each epoch."""
        network = child.network = self.build(architecture)
        child.parameters = count_parameters(network)
        if self.count_multiply_adds:
            child.multiply_adds = multiply_adds(network, self.image_shape)
        child.status = "crashed"
        if self.settings.latency is not None:
            latency = measure_latency(network, self.image_shape, self.settings.latency)
            child.latency = latency.seconds
        if parent:
            child.message = f"began with {inherit(network, weights):,} weights of {parent}"
        for accuracy in self.fit(network):
            child.curve.append(accuracy)
            yield

    def _weights_for(self, architecture: Architecture) -> tuple[str, dict[str, Any]]:
        """Return the key of the child to inherit from, "" for none, and its weights."""
        parent = None if self._weights is None else self._weights.nearest(architecture)
        if self._weights is None or parent is None:
            return "", {}
        return parent, self._weights.weights(parent)

    def _share(
        self, architecture: Architecture, network: ChildNetwork, curve: FinishedCurve
    ) -> None:
        """Keep the curve and the weights for later children."""
        if self._rule is not None:
            self._rule.finish(curve)
        if self._weights is not None:
            self._weights.save(architecture, network)


@dataclass
class _Attempt:
    """A child in training, as far as it got."""

    status: Status = "unbuildable"
    message: str = ""
    network: ChildNetwork | None = None
    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    curve: list[float] = field(default_factory=list)

    def evaluation(self, seconds: float, seed: int, fingerprint: str) -> Evaluation:
        """Return its record."""
        return Evaluation(
            status=self.status,
            accuracy=self.curve[-1] if self.status == "ok" else 0.0,
            curve=tuple(self.curve),
            seconds=seconds,
            seed=seed,
            fingerprint=fingerprint,
            parameters=self.parameters,
            multiply_adds=self.multiply_adds,
            latency=self.latency,
            message=self.message,
        )


def train_child(
    architecture: Architecture,
    dataset: Dataset,
    settings: TrainingSettings | None = None,
    device: str = "auto",
) -> Evaluation:
    """Train one child and validate it; to train many on one data set, keep a `Trainer`."""
    trainer = Trainer(
        dataset, settings or TrainingSettings(), device, architecture_type=type(architecture)
    )
    return trainer.evaluate_one(architecture)
