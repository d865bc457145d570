"""`Memory`: answers known networks without evaluating them again, and counts the budget."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.budget import Budget
from nas_gym.evaluation.evaluation import COSTS, Evaluation, Evaluations, Listed
from nas_gym.evaluation.evaluator import (
    ComputedEvaluator,
    Evaluator,
    RecordedEvaluator,
    at_epochs,
)
from nas_gym.evaluation.futures import InFlight, repeated, resolved, then
from nas_gym.search_spaces import Choices, SearchSpace

SHORTCUTS = 2**14
"""Number of sequences of choices whose decoding is remembered."""


class Finished(NamedTuple):
    """Result of a finished sequence of choices."""

    architecture: str  # as JSON
    evaluation: Evaluation


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


@dataclass
class Memory:
    """Remembers the evaluation of every network, and counts the budget.

    The evaluator says which architectures are the same network (see `Evaluator`), and each network
    is evaluated once; unless the evaluator ``changes``. The first answer keeps the evaluator's
    ``cached`` (a store may know the evaluation from another run), and counts in the budget unless
    it is true; later answers are ``cached``. An evaluator is never asked for an empty batch.

    A deep copy is the memory itself; a pickle carries what was evaluated until then.
    """

    evaluator: Evaluator
    """Evaluates the networks that are not known yet."""
    budget: Budget = field(default_factory=Budget)
    known: dict[Hashable, Evaluation] = field(default_factory=dict)
    """The evaluator's answers, by network; a recorded benchmark needs no entries."""

    def __post_init__(self) -> None:
        self._in_flight, self._lock = InFlight(), Lock()
        self._shortcuts: dict[tuple[SearchSpace, bytes], Finished] = {}  # by stage and choices
        evaluator = self.evaluator
        self.recorded = evaluator if isinstance(evaluator, RecordedEvaluator) else None
        self.computed = evaluator if isinstance(evaluator, ComputedEvaluator) else None
        self._seen: set[bytes] = set()  # the sequences of choices that were computed
        self.remembers = not getattr(evaluator, "changes", False)
        self._key: Callable[[Any], Hashable] = getattr(evaluator, "network_key", lambda each: each)
        self._part_seconds: dict[int, float] = {}  # of recorded trainings of which a part is paid
        if self.recorded is not None:
            num_rows = len(self.recorded.columns["accuracy"])
            self._paid = np.zeros(num_rows, dtype=np.bool_)  # (R,)
            self._first = np.zeros(num_rows, dtype=np.int64)  # (R,): where in a batch it is first

    def __deepcopy__(self, memo: dict[int, Any]) -> Memory:
        return self

    def __getstate__(self) -> dict[str, Any]:
        require(
            not hasattr(self.evaluator, "close"),
            f"pickle: {type(self.evaluator).__name__} stays in the process that opened it; "
            "pickle an environment without workers and store, or use copy.deepcopy",
        )
        kept = ("evaluator", "budget", "known", "_paid", "_seen", "_part_seconds")
        return {name: value for name, value in vars(self).items() if name in kept}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()
        vars(self).update(state)  # what is paid, too

    @property
    def costs(self) -> tuple[str, ...] | None:
        """Costs that every evaluation has: the evaluator's ``costs``, or a benchmark's columns.

        None if they are not known.
        """
        declared: tuple[str, ...] | None = getattr(self.evaluator, "costs", None)
        if declared is not None or self.recorded is None:
            return declared
        columns = self.recorded.columns
        return tuple(n for n in COSTS if n in columns and not np.isnan(columns[n]).all())

    def cost_of(self, choices: NDArray[np.int64], cost: str) -> NDArray[np.float64]:
        """Return one of the ``costs`` of complete, valid sequences, (N, T), for free: (N,).

        Only a benchmark, recorded or computed, knows them before an evaluation.
        """
        if self.recorded is not None:
            known = self.recorded.columns[cost].take(self.recorded.rows(choices))
        else:
            assert self.computed is not None
            known = self.computed.columns_of(choices)[cost]
        return np.asarray(known, dtype=np.float64)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each architecture, in order; see `Evaluator.evaluate`."""
        if not architectures:
            return []
        if self.recorded is not None:
            encode = self.recorded.search_space.encode
            found = self._look_up(np.stack([encode(each) for each in architectures]))
            return [found[index] for index in range(len(architectures))]
        if self.computed is not None:
            encode = self.computed.search_space.encode
            computed = self._compute(np.stack([encode(each) for each in architectures]))
            return [computed[index] for index in range(len(architectures))]
        if not self.remembers:
            made = self.evaluator.evaluate(architectures)
            self.budget.asked += len(made)
            for evaluation in made:
                self.budget.count(evaluation)
            return made
        return self._remembered(architectures)

    def _remembered(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return evaluations from memory, after evaluating those that are new."""
        keys = [self._key(architecture) for architecture in architectures]
        under_way = self._in_flight.of(keys)
        new: dict[Hashable, Architecture] = {}
        for key, architecture in zip(keys, architectures, strict=True):
            if key not in under_way and key not in self.known:
                new.setdefault(key, architecture)
        if new:
            made = self.evaluator.evaluate(list(new.values()))
            for key, evaluation in zip(new, made, strict=True):
                self._learn(key, evaluation)
        for future in under_way.values():
            future.result()
        self.budget.asked += len(keys)
        known = self.known
        return [known[key] if new.pop(key, None) else repeated(known[key]) for key in keys]

    def submit(self, architecture: Architecture, epochs: int | None = None) -> Future[Evaluation]:
        """Ask for one evaluation, from one thread, with the answer and the budget of `evaluate`.

        It returns at once where the evaluator has a ``submit`` (see `ConcurrentEvaluator`); an
        evaluation that is under way is not begun again. Other evaluators evaluate before.

        Args:
            architecture: The architecture.
            epochs: One of the evaluator's ``fidelities`` but the last, after which its training is
                broken off; default: none. What was trained before is not paid again.
        """
        if self.recorded is not None and (epochs is not None or self._part_seconds):
            return resolved(self._look_up_part(architecture, epochs))
        submit = getattr(self.evaluator, "submit", None)
        if submit is None and epochs is None:
            return resolved(self.evaluate([architecture])[0])
        key = self._key(architecture)
        key = key if epochs is None else (key, epochs)

        def begin() -> Future[Evaluation]:
            if key in self.known:
                return resolved(repeated(self.known[key]))
            if submit is None:
                made = self.evaluator.evaluate_one(architecture, epochs=epochs)  # type: ignore[attr-defined]
                return resolved(self._learn(key, made))
            asked = submit(architecture, **at_epochs(epochs))
            return then(asked, lambda made: self._learn(key, made))

        self.budget.asked += 1
        return self._in_flight.join(key, begin)

    def _learn(self, key: Hashable, evaluation: Evaluation) -> Evaluation:
        """Remember and count a new evaluation."""
        with self._lock:
            self.known[key] = evaluation
            self.budget.count(evaluation)
        return evaluation

    def finish(self, stage: SearchSpace, choices: Choices) -> Finished:
        """Return architecture and evaluation of a complete, valid sequence of choices, (T,).

        ``stage`` is the search space in which they were made; see `SearchSpace.stage`.
        """
        sequence = (stage, choices.tobytes())
        finished = self._shortcuts.get(sequence)
        if finished is not None:
            self.budget.asked += 1
            return finished
        architecture = stage.decode(choices)
        if self.recorded is not None:
            evaluation = self._look_up(choices[np.newaxis])[0]
        else:
            evaluation = self.evaluate([architecture])[0]
        finished = Finished(architecture.to_json(), evaluation)
        if self.remembers:
            if len(self._shortcuts) == SHORTCUTS:
                self._shortcuts.clear()
            self._shortcuts[sequence] = finished._replace(evaluation=repeated(evaluation))
        return finished

    def evaluate_choices(self, stage: SearchSpace, choices: NDArray[np.int64]) -> Evaluations:
        """Return the evaluations of N complete, valid sequences of choices, (N, T), as a batch."""
        if self.recorded is not None:
            return self._look_up(choices)
        if self.computed is not None:
            return self._compute(choices)
        return Listed(self.evaluate([stage.decode(sequence) for sequence in choices]))

    def _compute(self, choices: NDArray[np.int64]) -> Evaluations:
        """Evaluate sequences of choices, (N, T), by array operations."""
        assert self.computed is not None
        columns = self.computed.columns_of(choices)
        cached = np.zeros(len(choices), dtype=np.bool_)
        for index, sequence in enumerate(choices):
            before = len(self._seen)
            self._seen.add(sequence.tobytes())
            cached[index] = len(self._seen) == before
        self.budget.asked += len(choices)
        self.budget.made += int((~cached).sum())
        self.budget.seconds += float(columns["seconds"][~cached].sum())
        return _Computed(self.computed, {**columns, "cached": cached})

    def _look_up(self, choices: NDArray[np.int64]) -> Evaluations:
        """Evaluate sequences of choices, (N, T), in a recorded benchmark."""
        assert self.recorded is not None
        rows = self.recorded.rows(choices)
        cached = self._paid[rows]
        if not cached.all():
            self._pay(rows, cached)
        self.budget.asked += len(rows)
        return _Rows(self.recorded, rows, cached)

    def _look_up_part(self, architecture: Architecture, epochs: int | None) -> Evaluation:
        """Look up a training after some epochs; its seconds are those since the part before."""
        assert self.recorded is not None
        row = int(self.recorded.rows(self.recorded.search_space.encode(architecture)[None])[0])
        if epochs is None and row not in self._part_seconds:
            return self.evaluate([architecture])[0]
        self.budget.asked += 1
        if (row, epochs) in self.known:
            return repeated(self.known[row, epochs])
        made = self.recorded.evaluation(row, **at_epochs(epochs))
        whole = float(self.recorded.columns["seconds"][row]) if self._paid[row] else 0.0
        paid = max(self._part_seconds.get(row, 0.0), whole)
        self._part_seconds[row] = max(paid, made.seconds)
        self._paid[row] |= epochs is None
        return self._learn((row, epochs), replace(made, seconds=max(0.0, made.seconds - paid)))

    def _pay(self, rows: NDArray[np.int64], cached: NDArray[np.bool_]) -> None:
        """Count the rows that are new, and mark all but the first of each as cached."""
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


def memory_of(evaluator: Evaluator | Memory, search_space: SearchSpace) -> Memory:
    """Return a memory over an evaluator; a memory is returned as it is.

    Raises:
        InvalidSettings: it is a recorded benchmark of another search space.
    """
    memory = evaluator if isinstance(evaluator, Memory) else Memory(evaluator)
    recorded = memory.recorded or memory.computed
    require(
        recorded is None or recorded.search_space.decisions == search_space.decisions,
        f"evaluator: its recorded evaluations are not of {search_space}'s decisions; "
        "pass the evaluator's own search_space",
    )
    return memory
