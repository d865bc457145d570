"""`Evaluator`: whatever turns architectures into evaluations. No torch here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.search_spaces import SearchSpace


class Evaluator(Protocol):
    """Whatever turns architectures into evaluations: a trainer, a pool of them, a table.

    One whose evaluations of the same architecture change as a search goes on, as they do under
    shared weights, has an attribute ``changes`` that is true: none is answered from memory then,
    and neither workers nor a store take it.
    """

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One evaluation for each architecture, in order."""


def require_lasting(evaluator: object) -> None:
    """Raises `InvalidSettings` if an evaluator ``changes``.

    A copy in another process would not change with it, and an answer that was kept is out of date.
    """
    require(
        not getattr(evaluator, "changes", False),
        f"evaluator: {type(evaluator).__name__} cannot be given to workers or to a store, since "
        "its answers change with weights that are shared and trained in one process; use it as "
        "it is",
    )


class ChildEvaluator(Evaluator, Protocol):
    """An evaluator that makes one evaluation at a time: what a worker process runs."""

    @property
    def fingerprint(self) -> str:
        """A digest of every setting that could change an evaluation."""

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """The seed that `evaluate_one` uses."""

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """One evaluation; ``repeat`` numbers those of one architecture, each with its own seed."""


class ConcurrentEvaluator(Evaluator, Protocol):
    """An evaluator that makes several evaluations at a time: a pool of processes, a cluster."""

    @property
    def workers(self) -> int:
        """How many evaluations can be under way at a time."""

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """Asks for one evaluation; see `ChildEvaluator.evaluate_one`.

        The future raises for no child's failure: one that crashed, ran out of time or lost its
        worker has an `Evaluation` that says so.
        """

    def close(self) -> None:
        """Ends the workers; evaluations under way are lost."""


@runtime_checkable
class RecordedEvaluator(Evaluator, Protocol):
    """An evaluator that has every evaluation at hand: R of them, as the rows of a few columns.

    The environments look finished networks up in it by arrays, with no Python object for each.
    Sequences with the same row are the same network: it is paid for once, and answered from memory
    from then on. A sequence that means no recorded network has a row too, one whose status says so.
    """

    @property
    def search_space(self) -> SearchSpace:
        """Whose sequences of choices `rows` reads."""

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """(R,) each, by the name of the field of `Evaluation` that it holds.

        ``accuracy`` and ``seconds`` (float64) and ``status`` (str) are there; ``parameters`` and
        ``multiply_adds`` (float64, nan for None) may be. The vector environment's ``info`` has
        them.
        """

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row, (N,) int64 from 0 to R - 1, of each of N complete, valid sequences, (N, T)."""

    def evaluation(self, row: int) -> Evaluation:
        """The record of one row, with ``cached`` False; it agrees with the columns."""
