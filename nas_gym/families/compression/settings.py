"""`CompressionSettings`: how channels are cut, and how the result is evaluated."""

from __future__ import annotations

from typing import Annotated, Literal

from annotated_types import Interval

from nas_gym.networks import LatencySettings
from nas_gym.settings import Count, Keep, NonNegative, Seed, Size, nested, settings
from nas_gym.training.settings import BatchSize


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
    latency: Annotated[LatencySettings | None, nested(LatencySettings)] = None
    """How the latency of the result is measured, as of children; default: not at all."""
    training_seed: Seed = 0
    """The seed of this training, and of the default model's."""
