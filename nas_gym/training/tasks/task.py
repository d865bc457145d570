"""`Task`: what children are trained on: batches, the loss, the metric, and the shape of an input.

A data set names the task that trains on it, as its attribute ``task``: ``"module:Class"``, which is
imported when it is needed, or the class. Images are classified
(`nas_gym.training.tasks.images.ImageClassification`), texts are modelled
(`nas_gym.training.tasks.language.LanguageModelling`), and anything else has a subclass of one's
own; see ``examples/own_task.py``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, ClassVar, Literal, Protocol

import torch
from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation.metric import ACCURACY, Metric
from nas_gym.family import Reference
from nas_gym.networks import ChildNetwork, InputShape
from nas_gym.networks.activations import TrainingMemory, training_memory
from nas_gym.networks.costs import weightless_network
from nas_gym.training.loop import BatchLoop, TrainingLoop
from nas_gym.training.settings import LearningSettings

Split = Literal["validation", "test"]


class Data(Protocol):
    """A data set, as far as its task does not matter."""

    @property
    def name(self) -> str:
        """Its name, in messages."""

    @property
    def task(self) -> Reference:
        """Its `Task`, a class or ``"module:Class"``."""

    @property
    def digest(self) -> str:
        """Digest of everything that training sees."""

    def summary(self) -> dict[str, Any]:
        """Return the facts that say whether it was read as it was meant, as JSON data."""


class Task(ABC):
    """One kind of data on a device, for training and evaluating networks.

    A subclass sets ``input_shape``, ``batch_size`` and ``steps_per_epoch`` when it is made, and
    gives `value`, and `batches` and `loss`, or a `loop` of its own.

    Args:
        dataset: The data.
        settings: How networks are built and trained.
        device: Where.
        final: Train on the training and the validation split together, for a network that is tested
            afterwards.
    """

    settings_type: ClassVar[type[LearningSettings]] = LearningSettings
    metric: Metric = ACCURACY
    input_shape: InputShape
    """Shape of the networks' input and size of their output; their builder gets it."""
    batch_size: int
    steps_per_epoch: int
    autocast_dtype: torch.dtype | None = None
    """The type that networks compute in; default: float32."""
    fuses: ClassVar[bool] = False
    """True for a task that trains a `Fused` network as it trains each member."""
    notes: tuple[str, ...] = ()
    """How training was chosen, and why, in lines of text."""
    share: tuple[int, int] = (0, 1)
    """This process's number, and how many have a share of each epoch; see `take_share`."""
    one_thread: bool = False
    """True where a step is too short to be computed by several threads of a CPU."""

    def __init__(
        self, dataset: Any, settings: Any, device: torch.device, final: bool = False
    ) -> None:
        expected, given = self.settings_type.__name__, type(settings).__name__
        says = f"settings: {type(self).__name__} takes {expected}, got {given}"
        require(isinstance(settings, self.settings_type), says)
        self.dataset, self.device, self.final = dataset, device, final
        self.settings: LearningSettings = settings

    def load(self) -> None:  # noqa: B027 (there may be nothing to move)
        """Move the data to the device now, and not when they are first used."""

    def batches(self, generator: torch.Generator) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield an epoch's batches, inputs and targets, in an order drawn from the generator."""
        raise NotImplementedError

    def draws(self, generator: torch.Generator) -> Iterator[Sequence[Tensor]]:
        """Yield what `batch` makes each batch of an epoch of; by default, the batch itself."""
        return self.batches(generator)

    def batch(self, drawn: Sequence[Tensor], generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Make a batch, inputs and targets, of what was drawn: on CUDA, as a part of the step."""
        inputs, targets = drawn
        return inputs, targets

    def example(self, device: torch.device) -> Tensor:
        """Return the inputs of a training batch, whatever they contain."""
        return self.input_shape.batch(self.batch_size, device)

    @property
    def validation_batch(self) -> int:
        """Number of inputs in the largest batch that is evaluated at a time."""
        return self.batch_size

    def side_by_side(self, batches: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Return the batches of K networks as the batch of a `Fused` one."""
        if len(batches) > 1:
            raise NotImplementedError
        return batches[0]

    def loss(self, network: ChildNetwork, inputs: Tensor, targets: Tensor) -> Tensor:
        """Return the loss of a batch, (), which training makes small."""
        raise NotImplementedError

    @abstractmethod
    def value(self, network: ChildNetwork, split: Split) -> float:
        """Return the metric's value on a split; NaN where the split is empty.

        `Diverged` if the network's outputs are not finite.
        """

    def validation_of(self, network: ChildNetwork) -> Callable[[], float]:
        """Return a function that is `value` on the validation split, for a whole training."""
        return partial(self.value, network, "validation")

    def take_share(self, rank: int, number: int) -> None:
        """Give only the batches of process ``rank`` of ``number``, each on a device of its own.

        Of an epoch's random order, drawn from a generator that is the same in all, the processes
        take a batch in turn; what is drawn for a batch after that is a process's own.
        `InvalidSettings` if this task cannot be shared.
        """
        raise InvalidSettings(f"devices: {type(self).__name__} is trained on one; name one")

    def memory(self, architecture: Architecture) -> TrainingMemory:
        """Estimate the memory that the training of a child takes, without its data set's."""
        network = weightless_network(
            architecture.canonical(), self.input_shape, self.settings.network
        )
        inputs = self.example(torch.device("meta"))
        states = {"sgd": int(self.settings.momentum > 0), "lion": 1}.get(self.settings.optimizer, 2)
        states += self.settings.ema_decay > 0
        evaluated = self.validation_batch / self.batch_size
        return training_memory(network, inputs, states, self.autocast_dtype, evaluated)

    def prepared(self, network: ChildNetwork) -> ChildNetwork:
        """Return a network that was built, on the device and ready to be trained."""
        return network.to(self.device)

    def loop(self, network: ChildNetwork) -> TrainingLoop:
        """Return the training of a network, which was prepared, before its first epoch."""
        return BatchLoop(self, network)

    def test(self, network: ChildNetwork) -> dict[str, Any]:
        """Return the result on the test split, as fields of `nas_gym.training.final.FinalResult`.

        `Diverged` if the network's outputs are not finite.
        """
        value = self.value(network, "test")
        return {"test_accuracy": self.metric.score(value), "test_value": value}

    def digest_facts(self) -> dict[str, object]:
        """Return what changes an evaluation beside the data and the settings, as JSON data."""
        return {}

    def autocast(self) -> AbstractContextManager[object]:
        """Return a context in which a network computes in the training's precision."""
        if self.autocast_dtype is None:
            return nullcontext()
        return torch.autocast(self.device.type, self.autocast_dtype)
