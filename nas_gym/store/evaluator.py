"""Evaluates nothing twice: answers come from a store, and go into it. No torch here."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import partial
from statistics import fmean
from typing import Any

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import (
    ChildEvaluator,
    ConcurrentEvaluator,
    at_epochs,
    fidelities_of,
    partial_fingerprint,
    require_lasting,
)
from nas_gym.evaluation.futures import InFlight, gather, promise, repeated, resolved, settle
from nas_gym.settings import Repeats, validated
from nas_gym.store.rows import Record
from nas_gym.store.store import Store
from nas_gym.store.writer import Writer


class StoredEvaluator:
    """A `ConcurrentEvaluator` over another evaluator and a `Store`.

    An architecture that the store has under the same key and fingerprint is not evaluated again; a
    new evaluation is written into the store before its future has it. The same network, asked for
    twice at a time, is evaluated once.

    An evaluation of another run is returned with ``cached`` True. One that this run made before it
    was interrupted is returned as it was first made, so that a run which is resumed under the same
    name spends the budget that it would have spent without the interruption. If two runs evaluate
    the same network at the same time, both return the evaluation that was written first, and
    ``cached`` is False for both: each has made one.

    Args:
        evaluator: Makes the evaluations: a `ChildEvaluator` in this process, or a
            `ConcurrentEvaluator`.
        store: Keeps them. The caller closes it.
        run: Name of the run, unique among runs, and the same when the run is resumed.
        repeats: Number of evaluations of each architecture, each with its own seed and row. They
            are returned as one evaluation: see `mean_of`.
        fingerprint: Fingerprint of the evaluator; default: its own ``fingerprint``.

    Raises:
        InvalidSettings: the evaluator cannot evaluate one child, has no fingerprint, or its answers
            change; ``repeats`` is less than 1.
    """

    @validated
    def __init__(
        self,
        evaluator: Any,  # a ChildEvaluator or ConcurrentEvaluator
        store: Store,
        run: str,
        repeats: Repeats = 1,
        fingerprint: str | None = None,
    ) -> None:
        require_lasting(evaluator)
        require(run != "", "run: expected the name of a run, got an empty one")
        self.evaluator: ChildEvaluator | ConcurrentEvaluator = evaluator
        self.store, self.run, self.repeats = store, run, repeats
        self._writer, self._concurrent = Writer(store), hasattr(evaluator, "submit")
        require(
            self._concurrent or hasattr(evaluator, "evaluate_one"),
            f"store: {type(evaluator).__name__} does not evaluate one child at a time; a recorded "
            "benchmark needs no store, another evaluator needs evaluate_one or submit",
        )
        found = fingerprint or getattr(evaluator, "fingerprint", "")
        require(
            isinstance(found, str) and found != "",
            f"store: {type(evaluator).__name__} has no fingerprint, which says when two "
            "evaluations are alike; give it one",
        )
        self._fingerprint = str(found)
        self.fingerprint = self._fingerprint + (f"*{repeats}" if repeats > 1 else "")
        """Fingerprint of the answers: the evaluator's own, and the repeats if there are several."""
        self._in_flight = InFlight()
        self._answered: set[tuple[str, str, int]] = set()

    @property
    def workers(self) -> int:
        """Number of evaluations that can be under way at a time."""
        return int(getattr(self.evaluator, "workers", 1))

    @property
    def fidelities(self) -> tuple[int, ...]:
        """The evaluator's; see `nas_gym.evaluation.Evaluator`."""
        return fidelities_of(self.evaluator)

    @property
    def costs(self) -> tuple[str, ...]:
        """Costs that the evaluator declares, if it does; see `nas_gym.rewards.check_costs`."""
        return self.evaluator.costs  # type: ignore[union-attr, no-any-return]

    def network_key(self, architecture: Architecture) -> str:
        """Return `Architecture.key`, by which a store keeps evaluations."""
        return architecture.key

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Evaluate a batch, in falling order of the evaluator's ``cost`` if it has one.

        If the store fails (`StoreError`), earlier evaluations of the batch are in it.
        """
        cost = getattr(self.evaluator, "cost", None) or (lambda architecture: 0.0)
        costs = [-cost(architecture) for architecture in architectures]
        places = sorted(range(len(costs)), key=costs.__getitem__)
        futures = {place: self.submit(architectures[place]) for place in places}
        return [futures[place].result() for place in range(len(architectures))]

    def submit(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Future[Evaluation]:
        """Ask for one evaluation; with ``repeats`` R, for the mean of R from R * ``repeat`` on.

        The future raises `StoreError` if the evaluation could not be written. Over an evaluator in
        this process, the evaluation is made before this returns.
        """
        return self.submit_repeats(architecture, [repeat], epochs)[0]

    def submit_repeats(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
    ) -> list[Future[Evaluation]]:
        """Ask for several evaluations, as `submit` does; they may be trained as one network."""
        number = self.repeats
        numbers = [number * repeat + each for repeat in repeats for each in range(number)]
        futures = self._submit_all(architecture, numbers, epochs)
        if number == 1:
            return futures
        means = (futures[at : at + number] for at in range(0, len(futures), number))
        fingerprint = partial_fingerprint(self.fingerprint, epochs)
        return [gather(each, partial(_mean, fingerprint)) for each in means]

    def has(self, architecture: Architecture, epochs: int | None = None) -> bool:
        """Return True if the store answers for an architecture, and nothing would be evaluated."""
        key, fingerprint = architecture.key, partial_fingerprint(self._fingerprint, epochs)
        repeats = range(self.repeats)
        return all(self.store.get(key, fingerprint, each, self.run) for each in repeats)

    def accuracies(self, runs: str) -> list[float]:
        """Return the accuracies of children of other runs, in whose names ``runs`` is."""
        return self.store.accuracies(self._fingerprint, runs, self.run, self.repeats)

    def cancel(self) -> None:
        """End the evaluations that are under way, where the evaluator can; see `Pool.cancel`."""
        getattr(self.evaluator, "cancel", lambda: None)()

    def close(self) -> None:
        """End the evaluator's workers, and write what they made; the store stays open."""
        getattr(self.evaluator, "close", lambda: None)()
        self._writer.close()

    def _submit_all(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None
    ) -> list[Future[Evaluation]]:
        key, missing = architecture.key, dict[int, Future[Evaluation]]()
        fingerprint = partial_fingerprint(self._fingerprint, epochs)

        def begin(repeat: int) -> Future[Evaluation]:
            if record := self.store.get(key, fingerprint, repeat, self.run):
                return resolved(self._answer(record))
            missing[repeat], answered = promise(), promise()
            then_write = partial(self._write, architecture, fingerprint, repeat, answered)
            missing[repeat].add_done_callback(then_write)
            return answered

        kinds = [(key, fingerprint, each) for each in repeats]
        try:
            futures = [self._in_flight.join(kind, partial(begin, kind[-1])) for kind in kinds]
            begun = self._begun(architecture, list(missing), at_epochs(epochs))
            for repeat, source in zip(list(missing), begun, strict=True):
                source.add_done_callback(partial(_pass_on, missing.pop(repeat)))
        except BaseException as error:
            for future in missing.values():
                future.set_exception(error)
            raise
        return futures

    def _begun(
        self, architecture: Architecture, repeats: list[int], part: dict[str, int]
    ) -> Iterator[Future[Evaluation]]:
        """Begin evaluations, one for each repeat; each here is written before the next is made."""
        evaluator: Any = self.evaluator
        if repeats and hasattr(evaluator, "submit_repeats"):
            yield from evaluator.submit_repeats(architecture, repeats, **part)
        elif self._concurrent:
            yield from [evaluator.submit(architecture, each, **part) for each in repeats]
        else:
            together = getattr(evaluator, "fused", 1)
            for at in range(0, len(repeats), together):
                group = repeats[at : at + together]
                if len(group) > 1:
                    made = evaluator.evaluate_repeats(architecture, group, **part)
                else:
                    made = [evaluator.evaluate_one(architecture, group[0], **part)]
                yield from map(resolved, made)

    def _write(
        self,
        architecture: Architecture,
        fingerprint: str,
        repeat: int,
        answered: Future[Evaluation],
        made: Future[Evaluation],
    ) -> None:
        """Write a new evaluation, and answer with what the store has from then on."""
        try:
            found = made.result().fingerprint
            require(
                found == fingerprint,
                f"store: an evaluation has the fingerprint {found!r}, its evaluator "
                f"{fingerprint!r}; it would never be found again",
            )
            writing = self._writer.add(architecture, made.result(), self.run, repeat)
        except BaseException as error:
            answered.set_exception(error)
            return
        if not self._concurrent:
            wait([writing])  # before the next one is made
        answer = partial(self._answer, made=True)
        writing.add_done_callback(lambda it: settle(answered, lambda: answer(it.result())))

    def _answer(self, record: Record, made: bool = False) -> Evaluation:
        """Return the evaluation of a record; ``made`` is True for one that was just made here."""
        asked = (record.key, record.evaluation.fingerprint, record.repeat)
        again = not made and (asked in self._answered or record.run != self.run)
        self._answered.add(asked)
        return repeated(record.evaluation) if again else record.evaluation


