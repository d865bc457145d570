"""`Evaluation`, the record of what a child network was worth, and who makes it. No torch here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Protocol

from nas_gym.architecture import Architecture

Status = Literal["ok", "diverged", "out_of_memory", "timed_out", "crashed", "unbuildable"]


@dataclass(frozen=True)
class Evaluation:
    """What one child network was worth. A child that fails is an observation, not an exception."""

    status: Status
    accuracy: float
    """Validation accuracy after the last epoch, in [0, 1]; 0 unless ``status`` is "ok"."""
    curve: tuple[float, ...]
    """Validation accuracy after each epoch that ended, in [0, 1]."""
    seconds: float
    """Wall-clock seconds that the evaluation took when it was made."""
    seed: int
    """The child's own seed; see `nas_gym.evaluation.training.child_seed`."""
    fingerprint: str
    """A digest of every setting that could change the outcome."""
    parameters: int | None = None
    """Trainable parameters, without an auxiliary head; None if the child could not be built."""
    multiply_adds: int | None = None
    """Multiply-adds of inference on one image; None if the child could not be built."""
    latency: float | None = None
    """Seconds of inference on a batch, where it was asked for; see
    `nas_gym.networks.LatencySettings`."""
    message: str = ""
    """What went wrong, if anything did."""
    cached: bool = False
    """Whether this answer repeats an earlier evaluation instead of training again."""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        return {**asdict(self), "curve": list(self.curve)}


class Evaluator(Protocol):
    """Whatever turns architectures into evaluations: a trainer, a pool of them, a table."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One evaluation for each architecture, in order."""


@dataclass
class Budget:
    """What a search has spent so far."""

    asked: int = 0
    """Evaluations asked for."""
    made: int = 0
    """Evaluations really made; the others were answered from memory."""
    seconds: float = 0.0
    """Seconds of training in the evaluations made."""


@dataclass
class CachingEvaluator:
    """Answers an architecture that was evaluated before from memory, and counts the budget.

    Architectures with the same `Architecture.key` are the same network, and are trained once.
    """

    evaluator: Evaluator
    budget: Budget = field(default_factory=Budget)
    known: dict[str, Evaluation] = field(default_factory=dict)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """As `Evaluator.evaluate`; an answer from memory says so in ``cached``."""
        keys = [architecture.key for architecture in architectures]
        new = {
            key: architecture
            for key, architecture in zip(keys, architectures, strict=True)
            if key not in self.known
        }
        made = self.evaluator.evaluate(list(new.values()))
        self.known.update(zip(new, made, strict=True))
        self.budget.asked += len(keys)
        self.budget.made += len(made)
        self.budget.seconds += sum(evaluation.seconds for evaluation in made)
        return [
            replace(self.known[key], cached=new.pop(key, None) is None)  # its first use is not
            for key in keys
        ]
