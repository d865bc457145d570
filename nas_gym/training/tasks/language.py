"""`LanguageModelling`: the task of a text: the next word, or the next character.

Truncated backpropagation through time as AWD-LSTM and ENAS train (Merity et al. 2018,
https://arxiv.org/abs/1708.02182): B places of the text are read at once, a window of steps after
the other, and each window begins with the states that the one before it ended with.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property, partial
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor
from torch.nn import functional as F

from nas_gym.data.text import Stream, TextDataset
from nas_gym.errors import require
from nas_gym.evaluation.metric import BITS_PER_CHARACTER, PERPLEXITY
from nas_gym.networks import ChildNetwork, TokenShape
from nas_gym.networks.devices import autocast_dtype, synchronize
from nas_gym.networks.fused import Fused
from nas_gym.networks.language_model import LanguageModel, Output
from nas_gym.outside.quiet import give_way
from nas_gym.settings import Count, NonNegative, Share, settings
from nas_gym.training.failures import Diverged
from nas_gym.training.loop import TrainingLoop, WeightAverage
from nas_gym.training.settings import BatchSize, LearningSettings
from nas_gym.training.steps.optimizers import (
    descend,
    make_optimizer,
    make_scaler,
    parameter_groups,
    schedule,
    set_rate,
)
from nas_gym.training.tasks.task import Split, Task

TEST_BATCH, EVALUATION_STEPS = 10, 70
"""Places of a text that are read at once in a test, and the steps of a window there and in a
validation, whose places are those of the training."""
SMALL_STATES = 256
"""Units up to which a step is too short for several threads of a CPU."""
LARGEST_LOSS = 700.0  # e to the power of this is still a number


@settings
class LanguageSettings(LearningSettings):
    """How a child is built and trained on a text; see `LearningSettings`, too."""

    batch_size: BatchSize = 20
    """Places of the text that are read at once."""
    learning_rate: NonNegative = 20.0
    momentum: Share = 0.0
    nesterov: bool = False
    weight_decay: NonNegative = 8e-7
    gradient_clip: NonNegative = 0.25
    bptt: Annotated[int, Ge(1), Le(10_000)] = 35
    """Steps of a window, through which gradients flow."""
    schedule: Literal["constant", "cosine"] = "constant"
    """The learning rate over the training: as it is, or along a half cosine to 0."""
    activation_regularization: NonNegative = 0.0
    """Alpha, the weight of the squared outputs after dropout."""
    slowness: NonNegative = 0.0
    """Beta, the weight of the squared differences of outputs from one step to the next."""
    average_after: Count | None = None
    """Number of epochs after which weights are averaged (averaged SGD); default: never. The other
    average, by ``ema_decay``, excludes it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        both = self.average_after is not None and self.ema_decay > 0
        require(not both, "ema_decay: average_after is set, another average; leave one out")


