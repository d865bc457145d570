"""`Memory`: what was evaluated before is answered from memory, and the budget is counted."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.evaluation.budget import Budget
from nas_gym.evaluation.evaluation import Evaluation, Evaluations, _Listed
from nas_gym.evaluation.evaluator import Evaluator, RecordedEvaluator
from nas_gym.evaluation.futures import InFlight, repeated, resolved, then
from nas_gym.search_spaces import SearchSpace


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
