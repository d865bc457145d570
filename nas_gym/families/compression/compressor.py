"""`Compressor`: from numbers of channels to a compressed network and its evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_gym.data import Dataset
from nas_gym.data.batches import shape_of
from nas_gym.evaluation import Evaluation
from nas_gym.families.compression.architecture import CompressedArchitecture
from nas_gym.families.compression.network import CompressedNetwork, sizes_of
from nas_gym.families.compression.plan import Plan
from nas_gym.families.compression.settings import CompressionSettings
from nas_gym.families.compression.subject import Subject
from nas_gym.models import Model, ModelFacts, Normalization
from nas_gym.networks import count_parameters, measure_latency
from nas_gym.training.failures import Attempt
from nas_gym.training.fingerprint import digest
from nas_gym.training.seeds import child_seed, isolated
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import recalibrate
from nas_gym.training.tasks.images import ImageClassification


class _Task(ImageClassification):
    """Images that are normalized as the original network has it."""

    def __init__(self, statistics: Any, *args: Any) -> None:
        self.statistics = statistics
        super().__init__(*args)


class Compressed(NamedTuple):
    """A network after the cut, and what it is worth."""

    evaluation: Evaluation
    architecture: CompressedArchitecture
    network: CompressedNetwork


class Compressor:
    """Compresses one trained network, which stays as it is, and evaluates the results.

    They are validated on the validation split of the data set.
    """

    def __init__(
        self,
        subject: Subject,
        dataset: Dataset,
        settings: CompressionSettings,
        device: torch.device,
    ) -> None:
        self.subject, self.settings, self.device = subject, settings, device
        self.shape = shape_of(dataset)
        self.plan = Plan(subject.network, self.shape, 1 if settings.importance == "l1" else 2)
        training = TrainingSettings(
            epochs=max(1, settings.finetune_epochs),
            batch_size=settings.batch_size,
            learning_rate=settings.learning_rate,
            precision="float32",
        )
        self.task = _Task(subject.statistics, dataset, training, device)
        self._sizes = sizes_of(subject.network)
        weights = hashlib.blake2b(digest_size=16)
        for tensor in subject.network.state_dict().values():
            weights.update(tensor.cpu().flatten().view(torch.uint8).numpy().tobytes())
        facts: dict[str, Any] = {**asdict(settings), "weights": weights.hexdigest()}
        if settings.latency is not None:
            facts["latency"] = settings.latency.facts(device)
        self.fingerprint = digest(dataset=dataset.digest, device=device.type, settings=facts)

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that its evaluations have; see `nas_gym.rewards.check_costs`."""
        measured = ("latency",) if self.settings.latency is not None else ()
        return ("parameters", "multiply_adds", *measured)

    def compress(self, kept: Sequence[int]) -> Compressed:
        """Return the network that keeps these numbers of channels, (T,), and its evaluation.

        A network whose logits are not finite has the status "diverged". The same numbers give the
        same weights.
        """
        child = Attempt()
        network = CompressedNetwork.around(self.plan.cut(kept))
        architecture = self._architecture(network)
        seed = child_seed(self.settings.training_seed, architecture)
        with isolated(seed, self.device, self.task.one_thread), child.recorded():
            child.parameters = count_parameters(network)
            child.multiply_adds = self.plan.multiply_adds(kept)
            child.status = "crashed"
            self.task.prepared(network)
            if self.settings.latency is not None:
                measured = measure_latency(network, self.shape, self.settings.latency)
                child.latency = measured.seconds
            for value in self._trained(network):
                child.add(value)
        return Compressed(child.evaluation(seed, self.fingerprint), architecture, network)

    def model(self, kept: Sequence[int]) -> Model:
        """Return the network that keeps these numbers of channels, (T,), as a model."""
        evaluation, architecture, network = self.compress(kept)
        return Model(network, architecture, self._facts(evaluation)).eval()

    def test_accuracy(self, model: Model) -> float:
        """Return a network's accuracy on the test split, which no episode uses."""
        assert isinstance(model.network, CompressedNetwork)
        with isolated(0, self.device, self.task.one_thread):
            return self.task.value(model.network, "test")

    def _trained(self, network: CompressedNetwork) -> Iterator[float]:
        """Recalibrate and finetune a network; yield its validation accuracy at the end of each."""
        if self.settings.recalibration_images:
            recalibrate(network, self._known_images())
        if not self.settings.finetune_epochs:
            yield self.task.value(network.eval(), "validation")
            return
        loop = self.task.loop(network)
        for _ in range(self.settings.finetune_epochs):
            loop.train_epoch()
            yield self.task.value(network, "validation")

    def _known_images(self) -> Iterator[Tensor]:
        """Yield the same training images each time, (B, C, H, W)."""
        data, number = self.task.training, self.settings.recalibration_images
        order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
        for chosen in order[:number].chunk(-(-number // 256)):
            yield data.batch(chosen.to(self.device))[0]

    def _architecture(self, network: CompressedNetwork) -> CompressedArchitecture:
        now = sizes_of(network.network)
        changed = ((name, now[name]) for name in sorted(now) if now[name] != self._sizes[name])
        subject = self.subject
        return CompressedArchitecture(subject.original, subject.settings, tuple(changed))

    def _facts(self, evaluation: Evaluation) -> ModelFacts:
        dataset = self.task.dataset
        mean, std = (tuple((each / 255).tolist()) for each in self.subject.statistics)
        return ModelFacts(
            classes=dataset.classes,
            image=self.shape,
            normalization=Normalization(mean, std),
            data={
                "name": dataset.name,
                "digest": dataset.digest,
                "split_seed": dataset.split_seed,
            },
            training=asdict(self.settings),
            metrics={"validation": evaluation.outcome()},
            versions={"nas_gym": version("nas-gym"), "torch": str(torch.__version__)},
        )
