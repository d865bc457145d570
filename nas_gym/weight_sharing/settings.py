"""`WeightSharingSettings`: how the weights that children share are trained, and evaluated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from nas_gym.errors import choices_hint, require, require_integer, require_number, require_truth
from nas_gym.training.settings import TrainingSettings

VALIDATED_ON = ("minibatch", "split")
OF_CHILDREN_ALONE = {
    "early_stopping": None,
    "inherit_weights": None,
    "cuda_graphs": False,
    "batch_norm_momentum": None,
    "latency": None,
}
"""Fields of `TrainingSettings` that mean nothing to children that share weights, as they are."""


@dataclass(frozen=True)
class WeightSharingSettings(TrainingSettings):
    """How a supernet is built and trained; the defaults are the released micro search's.

    The released scripts give half of each weight decay, as the factor of the squared weights; they
    ask for gradients clipped at 5 and go on with those not clipped.

    Of the fields of `TrainingSettings`, ``data_fraction`` is the part of the training images that
    the shared weights are trained on. Those that say how a child is trained by itself are refused:
    ``early_stopping``, ``inherit_weights``, ``cuda_graphs``, ``batch_norm_momentum``, ``latency``.

    Raises:
        InvalidSettings: a value is out of its range, or a field is refused.
    """

    epochs: int = 150
    """For how long drop path grows. The weights can be trained for longer."""
    batch_size: int = 160
    learning_rate: float = 0.05
    """At the start of each period; it falls along a half cosine, epoch by epoch."""
    weight_decay: float = 2e-4
    """Of all shared weights, in every step, whether its child has them or not; as released."""
    lowest_learning_rate: float = 5e-4
    """To which the learning rate falls."""
    period: int = 10
    """T_0, the epochs until the learning rate starts again (SGDR, Loshchilov & Hutter 2017)."""
    period_factor: int = 2
    """T_mul: each period is so many times as long as the one before."""
    validated_on: Literal["minibatch", "split"] = "minibatch"
    """On what a child is evaluated: a batch of validation images, the next in a fixed order, or all
    of them."""
    batch_statistics: bool | None = None
    """Whether the statistics of the batch normalize in evaluation too, and not running ones, in
    which all children mix; default: as released, for the micro search space they do."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_number("lowest_learning_rate", self.lowest_learning_rate, 0, math.inf)
        require_integer("period", self.period, least=1)
        require_integer("period_factor", self.period_factor, least=1)
        hint = choices_hint(self.validated_on, VALIDATED_ON)
        known = self.validated_on in VALIDATED_ON
        require(known, f"validated_on: {self.validated_on!r} is not known; {hint}")
        if self.batch_statistics is not None:
            require_truth("batch_statistics", self.batch_statistics)
        for name, unset in OF_CHILDREN_ALONE.items():
            given = getattr(self, name)
            require(
                given == unset,
                f"{name}: expected {unset!r}, got {given!r}: {name} is of children trained by "
                'themselves, and these share weights; leave it out, or use evaluator="trained"',
            )

    def learning_rate_in(self, epoch: int) -> float:
        """The learning rate in an epoch, counted from 0."""
        period = self.period
        while epoch >= period:
            epoch -= period
            period *= self.period_factor
        height = 0.5 * (1 + math.cos(math.pi * epoch / period))
        lowest = min(self.lowest_learning_rate, self.learning_rate)
        return lowest + (self.learning_rate - lowest) * height


@dataclass(frozen=True)
class SharedEpoch:
    """What an epoch of the shared weights came to."""

    epoch: int
    """Its number, from 1."""
    loss: float
    """Mean cross-entropy of the children's logits; not finite if the weights diverged."""
    accuracy: float
    """On the augmented training images, in [0, 1]."""
    learning_rate: float
    seconds: float
