"""`Compressor`: from numbers of channels to a compressed network and its evaluation."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Annotated, Any, Literal, NamedTuple

import torch
from annotated_types import Interval
from torch import Tensor
from torch.optim.swa_utils import update_bn

from nas_gym.data import Dataset
from nas_gym.evaluation import Evaluation
from nas_gym.families.compression.architecture import CompressedArchitecture
from nas_gym.families.compression.network import CompressedNetwork, sizes_of
from nas_gym.families.compression.plan import Plan
from nas_gym.families.compression.subject import Subject, shape_of
from nas_gym.models import Model, ModelFacts, Normalization
from nas_gym.networks import count_parameters
from nas_gym.settings import Count, Keep, NonNegative, Seed, Size, settings
from nas_gym.training.failures import Attempt
from nas_gym.training.fingerprint import digest
from nas_gym.training.seeds import child_seed, isolated
from nas_gym.training.settings import BatchSize, TrainingSettings
from nas_gym.training.tasks.images import ImageClassification


@settings
class CompressionSettings:
    """How channels are cut, and what follows before a network is evaluated."""

    keep: Keep = 0.5
    """The share of the original's multiply-adds that may be left; 1 for no budget."""
    least: Annotated[float, Interval(ge=0.01, le=1)] = 0.2
    """The smallest share of a layer's channels that is kept."""
    multiple_of: Size = 1
    """Channels are kept in multiples of this number, such as 8 for a GPU; or all are."""
    importance: Literal["l1", "l2"] = "l2"
    """The norm of a channel's weights by which the channels to keep are chosen."""
    recalibration_images: Count = 256
    """Number of training images from which batch normalization's statistics are computed again."""
    finetune_epochs: Count = 0
    """Epochs of training after the cut, before the validation."""
    learning_rate: NonNegative = 0.01
    """Learning rate of this training, at its highest."""
    batch_size: BatchSize = 128
    """Images per step of this training."""
    training_seed: Seed = 0
    """The seed of this training, and of the default model's."""


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

    Args:
        subject: The trained network.
        dataset: Its data set; results are validated on the validation split.
        settings: How channels are cut.
        device: The device of all networks.

    Raises:
        InvalidSettings: as `Plan`.
    """

    costs = ("parameters", "multiply_adds")
    """The costs that its evaluations have; see `nas_gym.rewards.check_costs`."""

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
            weights.update(tensor.cpu().contiguous().numpy().tobytes())
        facts = {"settings": asdict(settings), "weights": weights.hexdigest()}
        self.fingerprint = digest(dataset=dataset.digest, device=device.type, **facts)

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
        self.task.prepared(network)
        if self.settings.recalibration_images:
            update_bn(self._known_images(), network)
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
            data={"name": dataset.name, "digest": dataset.digest},
            training=asdict(self.settings),
            metrics={"validation": evaluation.outcome()},
            versions={"nas_gym": version("nas-gym"), "torch": str(torch.__version__)},
        )
