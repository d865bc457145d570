"""Never twice: an evaluator that answers from a store, and writes into it. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from functools import partial
from statistics import fmean

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, require, require_integer
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import ChildEvaluator, ConcurrentEvaluator, require_lasting
from nas_gym.evaluation.futures import InFlight, gather, repeated, resolved, then
from nas_gym.store.store import Record, Store


class StoredEvaluator:
    """A `ConcurrentEvaluator` over another evaluator and a `Store`.

    What the store knows under the same key and fingerprint is not evaluated again; what is not
    known is written into the store the moment it is evaluated, before its future has it. Two that
    are the same network and under way at a time are one evaluation.

    What another run made comes back with ``cached`` True. What this run made before it was
    interrupted comes back as it was first made, so that a run which is resumed under the same name
    spends the budget that it would have spent without the interruption. Of two runs that evaluate
    the same network at the same time, the first to write it made it, and both have its answer.

    Args:
        evaluator: What makes the evaluations: a `ChildEvaluator` in this process, or a
            `ConcurrentEvaluator`.
        store: Where they are kept. Whoever opened it closes it.
        run: The name of the run, one that no other run has and that stays when it is resumed.
        repeats: How many times each architecture is evaluated, each with a seed and a row of its
            own. The answer is one evaluation: see `mean_of`.
        fingerprint: Of the evaluator; by default, what it says itself.

    Raises:
        InvalidSettings: the evaluator cannot evaluate one child, has no fingerprint, or its answers
            change; ``repeats`` is less than 1.
    """

    def __init__(
        self,
        evaluator: ChildEvaluator | ConcurrentEvaluator,
        store: Store,
        run: str,
        repeats: int = 1,
        fingerprint: str | None = None,
    ) -> None:
        require_lasting(evaluator)
        require_integer("repeats", repeats, least=1)
        require(run != "", "run: expected the name of a run, got an empty one")
        self.evaluator, self.store, self.run, self.repeats = evaluator, store, run, repeats
        self._begin = _beginning(evaluator)
        found = fingerprint or getattr(evaluator, "fingerprint", None)
        require(
            isinstance(found, str) and found != "",
            f"store: {type(evaluator).__name__} has no fingerprint, which says when two "
            "evaluations are alike; give it one",
        )
        self._fingerprint = str(found)
        self._in_flight = InFlight()
        self._answered: set[tuple[str, int]] = set()

    @property
    def workers(self) -> int:
        """How many evaluations can be under way at a time."""
        return int(getattr(self.evaluator, "workers", 1))

    @property
    def fingerprint(self) -> str:
        """Of its answers: the evaluator's own, and the repeats if there are any."""
        return self._fingerprint + (f"*{self.repeats}" if self.repeats > 1 else "")

    @property
    def costs(self) -> tuple[str, ...]:
        """As the evaluator's, if it says them; see `nas_gym.rewards.check_costs`."""
        costs: tuple[str, ...] = self.evaluator.costs  # type: ignore[union-attr]
        return costs

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`, by which a store keeps evaluations."""
        return architecture.key

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """As `Evaluator.evaluate`; in falling order of the evaluator's ``cost``, if it has one.

        Raises:
            StoreError: the store failed; what was written before is in it.
        """
        places = list(range(len(architectures)))
        cost = getattr(self.evaluator, "cost", None)
        if cost is not None:
            costs = [cost(architecture) for architecture in architectures]
            places.sort(key=lambda place: -costs[place])
        futures = {place: self.submit(architectures[place]) for place in places}
        return [futures[place].result() for place in range(len(architectures))]

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """Asks for one evaluation; with ``repeats`` R, for the mean of R from R * ``repeat`` on.

        The future raises `StoreError` if the evaluation could not be written. Over an evaluator in
        this process, the evaluation is made before this returns.
        """
        repeats = range(self.repeats * repeat, self.repeats * (repeat + 1))
        futures = [self._submit_one(architecture, each) for each in repeats]
        if self.repeats == 1:
            return futures[0]
        return gather(futures, lambda made: replace(mean_of(made), fingerprint=self.fingerprint))

    def close(self) -> None:
        """Ends the evaluator's workers; the store stays open."""
        close = getattr(self.evaluator, "close", None)
        if close is not None:
            close()

    def _submit_one(self, architecture: Architecture, repeat: int) -> Future[Evaluation]:
        key = architecture.key

        def begin() -> Future[Evaluation]:
            known = self.store.get(key, self._fingerprint, repeat, self.run)
            if known is not None:
                return resolved(self._answer(known))
            return then(self._begin(architecture, repeat), partial(self._add, architecture, repeat))

        return self._in_flight.join((key, repeat), begin)

    def _add(self, architecture: Architecture, repeat: int, made: Evaluation) -> Evaluation:
        """Writes a new evaluation; the answer is what the store has from now on."""
        require(
            made.fingerprint == self._fingerprint,
            f"store: an evaluation has the fingerprint {made.fingerprint!r}, its evaluator "
            f"{self._fingerprint!r}; it would never be found again",
        )
        return self._answer(self.store.add(architecture, made, self.run, repeat))

    def _answer(self, record: Record) -> Evaluation:
        asked = (record.key, record.repeat)
        again = asked in self._answered
        self._answered.add(asked)
        if again or record.run != self.run:
            return repeated(record.evaluation)
        return record.evaluation


def _beginning(evaluator: object) -> Callable[[Architecture, int], Future[Evaluation]]:
    """What begins one evaluation of an evaluator's."""
    submit = getattr(evaluator, "submit", None)
    if submit is not None:
        return partial(submit)
    evaluate_one = getattr(evaluator, "evaluate_one", None)
    if evaluate_one is None:
        raise InvalidSettings(
            f"store: {type(evaluator).__name__} does not evaluate one child at a time; a recorded "
            "benchmark needs no store, another evaluator needs evaluate_one or submit"
        )
    return lambda architecture, repeat: resolved(evaluate_one(architecture, repeat))


def mean_of(repeats: Sequence[Evaluation]) -> Evaluation:
    """Several evaluations of one architecture, with different seeds, as one.

    Accuracy, curve and latency are the mean (the curve's over the epochs that all had), seconds the
    sum; status and message are those of the first that is not "ok", if there is one, and then the
    accuracy is 0. All else is the first one's. It is ``cached`` if all of them are.
    """
    first = next((each for each in repeats if each.status != "ok"), repeats[0])
    latencies = [each.latency for each in repeats if each.latency is not None]
    return replace(
        repeats[0],
        status=first.status,
        message=first.message,
        accuracy=fmean(each.accuracy for each in repeats) if first.status == "ok" else 0.0,
        curve=tuple(map(fmean, zip(*(each.curve for each in repeats), strict=False))),
        seconds=sum(each.seconds for each in repeats),
        latency=fmean(latencies) if latencies else None,
        cached=all(each.cached for each in repeats),
    )
