"""`Memory`: answers known networks without evaluating them again, and counts the budget."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.arrays import LookUp, arrays_of
from nas_gym.evaluation.budget import Budget, Limits
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.evaluation import COSTS, Evaluation, Evaluations, Listed
from nas_gym.evaluation.evaluator import Evaluator, RecordedEvaluator, at_epochs
from nas_gym.evaluation.futures import InFlight, repeated, resolved, then
from nas_gym.search_spaces import Choices, SearchSpace

SHORTCUTS = 2**14
"""Number of sequences of choices whose decoding is remembered."""


class Finished(NamedTuple):
    """Result of a finished sequence of choices."""

    architecture: str  # as JSON
    evaluation: Evaluation


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
        self.arrays = arrays_of(evaluator, self.budget)
        """Answers arrays of choices, if the evaluator is a recorded benchmark or a surrogate."""
        self.remembers = not getattr(evaluator, "changes", False)
        self._key: Callable[[Any], Hashable] = getattr(evaluator, "network_key", lambda each: each)

    def __deepcopy__(self, memo: dict[int, Any]) -> Memory:
        return self

    def __getstate__(self) -> dict[str, Any]:
        require(
            not hasattr(self.evaluator, "close"),
            f"pickle: {type(self.evaluator).__name__} stays in the process that opened it; "
            "pickle an environment without workers and store, or use copy.deepcopy",
        )
        kept = ("evaluator", "budget", "known", "arrays")
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
        assert self.arrays is not None
        return np.asarray(self.arrays.costs_of(choices)[cost], dtype=np.float64)

    @property
    def limits(self) -> CostLimits | None:
        """Hard limits of costs that are known before an evaluation; None if there are none."""
        limits: CostLimits | None = getattr(self.evaluator, "at_most", None)
        return None if self.arrays is None or limits == CostLimits() else limits

    def excess_of(self, choices: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return `CostLimits.excess` of complete, valid sequences, (N, T), for free: (N,)."""
        assert self.arrays is not None
        assert self.limits is not None
        return self.limits.excess(self.arrays.costs_of(choices))

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each architecture, in order; see `Evaluator.evaluate`."""
        if not architectures:
            return []
        if self.arrays is not None:
            encode = self.arrays.evaluator.search_space.encode
            found = self.arrays.evaluate(np.stack([encode(each) for each in architectures]))
            return [found[index] for index in range(len(architectures))]
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
        if isinstance(self.arrays, LookUp):
            return resolved(self.arrays.evaluate_one(architecture, epochs))
        submit = getattr(self.evaluator, "submit", None)
        if submit is None and epochs is None:
            return resolved(self.evaluate([architecture])[0])
        key = self._key(architecture)
        key = key if epochs is None else (key, epochs)

        def begin() -> Future[Evaluation]:
            if self.remembers and key in self.known:
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
        if self.arrays is not None:
            evaluation = self.arrays.evaluate(choices[np.newaxis])[0]
        else:
            evaluation = self.evaluate([architecture])[0]
        finished = Finished(architecture.to_json(), evaluation)
        if self.remembers:
            if len(self._shortcuts) == SHORTCUTS:
                self._shortcuts.clear()
            self._shortcuts[sequence] = finished._replace(evaluation=repeated(evaluation))
        return finished

    def evaluate_choices(
        self, stage: SearchSpace, choices: NDArray[np.int64], limits: Limits | None = None
    ) -> Evaluations:
        """Return the evaluations of N complete, valid sequences of choices, (N, T), as a batch.

        With ``limits``, of the first of them, until the budget reaches one.
        """
        if limits is not None:
            return self._affordable(stage, choices, limits)
        if self.arrays is not None:
            return self.arrays.evaluate(choices)
        return Listed(self.evaluate([stage.decode(sequence) for sequence in choices]))

    def _affordable(
        self, stage: SearchSpace, choices: NDArray[np.int64], limits: Limits
    ) -> Evaluations:
        made: list[Evaluation] = []
        while len(made) < len(choices) and (room := limits.room(self.budget)) > 0:
            batch = choices[len(made) : len(made) + room]  # those in memory leave room for others
            evaluations = self.evaluate_choices(stage, batch)
            made += [evaluations[index] for index in range(len(batch))]
        return Listed(made)


def memory_of(evaluator: Evaluator | Memory, search_space: SearchSpace) -> Memory:
    """Return a memory over an evaluator; a memory is returned as it is.

    Raises:
        InvalidSettings: it is a recorded benchmark of another search space.
    """
    memory = evaluator if isinstance(evaluator, Memory) else Memory(evaluator)
    arrays = memory.arrays
    require(
        arrays is None or arrays.evaluator.search_space.decisions == search_space.decisions,
        f"evaluator: its recorded evaluations are not of {search_space}'s decisions; "
        "pass the evaluator's own search_space",
    )
    return memory
