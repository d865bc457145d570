"""`Evaluation`, the record of what a child network was worth, and who makes it. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.in_flight import InFlight, repeated, resolved, then
from nas_gym.search_spaces import SearchSpace

Status = Literal["ok", "diverged", "out_of_memory", "timed_out", "crashed", "unbuildable"]


@dataclass(frozen=True)
class Evaluation:
    """What one child network was worth. A child that fails is an observation, not an exception."""

    status: Status
    accuracy: float
    """Validation accuracy after the last epoch that was trained, in [0, 1]; 0 unless ``status`` is
    "ok"."""
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
    """What went wrong, if anything did; or whose weights the child began with."""
    cached: bool = False
    """Whether this answer repeats an earlier evaluation instead of training again."""

    def to_dict(self) -> dict[str, Any]:
        """The record as plain JSON data."""
        return {**vars(self), "curve": list(self.curve)}


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


@dataclass
class Budget:
    """What a search has spent so far."""

    asked: int = 0
    """Evaluations asked for."""
    made: int = 0
    """Evaluations really made; the others were answered from memory, or from a store."""
    seconds: float = 0.0
    """Seconds of training in the evaluations made."""

    def count(self, evaluation: Evaluation) -> None:
        """Adds an evaluation, if it was really made."""
        if not evaluation.cached:
            self.made += 1
            self.seconds += evaluation.seconds


class Evaluations(ABC):
    """The evaluations of N finished networks, one by one or as arrays."""

    @abstractmethod
    def __getitem__(self, index: int) -> Evaluation: ...

    @cached_property
    @abstractmethod
    def columns(self) -> dict[str, NDArray[Any]]:
        """(N,) each: ``accuracy``, ``seconds``, ``status``, ``cached``, and what else is known."""


@dataclass(frozen=True)
class _Listed(Evaluations):
    """Evaluations that were made one by one."""

    made: list[Evaluation]

    def __getitem__(self, index: int) -> Evaluation:
        return self.made[index]

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        def column(name: str, dtype: Any) -> NDArray[Any]:
            return np.array([getattr(evaluation, name) for evaluation in self.made], dtype)

        numbers = (
            "accuracy",
            "seconds",
            "parameters",
            "multiply_adds",
            "latency",
        )  # None becomes nan
        return {
            **{name: column(name, np.float64) for name in numbers},  # None becomes nan
            "status": column("status", np.str_),
            "cached": column("cached", np.bool_),
        }


@dataclass(frozen=True)
class _Rows(Evaluations):
    """Evaluations that stand in rows of a recorded benchmark."""

    recorded: RecordedEvaluator
    rows: NDArray[np.int64]  # (N,)
    cached: NDArray[np.bool_]  # (N,)

    def __getitem__(self, index: int) -> Evaluation:
        evaluation = self.recorded.evaluation(int(self.rows[index]))
        if not self.cached[index]:
            return evaluation
        return Evaluation(**{**vars(evaluation), "cached": True})  # half the time of `replace`

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        columns = {name: column.take(self.rows) for name, column in self.recorded.columns.items()}
        return {**columns, "cached": self.cached}


@dataclass
class CachingEvaluator:
    """Answers what was evaluated before from memory, and counts the budget.

    Architectures with the same `Architecture.key`, or with the same row of a `RecordedEvaluator`,
    are the same network, and are evaluated once; unless the evaluator ``changes``. The first answer
    says what the evaluator said in ``cached`` (a store may have known it from another run), and
    counts in the budget unless it was; the later ones are cached.
    """

    evaluator: Evaluator
    budget: Budget = field(default_factory=Budget)
    known: dict[str, Evaluation] = field(default_factory=dict)
    """By key, as the evaluator gave it."""

    def __post_init__(self) -> None:
        self._in_flight, self._lock = InFlight(), Lock()
        evaluator = self.evaluator
        self.recorded = evaluator if isinstance(evaluator, RecordedEvaluator) else None
        self.remembers = not getattr(evaluator, "changes", False)
        """Whether anything is answered from memory; see `Evaluator`."""
        if self.recorded is not None:
            number = len(self.recorded.columns["accuracy"])
            self._paid = np.zeros(number, dtype=np.bool_)  # (R,)
            self._first = np.zeros(number, dtype=np.int64)  # (R,): where in a batch it is first

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """As `Evaluator.evaluate`; an answer from memory says so in ``cached``."""
        if self.recorded is not None and architectures:
            encode = self.recorded.search_space.encode
            found = self._look_up(np.stack([encode(each) for each in architectures]))
            return [found[index] for index in range(len(architectures))]
        if not self.remembers:
            return self._evaluate_anew(architectures)
        keys = [architecture.key for architecture in architectures]
        under_way = self._in_flight.of(keys)
        new = {
            key: architecture
            for key, architecture in zip(keys, architectures, strict=True)
            if key not in under_way and key not in self.known
        }
        made = self.evaluator.evaluate(list(new.values()))
        for key, evaluation in zip(new, made, strict=True):
            self._learn(key, evaluation)
        for future in under_way.values():
            future.result()
        self.budget.asked += len(keys)
        return [
            self.known[key] if new.pop(key, None) else repeated(self.known[key]) for key in keys
        ]

    def _evaluate_anew(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """`evaluate` without memory."""
        made = self.evaluator.evaluate(architectures)
        self.budget.asked += len(made)
        for evaluation in made:
            self.budget.count(evaluation)
        return made

    def submit(self, architecture: Architecture) -> Future[Evaluation]:
        """Asks for one evaluation; the same answer and the same budget as `evaluate`'s.

        It returns at once where the evaluator has a ``submit`` (see `ConcurrentEvaluator`); one
        that is under way already is not begun again. Otherwise the evaluation is made before this
        returns. Calls come from one thread.
        """
        submit = getattr(self.evaluator, "submit", None)
        if submit is None:
            return resolved(self.evaluate([architecture])[0])
        key = architecture.key

        def begin() -> Future[Evaluation]:
            if key in self.known:
                return resolved(repeated(self.known[key]))
            return then(submit(architecture), lambda made: self._learn(key, made))

        self.budget.asked += 1
        return self._in_flight.join(key, begin)

    def _learn(self, key: str, evaluation: Evaluation) -> Evaluation:
        """Remembers and counts a new evaluation."""
        with self._lock:
            self.known[key] = evaluation
            self.budget.count(evaluation)
        return evaluation

    def evaluate_choices(
        self, search_space: SearchSpace, choices: NDArray[np.int64]
    ) -> Evaluations:
        """The evaluations of N complete, valid sequences of choices, (N, T), as one batch."""
        if self.recorded is not None:
            return self._look_up(choices)
        return _Listed(self.evaluate([search_space.decode(sequence) for sequence in choices]))

    def _look_up(self, choices: NDArray[np.int64]) -> Evaluations:
        """`evaluate_choices` in a recorded benchmark."""
        assert self.recorded is not None
        rows = self.recorded.rows(choices)
        cached = self._paid[rows]
        if not cached.all():
            self._pay(rows, cached)
        self.budget.asked += len(rows)
        return _Rows(self.recorded, rows, cached)

    def _pay(self, rows: NDArray[np.int64], cached: NDArray[np.bool_]) -> None:
        """Counts the rows that are new, and marks all but the first of each as cached."""
        assert self.recorded is not None
        if len(rows) == 1:  # as below, at a third of the cost
            self._paid[rows] = True
            self.budget.made += 1
            self.budget.seconds += float(self.recorded.columns["seconds"][rows[0]])
            return
        places = np.arange(len(rows))
        self._first[rows[::-1]] = places[::-1]  # of equal rows, the first is written last
        np.logical_or(cached, self._first[rows] != places, out=cached)
        new = rows[~cached]
        self._paid[new] = True
        self.budget.made += len(new)
        self.budget.seconds += float(self.recorded.columns["seconds"][new].sum())
