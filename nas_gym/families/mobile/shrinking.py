"""Settings and phases of progressive shrinking.

Source: Cai et al. 2020, https://arxiv.org/abs/1908.09791, section 3.3; the
constants are those of the released code, https://github.com/mit-han-lab/once-for-all, in
train_ofa_net.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from annotated_types import MinLen
from pydantic import Field

from nas_gym.errors import counted, require
from nas_gym.families.mobile.architecture import OFAArchitecture
from nas_gym.families.mobile.ofa import DEPTHS, EXPANSIONS, KERNELS, OFASearchSpace
from nas_gym.settings import Count, NonNegative, Positive, settings
from nas_gym.training.settings import Epochs, TrainingSettings
from nas_gym.weight_sharing.settings import refuse

_REFUSED = (
    *("early_stopping", "inherit_weights", "cuda_graphs", "batch_norm_momentum", "latency"),
    *("ema_decay", "fused", "count_activations"),
)


@dataclass(frozen=True)
class Phase:
    """A phase of the training: the sub-networks that are drawn, and how many at each step."""

    name: str
    sizes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Choices of decisions that can be drawn, by the end of a decision's name; of others, the
    largest."""
    networks: int = 1
    """Sub-networks of each step, whose gradients are added."""
    sorted_within: tuple[int | None, ...] = ()
    """Of one entry where the phase begins by sorting channels: those of an expansion, which are
    sorted by themselves, or None."""

    def draw(
        self, search_space: OFASearchSpace, rng: np.random.Generator, resolution: str | None
    ) -> OFAArchitecture:
        """Draw one of the sub-networks, for images of this resolution, if there are several."""
        labels = {}
        for decision in search_space.decisions:
            sizes = self.sizes.get(decision.name.rpartition("/")[-1])
            labels[decision.name] = (
                str(rng.choice(sizes)) if sizes else max(decision.choices, key=int)
            )
        if resolution is not None:
            labels["resolution"] = resolution
        return search_space.of_labels(labels)


_KERNEL = {"kernel": KERNELS}
_DEPTH = {**_KERNEL, "depth": DEPTHS}
PHASES = (
    Phase("full"),
    Phase("kernel", _KERNEL),
    Phase("depth 1", {**_KERNEL, "depth": DEPTHS[1:]}, networks=2),
    Phase("depth 2", _DEPTH, networks=2),
    Phase("expansion 1", {**_DEPTH, "expansion": EXPANSIONS[1:]}, 4, sorted_within=(None,)),
    Phase("expansion 2", {**_DEPTH, "expansion": EXPANSIONS}, 4, sorted_within=(4,)),
)
"""The largest network alone, then ever smaller ones among those before."""


@settings
class ShrinkingSettings(TrainingSettings):
    """How the elastic network is trained, once, and how sub-networks are evaluated.

    Fields that say how a child is trained by itself are refused: ``early_stopping``,
    ``inherit_weights``, ``cuda_graphs``, ``batch_norm_momentum``, ``latency``, ``ema_decay``,
    ``fused``, ``count_activations``.

    Raises:
        InvalidSettings: a value is out of its range, or a field is refused.
    """

    epochs: Epochs = 180
    """Of the largest network, before the phases of shrinking."""
    phase_epochs: Annotated[tuple[Count, Count, Count, Count, Count], Field(strict=False)] = (
        *(120, 25, 120, 25, 120),
    )
    """Of the phases: kernel; depth down to 3 layers, and to 2; expansion down to 4, and to 3."""
    phase_rates: Annotated[
        tuple[NonNegative, NonNegative, NonNegative, NonNegative, NonNegative], Field(strict=False)
    ] = (0.37, 0.031, 0.092, 0.031, 0.092)
    """Their learning rates at the highest, relative to ``learning_rate``."""
    distillation: NonNegative = 1.0
    """Weight of the cross-entropy with the trained largest network's outputs in the loss."""
    calibration_images: Positive = 2_000
    """Training images from which batch normalization's statistics of a sub-network are taken."""
    weights: Annotated[str, MinLen(1)] | None = None
    """A file that keeps the elastic network, epoch by epoch: it is trained once, and read from
    there later on. Default: it is trained again in each process."""

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse(self, _REFUSED)
        longest = min([self.epochs, *filter(None, self.phase_epochs)])
        all_of_them = f"the {counted(longest, 'epoch')} of the shortest phase"
        fewer = f"warmup_epochs: expected fewer than {all_of_them}"
        require(self.warmup_epochs < longest, f"{fewer}, got {self.warmup_epochs}")

    def of_phase(self, number: int) -> tuple[int, float]:
        """Return the epochs and the highest learning rate of a phase in `PHASES`."""
        if number == 0:
            return self.epochs, self.learning_rate
        return self.phase_epochs[number - 1], self.learning_rate * self.phase_rates[number - 1]