class LanguageModelling(Task):
    """A text on a device, as B parallel streams; all members of a fused network read the same."""

    settings_type = LanguageSettings
    fuses = True

    def __init__(
        self,
        dataset: TextDataset,
        settings: LanguageSettings,
        device: torch.device,
        final: bool = False,
    ) -> None:
        super().__init__(dataset, settings, device, final)
        graphed = settings.cuda_graphs is True
        require(not graphed, "cuda_graphs: only images have them; leave it out")
        self.options = settings
        self.metric = PERPLEXITY if dataset.level == "word" else BITS_PER_CHARACTER
        self.input_shape = TokenShape(len(dataset.vocabulary))
        self.one_thread = getattr(settings.network, "units", 0) <= SMALL_STATES
        if settings.precision != "auto":
            self.autocast_dtype = autocast_dtype(settings.precision, device, 0)
        self.known = dataset.train[: math.ceil(len(dataset.train) * settings.data_fraction)]
        if final:
            self.known = np.concatenate([dataset.train, dataset.validation])
        self.batch_size = settings.batch_size
        rows = self._rows(self.known, settings.batch_size)
        self.steps_per_epoch = math.ceil((rows - 1) / settings.bptt)

    @cached_property
    def stream(self) -> Tensor:
        """The text to train on, (n, batch) int64; on the device from the first training on."""
        return self._columns(self.known, self.batch_size)

    def load(self) -> None:
        _ = self.stream

    def example(self, device: torch.device) -> Tensor:
        shape = (self.options.bptt, self.batch_size)
        return torch.zeros(shape, dtype=torch.int64, device=device)

    def _rows(self, stream: Stream, batch: int) -> int:
        rows = len(stream) // batch
        least = f"at least {2 * batch} are needed for a batch of {batch}"
        require(rows > 1, f"batch_size: the text has {len(stream)} {self.dataset.level}s; {least}")
        return rows

    def _columns(self, stream: Stream, batch: int) -> Tensor:
        """Return a stream as ``batch`` columns, (n, batch) int64; a rest is left out."""
        rows = self._rows(stream, batch)
        columns = torch.from_numpy(stream[: rows * batch]).view(batch, rows).T.contiguous()
        return columns.to(self.device)

    @staticmethod
    def windows(columns: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (T, B) words and those that follow each of them."""
        inputs, targets = columns[:-1], columns[1:]
        return zip(inputs.split(steps), targets.split(steps), strict=True)

    def loop(self, network: ChildNetwork) -> TrainingLoop:
        assert isinstance(network, (LanguageModel, Fused))
        return LanguageLoop(self, network)

    def rate(self, done: int) -> float:
        """Return the learning rate after a number of steps."""
        share = done / (self.options.epochs * self.steps_per_epoch)
        warmup = self.options.warmup_epochs / self.options.epochs
        if self.options.schedule == "constant":
            return self.options.learning_rate * min(1.0, share / warmup if warmup else 1.0)
        return self.options.learning_rate * schedule(share, warmup)

    def losses(self, output: Output, targets: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean cross-entropy, and the loss that is made small: () or (K,) each."""
        options, of_one = self.options, (0, -2, -1)  # dimensions but that of the members
        members = output.logits.movedim(1, 0) if output.logits.ndim == 4 else output.logits[None]
        logits = members.flatten(1, 2).transpose(1, 2)  # (K, V, T B)
        all_targets = targets.flatten().expand(len(logits), -1)
        main = F.cross_entropy(logits, all_targets, reduction="none").mean(dim=1)
        main = loss = main if output.logits.ndim == 4 else main[0]
        if options.activation_regularization:
            squares = output.dropped.square().mean(dim=of_one)
            loss = loss + options.activation_regularization * squares
        if options.slowness and len(output.raw) > 1:
            squares = output.raw.diff(dim=0).square().mean(dim=of_one)
            loss = loss + options.slowness * squares
        return main, loss

    def value(self, network: ChildNetwork, split: Split) -> float:
        if self.final and split == "validation":
            return float("nan")
        assert isinstance(network, LanguageModel)
        windows: Iterable[tuple[Tensor, Tensor]] = self.validation_windows(EVALUATION_STEPS)
        if split == "test":
            stream = self.dataset.test
            columns = self._columns(stream, min(TEST_BATCH, len(stream) // 2))
            windows = self.windows(columns, EVALUATION_STEPS)
        total, number = self.summed(network, windows)
        return self.value_of(total.item(), number)

    def validation_windows(self, steps: int) -> list[tuple[Tensor, Tensor]]:
        """Return the validation text in windows of ``steps``, as `windows` yields them."""
        stream = self.dataset.validation
        columns = self._columns(stream, min(self.batch_size, len(stream) // 2))
        return list(self.windows(columns, steps))

    def summed(
        self, network: LanguageModel, windows: Iterable[tuple[Tensor, Tensor]]
    ) -> tuple[Tensor, int]:
        """Return the sum of cross-entropies, (), and the number of words, from states of zero."""
        network.eval()
        exact = torch.float32 if self.device.type == "mps" else torch.float64  # which MPS lacks
        states, total, number = None, torch.zeros((), device=self.device, dtype=exact), 0
        with torch.inference_mode(), self.autocast():
            for words, targets in windows:
                output = network.run(words, states)
                logits = output.logits.flatten(0, 1).float()
                total += F.cross_entropy(logits, targets.flatten(), reduction="sum")
                states, number = output.states, number + targets.numel()
        return total, number

    def value_of(self, total: float, number: int) -> float:
        """Return the metric's value of a result of `summed`; `Diverged` if it is not finite."""
        if not math.isfinite(total):
            raise Diverged(f"the cross-entropy is {total / number}")
        return self._as_value(total / number)

    def _as_value(self, cross_entropy: float) -> float:
        if self.metric == PERPLEXITY:
            return math.exp(min(cross_entropy, LARGEST_LOSS))
        return cross_entropy / math.log(2)

    def test(self, network: ChildNetwork) -> dict[str, Any]:
        """Return the result; the ``majority`` is the score of the words' frequencies alone."""
        counts = np.bincount(self.known, minlength=len(self.dataset.vocabulary)) + 1
        alone = -np.log(counts / counts.sum())[self.dataset.test].mean()
        majority = self.metric.score(self._as_value(float(alone)))
        return {**super().test(network), "majority": majority}


class LanguageLoop(TrainingLoop):
    """The loop of a text, window by window; averaged SGD or an exponential average of weights."""

    network: LanguageModel | Fused

    def __init__(self, task: LanguageModelling, network: LanguageModel | Fused) -> None:
        super().__init__(network, task.device)
        self.task, self.options = task, task.options
        self.scaler = make_scaler(task.autocast_dtype, task.device)
        self.optimizer = make_optimizer(
            parameter_groups(network), self.options, self.options.learning_rate
        )

    def run_epoch(self) -> Tensor:
        task, options = self.task, self.options
        states, total = None, torch.zeros((), device=self.device)
        windows = task.windows(task.stream, options.bptt)
        for done, (words, targets) in enumerate(windows, start=self.epoch * task.steps_per_epoch):
            give_way(partial(synchronize, self.device))
            set_rate(self.optimizer, task.rate(done))
            with task.autocast():
                output = self.network.run(words, states)
                main, loss = task.losses(output, targets)
            descend(loss, self.optimizer, options.gradient_clip, self.network, self.scaler)
            self.optimizer.zero_grad()
            states = [tuple(part.detach() for part in state) for state in output.states]
            total = total + main.detach()
            self._average(done)
        return total

    def _average(self, step: int) -> None:
        """Take the weights after a step, counted from 0, into their average, if there is one."""
        after, decay = self.options.average_after, self.options.ema_decay
        if decay:
            share = 1 - min(decay, (1 + step) / (10 + step))
        elif after is None or self.epoch < after:
            return
        else:
            share = 1 / (step + 1 - after * self.task.steps_per_epoch)
        self.average = self.average or WeightAverage(*self.networks)
        self.average.update(share)
