"""`WeightSharingSettings`: how the weights that children share are trained, and evaluated."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from nas_gym.errors import require
from nas_gym.outside.json_text import short
from nas_gym.settings import NonNegative, settings
from nas_gym.training.settings import BatchSize, Epochs, LearningSettings, TrainingSettings

_OF_A_CHILD = (
    *("early_stopping", "inherit_weights", "batch_norm_momentum", "latency"),
    *("optimizer", "warmup_epochs", "ema_decay", "fused", "count_activations"),
)


@settings
class WeightSharingSettings(TrainingSettings):
    """How a supernet is built and trained; the defaults are the released micro search's.

    The released scripts give half of each weight decay, as the factor of the squared weights; they
    ask for gradients clipped at 5, but apply the unclipped ones.

    The shared weights are trained on the ``data_fraction`` of the training images. Fields that say
    how a child is trained by itself are refused: ``early_stopping``, ``inherit_weights``,
    ``batch_norm_momentum``, ``latency``, ``optimizer``, ``warmup_epochs``, ``ema_decay``,
    ``fused``, ``count_activations``. Each step trains another child, on a path of its own:
    ``cuda_graphs`` hold the augmentation alone. Children beyond ``at_most`` are drawn and trained,
    and not validated: their status is "over_limit".
    """

    epochs: Epochs = 150
    """The epochs over which drop path grows. The weights can be trained for longer."""
    batch_size: BatchSize = 160
    learning_rate: NonNegative = 0.05
    """At the start of each period; it falls along a half cosine, epoch by epoch."""
    weight_decay: NonNegative = 2e-4
    """Of all shared weights, in every step, also of those off the child's path; as released."""
    lowest_learning_rate: NonNegative = 5e-4
    """The learning rate at the end of each period."""
    period: Epochs = 10
    """T_0, the epochs until the learning rate starts again (SGDR, Loshchilov & Hutter 2017)."""
    period_factor: Epochs = 2
    """T_mul, the length of each period relative to the one before."""
    validated_on: Literal["minibatch", "split"] = "minibatch"
    """The validation images that a child is evaluated on: one batch, the next in a fixed order, or
    all of them."""
    batch_statistics: bool | None = None
    """Normalize by the statistics of the batch in evaluation too, instead of by running ones, in
    which all children mix; default: as released, which is true for the micro search space."""

    def __post_init__(self) -> None:
        refuse(self, _OF_A_CHILD)

    def learning_rate_in(self, epoch: int) -> float:
        """Return the learning rate in an epoch, counted from 0."""
        period = self.period
        while epoch >= period:
            epoch, period = epoch - period, period * self.period_factor
        height = 0.5 * (1 + math.cos(math.pi * epoch / period))
        lowest = min(self.lowest_learning_rate, self.learning_rate)
        return lowest + (self.learning_rate - lowest) * height


def refuse(
    given: LearningSettings, names: Sequence[str], of: type[LearningSettings] = TrainingSettings
) -> None:
    """Raise `InvalidSettings` if a field is set that is of children trained by themselves.

    ``of`` are the settings of these children, which have the fields' defaults.
    """
    for name in names:
        value, unset = getattr(given, name), getattr(of, name)
        require(
            value == unset,
            f"{name}: expected {unset!r}, got {short(value)}: {name} is of children trained by "
            'themselves, and these share weights; leave it out, or use evaluator="trained"',
        )


@dataclass(frozen=True)
class SharedEpoch:
    """Result of one epoch of training the shared weights."""

    epoch: int
    """Its number, from 1."""
    loss: float
    """Mean cross-entropy of the children's logits; not finite if the weights diverged."""
    accuracy: float
    """On the augmented training images, in [0, 1]."""
    learning_rate: float
    seconds: float
