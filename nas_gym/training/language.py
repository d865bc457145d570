"""`LanguageModelling`: the task of a text: the next word, or the next character.

Truncated backpropagation through time as AWD-LSTM and ENAS train (Merity et al. 2018,
https://arxiv.org/abs/1708.02182): B places of the text are read at once, a window of steps after
the other, and each window begins with the states that the one before it ended with.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.data.text import Stream, TextDataset
from nas_gym.errors import require
from nas_gym.evaluation.metric import BITS_PER_CHARACTER, PERPLEXITY
from nas_gym.networks import ChildNetwork, TokenShape
from nas_gym.networks.fused import Fused
from nas_gym.networks.language_model import LanguageModel, Output
from nas_gym.settings import Count, NonNegative, Share, settings
from nas_gym.training.failures import Diverged
from nas_gym.training.settings import BatchSize, LearningSettings
from nas_gym.training.steps import descend, parameter_groups, sgd
from nas_gym.training.task import Split, Task

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
    optimizer: Literal["sgd", "adam"] = "sgd"
    schedule: Literal["constant", "cosine"] = "constant"
    """The learning rate over the training: as it is, or along a half cosine to 0."""
    activation_regularization: NonNegative = 0.0
    """Alpha, the weight of the squared outputs after dropout."""
    slowness: NonNegative = 0.0
    """Beta, the weight of the squared differences of outputs from one step to the next."""
    average_after: Count | None = None
    """Number of epochs after which weights are averaged (averaged SGD); default: never."""


class LanguageModelling(Task):
    """A text on a device, as B parallel streams; all members of a fused network read the same.

    Args:
        dataset, device, final: As in `Task`.
        settings: How networks are built and trained.

    Raises:
        InvalidSettings: the settings are another task's, ``cuda_graphs`` is set, or a part of the
            text is too short for the batch.
    """

    fuses = True

    def __init__(
        self,
        dataset: TextDataset,
        settings: LanguageSettings,
        device: torch.device,
        final: bool = False,
    ) -> None:
        super().__init__(dataset, settings, device, final)
        given = type(settings).__name__
        is_right = isinstance(settings, LanguageSettings)
        require(is_right, f"settings: texts are trained with LanguageSettings, got {given}")
        require(not settings.cuda_graphs, "cuda_graphs: only images have them; leave it out")
        self.options = settings
        self.metric = PERPLEXITY if dataset.level == "word" else BITS_PER_CHARACTER
        self.input_shape = TokenShape(len(dataset.vocabulary))
        self.one_thread = getattr(settings.network, "units", 0) <= SMALL_STATES
        if settings.precision == "bfloat16":
            self.autocast_dtype = torch.bfloat16
        self.known = dataset.train[: math.ceil(len(dataset.train) * settings.data_fraction)]
        if final:
            self.known = np.concatenate([dataset.train, dataset.validation])
        self.batch_size = settings.batch_size
        self._stream = self._columns(self.known, settings.batch_size)
        self.steps_per_epoch = math.ceil((len(self._stream) - 1) / settings.bptt)

    def _columns(self, stream: Stream, batch: int) -> Tensor:
        """Return a stream as ``batch`` columns, (n, batch) int64; a rest is left out."""
        rows = len(stream) // batch
        least = f"at least {2 * batch} are needed for a batch of {batch}"
        require(rows > 1, f"batch_size: the text has {len(stream)} {self.dataset.level}s; {least}")
        columns = torch.from_numpy(stream[: rows * batch]).view(batch, rows).T.contiguous()
        return columns.to(self.device)

    @staticmethod
    def _windows(columns: Tensor, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (T, B) words and those that follow each of them."""
        inputs, targets = columns[:-1], columns[1:]
        return zip(inputs.split(steps), targets.split(steps), strict=True)

    def train(
        self, network: ChildNetwork, seeds: Sequence[int] | None = None
    ) -> Iterator[Tensor]:
        assert isinstance(network, (LanguageModel, Fused))
        options, done = self.options, 0
        optimizer = self._optimizer(network)
        average: list[Tensor] = []
        for epoch in range(options.epochs):
            network.train()
            states, total = None, torch.zeros((), device=self.device)
            for words, targets in self._windows(self._stream, options.bptt):
                for group in optimizer.param_groups:
                    group["lr"] = self._rate(done)
                with self.autocast():
                    output = network.run(words, states)
                    main, loss = self._losses(output, targets)
                descend(loss, optimizer, options.gradient_clip, network)
                optimizer.zero_grad()
                network.zero_grad()
                states = [tuple(part.detach() for part in state) for state in output.states]
                total = total + main.detach()
                done += 1
                if options.average_after is not None and epoch >= options.average_after:
                    _average(average, network, done - options.average_after * self.steps_per_epoch)
            with _swapped(network, average, back=epoch + 1 < options.epochs):
                yield total

    def _optimizer(self, network: nn.Module) -> torch.optim.Optimizer:
        options = self.options
        if options.optimizer == "sgd":
            return sgd(parameter_groups(network), options, options.learning_rate)
        return torch.optim.Adam(
            parameter_groups(network),
            options.learning_rate,
            weight_decay=options.weight_decay,
            fused=True,
        )

    def _rate(self, done: int) -> float:
        """Return the learning rate after a number of steps."""
        share = done / (self.options.epochs * self.steps_per_epoch)
        factor = 0.5 * (1 + math.cos(math.pi * share)) if self.options.schedule == "cosine" else 1.0
        return self.options.learning_rate * factor

    def _losses(self, output: Output, targets: Tensor) -> tuple[Tensor, Tensor]:
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
        stream, batch = self.dataset.validation, self.batch_size
        if split == "test":
            stream, batch = self.dataset.test, TEST_BATCH
        return self._as_value(self._cross_entropy(network, stream, batch))

    def _cross_entropy(self, network: ChildNetwork, stream: Stream, batch: int) -> float:
        """Return the mean cross-entropy of a stream, in nats, read at ``batch`` places at once.

        Raises:
            Diverged: it is not finite.
        """
        assert isinstance(network, LanguageModel)
        columns = self._columns(stream, min(batch, len(stream) // 2))
        network.eval()
        states, total = None, torch.zeros((), device=self.device, dtype=torch.float64)
        with torch.inference_mode(), self.autocast():
            for words, targets in self._windows(columns, EVALUATION_STEPS):
                output = network.run(words, states)
                logits = output.logits.flatten(0, 1).float()
                total += F.cross_entropy(logits, targets.flatten(), reduction="sum")
                states = output.states
        mean = total.item() / (columns.numel() - columns.shape[1])
        if not math.isfinite(mean):
            raise Diverged(f"the cross-entropy is {mean}")
        return mean

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


def _average(average: list[Tensor], network: nn.Module, number: int) -> None:
    """Take the weights after a step, the ``number``-th of those averaged, into their average."""
    weights = [parameter.detach() for parameter in network.parameters()]
    if not average:
        average += [weight.clone() for weight in weights]
    for mean, weight in zip(average, weights, strict=True):
        mean.lerp_(weight, 1 / number)


@contextmanager
def _swapped(network: nn.Module, average: list[Tensor], back: bool) -> Iterator[None]:
    """Give a network its averaged weights within it, if there are some, and afterwards its own."""
    own = [parameter.detach().clone() for parameter in network.parameters()] if average else []
    with torch.no_grad():
        for parameter, mean in zip(network.parameters(), average, strict=False):
            parameter.copy_(mean)
    yield
    with torch.no_grad():
        for parameter, weight in zip(network.parameters(), own if back else (), strict=False):
            parameter.copy_(weight)
