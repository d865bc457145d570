"""`Evaluation`, the record of a child network's evaluation. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Status = Literal[
    "ok",
    "diverged",
    "out_of_memory",
    "timed_out",
    "crashed",
    "unbuildable",
    "over_limit",
    "unrecorded",
]
"""Of a child: trained, failed, beyond a hard limit, or, in a recorded benchmark, not there."""

COSTS = ("latency", "energy", "multiply_adds", "parameters", "peak_activation_bytes")
"""Costs that an `Evaluation` has, where they were measured."""
NUMBERS = ("accuracy", "value", *COSTS)
"""Fields of an `Evaluation` that say what the child is worth and costs, in numbers."""
NOT_REPEATED = ("seconds", "cached")
"""Fields of an `Evaluation` that say how it was made; they differ from one run to the next."""


@dataclass(frozen=True)
class Evaluation:
    """Result of evaluating one child network; a child that fails is an observation too."""

    status: Status
    accuracy: float
    """Validation accuracy after the last epoch trained, in [0, 1]; 0 unless "ok". Where children
    are measured by another metric, the score that `nas_gym.evaluation.Metric` makes of it."""
    curve: tuple[float, ...]
    """The same after each epoch that ended, in [0, 1]."""
    seconds: float
    """Wall-clock seconds that the evaluation took when it was made."""
    seed: int
    """The child's own seed; see `nas_gym.training.seeds.child_seed`."""
    fingerprint: str
    """A digest of every setting that could change the outcome."""
    parameters: int | None = None
    """Trainable parameters, without an auxiliary head; None if the child could not be built."""
    multiply_adds: int | None = None
    """Multiply-adds of inference on one image or word; None if the child could not be built."""
    latency: float | None = None
    """Seconds of inference on a batch, where measured; see `nas_gym.networks.LatencySettings`."""
    energy: float | None = None
    """Joules of inference on a batch, where recorded or measured."""
    peak_activation_bytes: int | None = None
    """Bytes of activations in inference on one image, where counted; see `nas_gym.networks`."""
    message: str = ""
    """The reason of a failure; or whose weights the child began with."""
    cached: bool = False
    """True if this answer repeats an earlier evaluation instead of training again."""
    metric: str = "accuracy"
    """Name of what the child was measured by: "accuracy", "perplexity", ..."""
    value: float | None = None
    """Value of a metric other than accuracy; None unless "ok"."""

    def to_dict(self) -> dict[str, Any]:
        """Return the record as plain JSON data."""
        return {**vars(self), "curve": list(self.curve)}

    def outcome(self) -> dict[str, Any]:
        """Return the record without `NOT_REPEATED`: the same for the same network and seed."""
        return {name: value for name, value in self.to_dict().items() if name not in NOT_REPEATED}


class Evaluations(ABC):
    """The evaluations of N finished networks, one by one or as arrays."""

    @abstractmethod
    def __getitem__(self, index: int) -> Evaluation: ...

    @cached_property
    @abstractmethod
    def columns(self) -> dict[str, NDArray[Any]]:
        """Arrays, (N,) each: ``accuracy``, ``seconds``, ``status``, ``cached``, and known costs."""


@dataclass(frozen=True)
class Listed(Evaluations):
    """Evaluations that were made one by one."""

    made: list[Evaluation]

    def __getitem__(self, index: int) -> Evaluation:
        return self.made[index]

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        numbers = dict.fromkeys((*NUMBERS, "seconds"), np.float64)
        types = {**numbers, "status": np.str_, "cached": np.bool_}
        return {  # None becomes nan
            name: np.array([getattr(each, name) for each in self.made], dtype)
            for name, dtype in types.items()
        }
