"""`Evaluator`, the protocol of everything that evaluates architectures. No torch here."""

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
    """Turns architectures into evaluations: a trainer, a pool of them, a table, one of your own.

    Four optional attributes say more to the `nas_gym.Memory` above it:

    - ``network_key(architecture)`` returns a hashable value, equal for architectures that are the
      same network to this evaluator; only the first of them is evaluated. Trainers return
      `Architecture.key`, so isomorphic cells are one network. Without it, only equal architectures
      are. (A store always keeps by `Architecture.key`, a recorded benchmark by row.)
    - ``costs``, a tuple of those costs (see `nas_gym.rewards`) that every evaluation has.
    - ``changes``, true where evaluations change as a search goes on, as under shared weights: none
      is answered from memory then, and neither workers nor a store take it.
    - ``fidelities``, a tuple of numbers of epochs, ascending, after which a child can be evaluated:
      `evaluate_one` and `submit` take ``epochs`` then, one of them. The last is a full training.
    """

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each of at least one architecture, in order."""


def fidelities_of(evaluator: object) -> tuple[int, ...]:
    """Return an evaluator's ``fidelities``; without them, none."""
    return tuple(getattr(evaluator, "fidelities", ()))


def partial_fingerprint(fingerprint: str, epochs: int | None) -> str:
    """Return the fingerprint of a training that is broken off after some epochs; None: it is not.

    It says all settings of the full training, whose learning rates the part has.
    """
    return fingerprint if epochs is None else f"{fingerprint}@{epochs}"


def at_epochs(epochs: int | None) -> dict[str, int]:
    """Return the argument that says after how many epochs a child is evaluated; None: after all.

    Evaluators without ``fidelities`` need not know it.
    """
    return {} if epochs is None else {"epochs": epochs}


def require_lasting(evaluator: object) -> None:
    """Raise `InvalidSettings` if an evaluator ``changes``."""
    require(
        not getattr(evaluator, "changes", False),
        f"evaluator: {type(evaluator).__name__} cannot be given to workers or to a store, since "
        "its answers change with weights that are trained in one process; use it as it is",
    )


class ChildEvaluator(Evaluator, Protocol):
    """An evaluator that makes one evaluation at a time, in a worker process for instance."""

    @property
    def fingerprint(self) -> str:
        """A digest of every setting that could change an evaluation."""

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the seed that `evaluate_one` uses."""

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        """Make an evaluation; ``repeat`` numbers those of an architecture, each with its seed.

        With ``fidelities``, it takes ``epochs``, too (see `Evaluator`).
        """


class ConcurrentEvaluator(Evaluator, Protocol):
    """An evaluator that makes several evaluations at a time: a pool of processes, a cluster."""

    @property
    def workers(self) -> int:
        """Number of evaluations that can be under way at a time."""

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """Ask for one evaluation; see `ChildEvaluator.evaluate_one`.

        A child that crashed, ran out of time or lost its worker has an `Evaluation` with that
        status, so the future raises for no child's failure.
        """

    def close(self) -> None:
        """End the workers; evaluations under way are lost."""


@runtime_checkable
class RecordedEvaluator(Evaluator, Protocol):
    """An evaluator that has all R evaluations at hand, as the rows of a few columns.

    Environments look networks up in it by arrays. Sequences with the same row are the same network:
    it is paid for once, and answered from memory from then on. A sequence that means no recorded
    network has a row too, one whose status says so.

    With ``fidelities`` (see `Evaluator`), `evaluation` takes ``epochs``, one of them; its seconds
    are those since the beginning of the training.
    """

    @property
    def search_space(self) -> SearchSpace:
        """Search space whose sequences of choices `rows` reads."""

    @property
    def columns(self) -> Mapping[str, NDArray[Any]]:
        """Arrays, (R,) each, by the name of the field of `Evaluation` that it holds.

        ``accuracy`` and ``seconds`` (float64) and ``status`` (str) are there; ``parameters``,
        ``multiply_adds``, ``latency`` and ``energy`` (float64, nan for None) may be, and are costs
        unless all are nan. The vector environment's ``info`` has them.
        """

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row, (N,) int64 in [0, R), of each of N complete sequences, (N, T)."""

    def evaluation(self, row: int) -> Evaluation:
        """Return the record of one row, with ``cached`` False; it agrees with the columns."""


@runtime_checkable
class ComputedEvaluator(Evaluator, Protocol):
    """An evaluator that computes evaluations of N networks by array operations: a surrogate.

    Environments ask for arrays. Equal sequences of choices are the same network.
    """

    @property
    def search_space(self) -> SearchSpace:
        """Search space whose sequences of choices `columns_of` reads."""

    def columns_of(self, choices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the columns of N complete, valid sequences, (N, T): as `RecordedEvaluator`'s."""

    def costs_of(self, choices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return those of the columns that are costs."""

    def evaluation(self, columns: Mapping[str, NDArray[Any]], index: int) -> Evaluation:
        """Return the evaluation in one row of columns, with ``cached`` False."""
