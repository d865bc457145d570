"""Evaluations as arrays: looked up in a recorded benchmark, or computed by a surrogate."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.evaluation.budget import Budget
from nas_gym.evaluation.evaluation import COSTS, Evaluation, Evaluations
from nas_gym.evaluation.evaluator import ComputedEvaluator, Evaluator, RecordedEvaluator, at_epochs
from nas_gym.evaluation.futures import repeated


@dataclass(frozen=True)
class _Rows(Evaluations):
    """Evaluations that stand in rows of a recorded benchmark."""

    recorded: RecordedEvaluator
    rows: NDArray[np.int64]  # (N,)
    cached: NDArray[np.bool_]  # (N,)

    def __getitem__(self, index: int) -> Evaluation:
        evaluation = self.recorded.evaluation(int(self.rows[index]))
        return repeated(evaluation) if self.cached[index] else evaluation

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        columns = {name: column.take(self.rows) for name, column in self.recorded.columns.items()}
        return {**columns, "cached": self.cached}


@dataclass(frozen=True)
class _Computed(Evaluations):
    """Evaluations that were computed as arrays."""

    computed: ComputedEvaluator
    made: dict[str, NDArray[Any]]  # (N,) each, with ``cached``

    def __getitem__(self, index: int) -> Evaluation:
        evaluation = self.computed.evaluation(self.made, index)
        return repeated(evaluation) if self.made["cached"][index] else evaluation

    @cached_property
    def columns(self) -> dict[str, NDArray[Any]]:
        return self.made


class LookUp:
    """Looks evaluations up in a recorded benchmark; the budget pays for each row once.

    Sequences that are not recorded share a row, and are paid for once each.
    """

    def __init__(self, evaluator: RecordedEvaluator, budget: Budget) -> None:
        self.evaluator, self.budget = evaluator, budget
        num_rows = len(evaluator.columns["accuracy"])
        self._missing = evaluator.columns["status"] == "unrecorded"  # (R,)
        self._missed: set[bytes] = set()  # the sequences in such rows that are paid
        self._paid = self._missing.copy()  # (R,)
        self._first = np.zeros(num_rows, dtype=np.int64)  # (R,): where in a batch it is first
        self._parts: dict[tuple[int | bytes, int | None], Evaluation] = {}  # by network and epochs
        self._part_seconds: dict[int | bytes, float] = {}  # of the parts that are paid

    def costs_of(self, choices: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return the costs of complete, valid sequences, (N, T), for free: (N,) each."""
        rows, columns = self.evaluator.rows(choices), self.evaluator.columns
        return {name: columns[name].take(rows) for name in COSTS if name in columns}

    def evaluate(self, choices: NDArray[np.int64]) -> Evaluations:
        """Return the evaluations of complete, valid sequences, (N, T)."""
        rows = self.evaluator.rows(choices)
        cached = self._paid[rows]
        if not cached.all():
            self._pay(rows, cached)
        for place in np.flatnonzero(self._missing[rows]).tolist():
            cached[place] = not self._pay_missing(choices[place])
        self.budget.asked += len(rows)
        return _Rows(self.evaluator, rows, cached)

    def evaluate_one(self, architecture: Architecture, epochs: int | None) -> Evaluation:
        """Return an evaluation after some epochs; its seconds are those since the part before."""
        choices = self.evaluator.search_space.encode(architecture)[np.newaxis]
        row = int(self.evaluator.rows(choices)[0])
        network = choices.tobytes() if self._missing[row] else row
        if epochs is None and network not in self._part_seconds:
            return self.evaluate(choices)[0]
        self.budget.asked += 1
        if (network, epochs) in self._parts:
            return repeated(self._parts[network, epochs])
        made = self.evaluator.evaluation(row, **at_epochs(epochs))
        whole = float(self.evaluator.columns["seconds"][row]) if self._paid[row] else 0.0
        paid = max(self._part_seconds.get(network, 0.0), whole)
        self._part_seconds[network] = max(paid, made.seconds)
        self._paid[row] |= epochs is None
        made = self._parts[network, epochs] = replace(made, seconds=max(0.0, made.seconds - paid))
        self.budget.count(made)
        return made

    def _pay(self, rows: NDArray[np.int64], cached: NDArray[np.bool_]) -> None:
        """Count the rows that are new, and mark all but the first of each as cached."""
        if len(rows) == 1:  # as below, at a third of the cost
            self._paid[rows] = True
            self.budget.made += 1
            self.budget.seconds += float(self.evaluator.columns["seconds"][rows[0]])
            return
        places = np.arange(len(rows))
        self._first[rows[::-1]] = places[::-1]  # of equal rows, the first is written last
        np.logical_or(cached, self._first[rows] != places, out=cached)
        new = rows[~cached]
        self._paid[new] = True
        self.budget.made += len(new)
        self.budget.seconds += float(self.evaluator.columns["seconds"][new].sum())

    def _pay_missing(self, sequence: NDArray[np.int64]) -> bool:
        """Count a sequence, (T,), that is not recorded; return False if it was paid before."""
        key = sequence.astype(np.int64).tobytes()
        if key in self._missed:
            return False
        self._missed.add(key)
        self.budget.made += 1
        return True


class Computation:
    """Computes evaluations; the budget pays for each sequence of choices once."""

    def __init__(self, evaluator: ComputedEvaluator, budget: Budget) -> None:
        self.evaluator, self.budget = evaluator, budget
        self.costs_of = evaluator.costs_of
        self._seen: set[bytes] = set()

    def evaluate(self, choices: NDArray[np.int64]) -> Evaluations:
        """Return the evaluations of complete, valid sequences, (N, T)."""
        columns = self.evaluator.columns_of(choices)
        small = choices.astype(np.min_scalar_type(self.evaluator.search_space.num_actions), "C")
        seen, known = self._seen, []
        for key in small.view(f"V{small[0].nbytes}")[:, 0].tolist():  # each row as bytes
            known.append(key in seen)
            seen.add(key)
        cached = np.array(known)
        self.budget.asked += len(choices)
        self.budget.made += int((~cached).sum())
        self.budget.seconds += float(columns["seconds"][~cached].sum())
        return _Computed(self.evaluator, {**columns, "cached": cached})


def arrays_of(evaluator: Evaluator, budget: Budget) -> LookUp | Computation | None:
    """Return what an evaluator answers arrays of choices with; None if it does not."""
    if isinstance(evaluator, RecordedEvaluator):
        return LookUp(evaluator, budget)
    return Computation(evaluator, budget) if isinstance(evaluator, ComputedEvaluator) else None
