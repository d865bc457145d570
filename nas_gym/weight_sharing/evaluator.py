"""Evaluates children inside a supernet, whose weights they share.

Efficient Neural Architecture Search (Pham et al. 2018, https://arxiv.org/abs/1802.03268, section
2.2), with the settings of the code released with it, https://github.com/melodyguan/enas. No child
is trained by itself: every step of the shared weights trains a child that the controller drew, and
a child is evaluated by its accuracy on a minibatch of validation images under the current weights.

Where the released code differs from its own flags or its paper, this code does the following:
dropout is off in evaluation (the released micro search leaves it on); the auxiliary head is trained
with the rest (the released code takes no gradients of its weights, so that it stays as drawn); drop
path is as the network's settings say (the released search has the flag, and no drop path).
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from copy import deepcopy
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, ClassVar

import torch
from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.search_spaces import SearchSpace
from nas_gym.training.checkpoint import packed, unpacked
from nas_gym.training.failures import Attempt, OverLimit
from nas_gym.training.fingerprint import builder_digests
from nas_gym.training.network_trainer import DeviceTraining, made_again
from nas_gym.training.seeds import seed_from
from nas_gym.training.settings import LearningSettings, TrainingSettings
from nas_gym.training.steps.graphs import Graph, worthwhile
from nas_gym.training.steps.optimizers import descend, flattened, make_scaler, sgd
from nas_gym.training.steps.training import batch_loss
from nas_gym.training.steps.validation import accuracy_of, count_right, counted
from nas_gym.training.tasks.images import ImageClassification
from nas_gym.training.tasks.task import Data
from nas_gym.weight_sharing.settings import SharedEpoch, WeightSharingSettings
from nas_gym.weight_sharing.supernet import build_supernet

Sample = Callable[[int], Sequence[Architecture]]
"""Draws a number of architectures: the controller, as seen by the shared weights."""


class WeightSharing(DeviceTraining):
    """Evaluates the children of one search space inside a supernet, on one data set and device.

    Evaluations change with every `train_epoch`. They follow from the settings, the architectures
    drawn and the order of the calls alone; `state_dict` holds all that this needs, to the bit. The
    test split is not touched. A search space without a supernet raises `InvalidSettings`, and so
    does a limit in ``at_most`` of a cost that is not counted.
    """

    settings: WeightSharingSettings
    task: ImageClassification
    changes: ClassVar[bool] = True  # see `nas_gym.evaluation.Evaluator`

    def __init__(
        self,
        search_space: SearchSpace,
        dataset: Data,
        settings: LearningSettings | None = None,
        device: str = "auto",
    ) -> None:
        settings = WeightSharingSettings() if settings is None else settings
        super().__init__(dataset, settings, device)
        self.search_space = search_space
        of_images = getattr(settings, "batch_statistics", None)
        given = (self.task.input_shape, settings.network, of_images)
        with self._isolated_for("weights"):
            supernet = build_supernet(search_space, *given)
            self._minibatches = self._cut_validation()
        self.costs = supernet.costs
        for name, limit in vars(settings.at_most or CostLimits()).items():
            says = f"at_most: {name}: of children that share weights, {' and '.join(self.costs)}"
            is_known = limit is None or name in (*self.costs, "weight_bytes")
            require(is_known, f"{says} alone are counted; leave it out")
        self.supernet = supernet.to(self.device).to(memory_format=torch.channels_last)
        weights, self._gradients = flattened(self.supernet)
        self.optimizer = sgd([weights], settings, settings.learning_rate)
        self.scaler = make_scaler(self.task.autocast_dtype, self.device)
        self._generator = torch.Generator(self.device)
        self._batch = self._batch_maker()
        self.epoch = 0
        """Number of epochs that the shared weights have been trained for."""
        self.history: list[SharedEpoch] = []
        """Their results."""
        self._next_minibatch = 0
        self._recorded: deque[Evaluation] = deque()  # see `go_on_from`
        self._resumed: dict[str, Any] | None = None

    @property
    def fingerprint(self) -> str:
        """A digest of the settings and of the supernet's code, but not of the weights' training."""
        space = self.search_space
        return self.digest(
            builders=[builder_digests(p, space.architecture_type) for p in ("supernet", "network")],
            search_space=[(decision.name, decision.choices) for decision in space.decisions],
            settings=asdict(self.settings),
        )

    @property
    def child_settings(self) -> LearningSettings:
        """Settings for training a child by itself, with its family's default form.

        There is a fiftieth of the epochs, since every step trains this child.
        """
        settings = self.settings
        values = {field.name: getattr(settings, field.name) for field in fields(TrainingSettings)}
        values["epochs"] = max(1, settings.epochs // 50)
        network: Any = settings.network
        if hasattr(network, "form"):
            values["network"] = replace(network, form=type(network)().form)
        return TrainingSettings(**values)

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the run's seed, which all children share as they do the weights."""
        return self.settings.seed

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Validate each architecture under the current shared weights; a failure becomes a status.

        All are queued on the device before their results are read, together. Each is validated as
        it was chosen: the nodes of its canonical form may have other weights.
        """
        recorded = [self._next_recorded(each) for each in architectures[: len(self._recorded)]]
        queued = [self._queued(each) for each in architectures[len(recorded) :]]
        if not queued:
            return recorded
        counts = torch.stack([counts for _, counts, _ in queued]).tolist()
        made = [
            self._read(child, each, images)
            for (child, _, images), each in zip(queued, counts, strict=True)
        ]
        seconds = made[0].seconds / len(made)  # the first child began before the others
        return recorded + [replace(evaluation, seconds=seconds) for evaluation in made]

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Validate one architecture."""
        return self.evaluate([architecture])[0]

    def _next_recorded(self, architecture: Architecture) -> Evaluation:
        count = self.supernet.count_multiply_adds(architecture)
        evaluation = replace(self._recorded.popleft(), multiply_adds=count)
        if not self._recorded and self._resumed is not None:
            self.load_state_dict(self._resumed)
            self._resumed = None
        return evaluation

    def _queued(self, architecture: Architecture) -> tuple[Attempt, Tensor, int]:
        """Start a validation; return it, its `count_right`, (2,), and its number of images."""
        child, counts, images = Attempt(), torch.zeros(2, dtype=torch.int64, device=self.device), 0
        with self._isolated_for("evaluation"), child.recorded():
            child.parameters = self.supernet.count_parameters(architecture)
            child.multiply_adds = self.supernet.count_multiply_adds(architecture)
            if exceeded := (self.settings.at_most or CostLimits()).exceeded(vars(child)):
                raise OverLimit(exceeded)
            self.supernet.set_architecture(architecture)
            child.status = "crashed"
            child.metric = self.task.metric
            counts, images = self._counted(self._validation_batches())
        return child, counts, images

    def _counted(self, batches: Sequence[Any]) -> tuple[Tensor, int]:
        """Return the current child's sums over batches of `_cut_validation`, (2,), and their size.

        `_value` makes the metric's value of them.
        """
        task = self.task
        count = partial(count_right, self.supernet, task.validation, task.autocast)
        return counted(self.supernet, batches, count), sum(map(len, batches))

    def _value(self, counts: Sequence[Any], images: int) -> float:
        return accuracy_of(counts, images)

    def _cut_validation(self) -> Sequence[Any]:
        """Return the batches of the validation split."""
        order = torch.randperm(len(self.task.validation), device=self.device)
        return order.tensor_split(math.ceil(len(order) / self.task.batch_size))

    def _read(self, child: Attempt, counts: Sequence[int], images: int) -> Evaluation:
        if child.status == "ok":
            with child.recorded():
                child.add(self._value(counts, images))
        return child.evaluation(self.settings.seed, self.fingerprint)

    @contextmanager
    def on_whole_split(self) -> Iterator[None]:
        """Validate children on the whole validation split within it."""
        settings, self.settings = self.settings, replace(self.settings, validated_on="split")
        try:
            yield
        finally:
            self.settings = settings

    def train_epoch(self, sample: Sample) -> SharedEpoch:
        """Train the shared weights for one epoch, each step on a child that ``sample`` draws."""
        started = time.perf_counter()
        children = sample(self.task.steps_per_epoch)
        if self._resumed is not None:
            self.epoch += 1
            return SharedEpoch(**self._resumed["history"][self.epoch - 1])
        rate = self.settings.learning_rate_in(self.epoch)
        self.optimizer.param_groups[0]["lr"] = rate
        self.supernet.train()
        with self._isolated_for(f"epoch/{self.epoch}"), torch.enable_grad():  # ARS learns without
            loss, right = self._train(children).tolist()
        self.epoch += 1
        seconds = time.perf_counter() - started
        self.history.append(SharedEpoch(self.epoch, loss, right, rate, seconds))
        return self.history[-1]

    def _train(self, children: Sequence[Architecture]) -> Tensor:
        """Train on the task's batches, a child each; return mean loss and accuracy, (2,)."""
        self._generator.manual_seed(torch.initial_seed())
        totals = torch.zeros(2, device=self.device)
        steps = enumerate(zip(children, self.task.draws(self._generator), strict=True))
        for step, (child, drawn) in steps:
            progress = (self.epoch + step / self.task.steps_per_epoch) / self.settings.epochs
            self.supernet.set_progress(min(1.0, progress))
            self.supernet.set_architecture(child)
            totals += self._step(*self._batch(*drawn))
        return totals / self.task.steps_per_epoch

    def _step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Train the current child on a batch; return its loss and its accuracy, (2,)."""
        smoothing, weights = self.settings.label_smoothing, self.task.class_weights
        with self.task.autocast():
            loss, main, logits = batch_loss(self.supernet, images, labels, smoothing, weights)
        descend(loss, self.optimizer, self.settings.gradient_clip, scaler=self.scaler)
        self._gradients.zero_()
        most = labels if labels.ndim == 1 else labels.argmax(dim=1)
        right = (logits.argmax(dim=1) == most).float().mean()
        return torch.stack((main.detach().float(), right))

    def _batch_maker(self) -> Callable[..., tuple[Tensor, Tensor]]:
        """Return what makes a batch of `Task.draws`; a graph, although each path is another."""
        generator, calls = self._generator, self.settings.epochs * self.task.steps_per_epoch

        def batch(*drawn: Tensor) -> tuple[Tensor, Tensor]:
            return self.task.batch(drawn, generator)

        if worthwhile(self.settings.cuda_graphs, self.device, calls, self.task):
            return Graph(batch, self.device, [generator])
        return batch

    def _validation_batches(self) -> Sequence[Any]:
        # Of the training's size: with the batch's statistics, another one makes another network.
        if self.settings.validated_on == "split":
            return self._minibatches
        place = self._next_minibatch
        self._next_minibatch = (place + 1) % len(self._minibatches)
        return (self._minibatches[place],)

    def state_dict(self) -> dict[str, Any]:
        """Return all that changes: the weights, the optimizer's state, and the progress."""
        return {
            "supernet": self.supernet.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": None if self.scaler is None else self.scaler.state_dict(),
            "epoch": self.epoch,
            "next_minibatch": self._next_minibatch,
            "history": [asdict(epoch) for epoch in self.history],
        }

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> None:
        """Restore a state of `state_dict`; `InvalidSettings` if it is damaged, or another's."""
        try:
            self.supernet.load_state_dict(state["supernet"], strict=strict)
            self.optimizer.load_state_dict(deepcopy(state["optimizer"]))  # it would share tensors
            if self.scaler is not None:
                self.scaler.load_state_dict(state["scaler"])
            self.epoch, self._next_minibatch = state["epoch"], state["next_minibatch"]
            self.history = [SharedEpoch(**epoch) for epoch in state["history"]]
        except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
            reason = str(error).partition("\n")[0][:100]
            says = f"shared weights: the state is damaged, or another supernet's: {reason}"
            raise InvalidSettings(says) from error

    def __reduce__(self) -> tuple[Any, ...]:
        given = (type(self), self.search_space, self.dataset, self.settings, self.device_name)
        state = packed([self.state_dict(), self._resumed])
        return made_again, given, {"state": state, "recorded": list(self._recorded)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        now, self._resumed = unpacked(state["state"])
        self.load_state_dict(now)
        self._recorded.extend(state["recorded"])

    def go_on_from(self, state: Mapping[str, Any], evaluations: Iterable[Evaluation]) -> None:
        """Resume from a state of `state_dict`, without repeating the work before it.

        The next evaluations are ``evaluations``, all that were made before the state, in order.
        Until the last of them, with which the state is loaded, `train_epoch` draws children, so
        that the controller's random numbers are the same, and trains nothing.
        """
        self._recorded.extend(evaluations)
        self._resumed = dict(state) if self._recorded else None

    def _isolated_for(self, purpose: str) -> AbstractContextManager[None]:
        return self.isolated(seed_from(f"{self.settings.seed}/{purpose}"))
