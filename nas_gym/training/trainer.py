"""`Trainer`: trains child networks, from (architecture, data set, settings) to an `Evaluation`."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import partial_fingerprint
from nas_gym.networks import (
    ChildNetwork,
    count_parameters,
    measure_latency,
    multiply_adds,
    peak_activation_bytes,
)
from nas_gym.networks.devices import resolve_device
from nas_gym.networks.fused import CannotFuse
from nas_gym.outside.quiet import quiet, training
from nas_gym.training.checkpoint import Checkpoint, restore_children
from nas_gym.training.early_stopping import FinishedCurve, StoppingRule
from nas_gym.training.failures import Attempt
from nas_gym.training.fingerprint import builder_digests, digest, settings_facts, task_digests
from nas_gym.training.inheritance import WeightFolder, inherit
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import LearningSettings, TrainingSettings
from nas_gym.training.tasks.task import Data
from nas_gym.training.together import Trained, TrainedSeparately, train_together

MARGIN, WORKSPACE = 1.25, 2**28
"""Memory that a child gets above its estimate: a factor, and bytes for libraries."""


class Trainer(NetworkTrainer):
    """Evaluates children by training them on one data set, on one device.

    Args:
        dataset: Images, texts, or data of one's own; see `nas_gym.training.tasks.task.Task`.
        settings: How a child is built and trained.
        device: "auto" takes CUDA, then MPS, then the CPU.
        count_multiply_adds: Add multiply-adds to evaluations, as a limit of theirs does anyway; on
            8x8 images, counting takes as long as a step of training.
        architecture_type: The children's type, whose network's code counts in the fingerprint;
            default: the networks of all registered families count.
        checkpoints: A folder in which a child that was trained for some of its epochs
            (`evaluate_one`) leaves its whole state, with which its next training goes on. It
            changes no result; default: every training begins at the first epoch.

    Raises:
        InvalidSettings: a device does not exist here or cannot do what is asked for, or a file or
            folder of the settings cannot be used.
    """

    def __init__(
        self,
        dataset: Data,
        settings: LearningSettings,
        device: str = "auto",
        count_multiply_adds: bool = True,
        architecture_type: type[Architecture] | None = None,
        checkpoints: Path | None = None,
    ) -> None:
        super().__init__(dataset, settings, device)
        self.checkpoints = checkpoints
        self.count_multiply_adds, self.architecture_type = count_multiply_adds, architecture_type
        self._code: dict[str, str] = {}  # in another process: the digests of the first one
        if settings.latency is not None and settings.latency.device is not None:
            resolve_device(settings.latency.device)
        self._rule: StoppingRule | None = None
        self._weights: WeightFolder | None = None
        if settings.early_stopping is not None:
            self._rule = StoppingRule(settings.early_stopping, settings.epochs, self.fingerprint)
        if settings.inherit_weights is not None:
            self._weights = WeightFolder(Path(settings.inherit_weights) / dataset.digest)

    def __getstate__(self) -> dict[str, Any]:
        # In another process, the source of networks and task may not be at hand.
        return {**super().__getstate__(), "_code": self._code_digests()}

    @property
    def fused(self) -> int:
        """Number of repeats of a child that `evaluate_repeats` takes at a time, at most."""
        return int(self.settings.fused)

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that its evaluations have; see `nas_gym.rewards.check_costs`."""
        limits = self.settings.at_most or CostLimits()
        counted = {
            "multiply_adds": self.count_multiply_adds,
            "latency": self.settings.latency is not None,
            "peak_activation_bytes": self.settings.count_activations,
        }
        limited = (cost for cost in counted if counted[cost] or getattr(limits, cost) is not None)
        return ("parameters", *limited)

    @property
    def fingerprint(self) -> str:
        """A digest of everything but the architecture that could change an evaluation.

        The code that builds the networks counts, and that of a task of one's own; see
        `nas_gym.training.fingerprint`. The model of the device counts only where latency is
        measured, which depends on it, and a latency table by its content. That weights and curves
        of earlier children are used counts, but not where they are kept.
        """
        network = type(self.settings.network).__name__
        facts = settings_facts(self.settings, self.device)
        return self.digest(builders=self._code_digests(), settings=facts, network=network)

    def _code_digests(self) -> dict[str, str]:
        if self._code:
            return self._code
        networks = builder_digests("network", self.architecture_type)
        return networks | task_digests(type(self.task))

    def memory_bytes(self, architecture: Architecture) -> float:
        """Return the bytes that a child gets on a GPU that it shares, with some to spare.

        0 for a child that cannot be built, which takes none.
        """
        try:
            return MARGIN * self.task.memory(architecture).total + WORKSPACE
        except Exception:
            return 0.0

    @property
    def fidelities(self) -> tuple[int, ...]:
        """All numbers of epochs; none where a child's result depends on other children."""
        alone = self.settings.early_stopping is None and self.settings.inherit_weights is None
        return tuple(range(1, self.settings.epochs + 1)) if alone else ()

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Train and validate each architecture; see `nas_gym.evaluation.Evaluator`."""
        return [self.evaluate_one(architecture) for architecture in architectures]

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`: the canonical form is what is built and trained."""
        return architecture.key

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the seed of a child's training; see `child_seed`."""
        return child_seed(self.settings.seed, architecture, repeat)

    def evaluate_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Evaluation:
        """Train and validate one architecture; any failure becomes a status.

        Args:
            architecture: The architecture.
            repeat: Number of its training; each has its own seed.
            epochs: Number of epochs, fewer than all, after which the training is broken off: its
                learning rates are those of the full training, which can go on with ``checkpoints``.
                The seconds of an evaluation are those since the part before.
        """
        return self.train_one(architecture, repeat, epochs)[0]

    def evaluate_repeats(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
    ) -> list[Evaluation]:
        """Train and validate one architecture under several seeds, as one network if that can be.

        ``fused`` of the settings is their number, at most. For ``epochs``, see `evaluate_one`.
        """
        return [evaluation for evaluation, _ in self.train_repeats(architecture, repeats, epochs)]

    def train_repeats(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
    ) -> list[Trained]:
        """Return the evaluation of each repeat, and its network unless it failed; see `train_one`.

        Those that cannot be trained together are trained one after the other, with a warning.
        """
        self._check_epochs(epochs)
        if len(repeats) > 1:
            try:
                return train_together(self, architecture, repeats, epochs)
            except CannotFuse as reason:
                says = f"fused: {len(repeats)} trainings are made one after the other: {reason}"
                warnings.warn(says, TrainedSeparately, stacklevel=2)
        return [self.train_one(architecture, repeat, epochs) for repeat in repeats]

    def train_one(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> tuple[Evaluation, ChildNetwork | None]:
        """Return the evaluation, and the trained network unless the child failed.

        The network is built from the canonical form, so that architectures which are the same
        network get the same evaluation. For the arguments, see `evaluate_one`.

        Raises:
            InvalidSettings: ``epochs`` is none of `fidelities` but the last; the file of curves or
                the folder of weights can no longer be used, or a file in it is damaged.
        """
        self._check_epochs(epochs)
        child, seed = Attempt(metric=self.task.metric), self.seed_of(architecture, repeat)
        calibrates = self._rule is None or self._rule.begin(seed)
        parent = self._weights.nearest(architecture) if self._weights else None
        weights = self._weights.weights(parent) if self._weights and parent else {}
        network, kept = None, self.kept(architecture, [repeat])
        with self.isolated(seed), child.recorded():
            network = self.built(child, architecture)
            if parent:
                child.message = f"began with {inherit(network, weights):,} weights of {parent}"
            loop = self.task.loop(network)
            for facts in restore_children(kept, loop, epochs or self.settings.epochs):
                child.go_on_from(facts)
            with self.undisturbing():
                for value in self.go_on(loop, epochs):
                    child.add(value)
                    if self._rule and not calibrates and self._rule.stops(child.curve):
                        break
            for file in kept:
                file.keep_child(loop.states()[0], epochs is not None, **child.progress)
            loop.finish()
            self.time(child, network)
        if child.status != "ok":
            network = None

        # What later children use: the curve and the weights of a child that ran to its end.
        if network is not None and len(child.curve) == self.settings.epochs:
            if self._rule is not None:
                self._rule.finish(FinishedCurve(seed, tuple(child.curve), calibrates))
            if self._weights is not None:
                self._weights.save(architecture, network)
        return child.evaluation(seed, partial_fingerprint(self.fingerprint, epochs)), network

    def _check_epochs(self, epochs: int | None) -> None:
        require(
            epochs is None or epochs in self.fidelities[:-1],
            f"epochs: expected one of {self.fidelities[:-1]}, or None for all, got {epochs!r}",
        )

    def kept(self, architecture: Architecture, repeats: Sequence[int]) -> list[Checkpoint]:
        """Return the state of each training in parts; none without ``checkpoints``."""
        if self.checkpoints is None:
            return []
        facts = {"fingerprint": self.fingerprint, "torch": str(torch.__version__)}
        return [
            Checkpoint(
                self.checkpoints / f"{architecture.key}-{repeat}.pt",
                digest(seed=self.seed_of(architecture, repeat), **facts),
            )
            for repeat in repeats
        ]

    def built(self, child: Attempt, architecture: Architecture) -> ChildNetwork:
        """Build and measure the network of a child, recorded in ``child``."""
        network = self.build(architecture.canonical())
        child.parameters = count_parameters(network)
        if "multiply_adds" in self.costs:
            child.multiply_adds = multiply_adds(network, self.task.input_shape)
        if "peak_activation_bytes" in self.costs:
            child.peak_activation_bytes = peak_activation_bytes(network, self.task.input_shape)
        child.status = "crashed"
        child.check(self.settings.at_most)  # before its latency, which takes longer
        if self.settings.at_most is not None and self.settings.at_most.latency is not None:
            self.time(child, network)  # which may spare its training
        return network

    def time(self, child: Attempt, network: ChildNetwork) -> None:
        """Measure a network's latency, if it is asked for, while nobody trains on this machine."""
        if self.settings.latency is None or child.latency is not None:
            return
        with quiet():
            latency = measure_latency(network, self.task.input_shape, self.settings.latency)
        child.latency = latency.seconds
        child.check(self.settings.at_most)

    def undisturbing(self) -> AbstractContextManager[None]:
        """Return a context in which a training pauses where another process measures latency."""
        return nullcontext() if self.settings.latency is None else training()


def train_child(
    architecture: Architecture,
    dataset: Data,
    settings: LearningSettings | None = None,
    device: str = "auto",
) -> Evaluation:
    """Train one child and validate it; to train many on one data set, keep a `Trainer`."""
    settings = settings or TrainingSettings()
    trainer = Trainer(dataset, settings, device, architecture_type=type(architecture))
    return trainer.evaluate_one(architecture)