def _mean(fingerprint: str, made: list[Evaluation]) -> Evaluation:
    return replace(mean_of(made), fingerprint=fingerprint)


def _pass_on(future: Future[Evaluation], source: Future[Evaluation]) -> None:
    settle(future, source.result)


def mean_of(repeats: Sequence[Evaluation]) -> Evaluation:
    """Return the mean of several evaluations of one architecture with different seeds.

    Accuracy, value, curve, latency and energy are means (the curve's over the epochs that all
    have), seconds are a sum. Status and message are those of the first evaluation that is not
    "ok", if there is one; then the accuracy is 0. Everything else is the first evaluation's. The
    mean is ``cached`` if all evaluations are.
    """
    first = next((each for each in repeats if each.status != "ok"), repeats[0])

    def measured(name: str) -> float | None:
        values = [getattr(each, name) for each in repeats if getattr(each, name) is not None]
        return fmean(values) if values else None

    return replace(
        repeats[0],
        status=first.status,
        message=first.message,
        accuracy=fmean(each.accuracy for each in repeats) if first.status == "ok" else 0.0,
        curve=tuple(map(fmean, zip(*(each.curve for each in repeats), strict=False))),
        seconds=sum(each.seconds for each in repeats),
        latency=measured("latency"),
        energy=measured("energy"),
        value=measured("value") if first.status == "ok" else None,
        cached=all(each.cached for each in repeats),
    )
