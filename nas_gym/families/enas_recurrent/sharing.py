"""Evaluates recurrent cells inside a supernet, as ENAS's released code for language models does.

https://github.com/google-research/google-research/tree/master/enas_lm, src/child.py: every window
of the text trains a child that the controller drew, and the next child goes on from its states. A
child is evaluated on one window of the validation text, from states that are zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any, Literal

import torch
from torch import Tensor

from nas_gym.architecture import Architecture
from nas_gym.families.enas_recurrent.supernet import RecurrentSupernet
from nas_gym.settings import NonNegative, settings
from nas_gym.training.settings import BatchSize, Epochs
from nas_gym.training.steps import descend
from nas_gym.training.tasks.language import LanguageSettings
from nas_gym.weight_sharing.evaluator import WeightSharing
from nas_gym.weight_sharing.settings import refuse

_OF_A_CHILD = (
    *("early_stopping", "inherit_weights", "latency", "optimizer", "ema_decay"),
    *("warmup_epochs", "schedule", "average_after", "fused", "count_activations"),
)


@settings
class RecurrentSharingSettings(LanguageSettings):
    """How a supernet of recurrent cells is trained; the defaults are the released search's.

    Fields that say how a child is trained by itself are refused: ``early_stopping``,
    ``inherit_weights``, ``latency``, ``optimizer``, ``ema_decay``, ``warmup_epochs``, ``schedule``,
    ``average_after``, ``fused``, ``count_activations``.
    """

    epochs: Epochs = 600
    batch_size: BatchSize = 128
    gradient_clip: NonNegative = 0.1
    slowness: NonNegative = 1.0
    validated_on: Literal["minibatch", "split"] = "minibatch"
    """The validation text that a child is evaluated on: one window, the next one each time, or all
    of it."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(self, _OF_A_CHILD, LanguageSettings)

    def learning_rate_in(self, epoch: int) -> float:
        """Return the learning rate in an epoch, counted from 0: always the same."""
        return self.learning_rate


class RecurrentSharing(WeightSharing):
    """Evaluates recurrent cells inside one supernet, on one text and device."""

    settings: Any
    task: Any

    @property
    def child_settings(self) -> LanguageSettings:
        values = {each.name: getattr(self.settings, each.name) for each in fields(LanguageSettings)}
        values["epochs"] = max(1, self.settings.epochs // 50)
        return LanguageSettings(**values)

    def _cut_validation(self) -> list[Any]:
        windows: list[Any] = self.task.validation_windows(self.settings.bptt)
        return windows

    def _train(self, children: Sequence[Architecture]) -> Tensor:
        task, network, states = self.task, self.supernet, None
        assert isinstance(network, RecurrentSupernet)
        totals = torch.zeros(2, device=self.device)
        windows = task.windows(task.stream, self.settings.bptt)
        for child, (words, targets) in zip(children, windows, strict=True):
            network.set_architecture(child)
            with task.autocast():
                output = network.run(words, states)
                main, loss = task.losses(output, targets)
            descend(loss, self.optimizer, self.settings.gradient_clip, scaler=self.scaler)
            self._gradients.zero_()
            states = [tuple(part.detach() for part in state) for state in output.states]
            right = (output.logits.argmax(dim=-1) == targets).float().mean()
            totals += torch.stack((main.detach().float(), right))
        return totals / len(children)

    def _counted(self, batches: Sequence[Any]) -> tuple[Tensor, int]:
        total, number = self.task.summed(self.supernet, batches)
        return torch.stack((total, torch.zeros_like(total))), number

    def _value(self, counts: Sequence[Any], images: int) -> float:
        value: float = self.task.value_of(counts[0], images)
        return value

    def _batch_maker(self) -> Callable[..., tuple[Tensor, Tensor]]:
        """Return what it is given: windows are parts of the text."""
        return lambda words, targets: (words, targets)
