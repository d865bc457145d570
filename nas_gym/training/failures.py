"""Failures of a child, which become a status of its evaluation."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch

from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.evaluation.metric import ACCURACY, Metric
from nas_gym.networks.limits import TooLarge


class OverLimit(ValueError):
    """A child costs more than is allowed."""


class Diverged(ArithmeticError):
    """The loss of a child, its logits, or its metric are no longer finite."""


def is_out_of_memory(error: Exception) -> bool:
    """Return True if an exception says that the machine or the device has no memory left."""
    if isinstance(error, (MemoryError, TooLarge, torch.OutOfMemoryError)):
        return True
    says = ("out of memory", "can't allocate memory")
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in says)


@dataclass
class Attempt:
    """A child under evaluation, as far as it got."""

    status: Status = "unbuildable"
    message: str = ""
    parameters: int | None = None
    multiply_adds: int | None = None
    latency: float | None = None
    metric: Metric = ACCURACY
    value: float | None = None
    peak_activation_bytes: int | None = None
    curve: list[float] = field(default_factory=list)
    started: float = field(default_factory=time.perf_counter)

    def add(self, value: float) -> None:
        """Add the metric's value after an epoch; `Diverged` if its score is not finite."""
        score = self.metric.score(value)
        if not math.isfinite(score):
            raise Diverged(f"the {self.metric.name} is {value}")
        self.value = value
        self.curve.append(score)

    def check(self, limits: CostLimits | None) -> None:
        """Raise `OverLimit` if it costs more than is allowed, by what is measured so far."""
        if limits is not None and (exceeded := limits.exceeded(vars(self))):
            raise OverLimit(exceeded)

    @property
    def progress(self) -> dict[str, Any]:
        """What the training gave so far, for `go_on_from`."""
        return {"curve": self.curve, "value": self.value}

    def go_on_from(self, progress: Mapping[str, Any]) -> None:
        """Take over what an earlier part of the training gave."""
        self.curve, self.value = list(progress["curve"]), progress["value"]

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Set the status at the end of the evaluation within it, which no failure leaves."""
        try:
            yield
            self.status = "ok"
        except Diverged as error:
            self.status, self.message = "diverged", str(error)
        except OverLimit as error:
            self.status, self.message = "over_limit", str(error)
        except Exception as error:
            if is_out_of_memory(error):
                self.status = "out_of_memory"
            self.message = f"{type(error).__name__}: {error}"

    def evaluation(self, seed: int, fingerprint: str) -> Evaluation:
        """Return the record, which ends now."""
        facts = dict(vars(self), curve=tuple(self.curve), seed=seed, fingerprint=fingerprint)
        seconds = time.perf_counter() - facts.pop("started")
        accuracy = self.curve[-1] if self.status == "ok" else 0.0
        facts["metric"] = self.metric.name
        if self.metric == ACCURACY or self.status != "ok":
            facts["value"] = None
        return Evaluation(**facts, accuracy=accuracy, seconds=seconds)
