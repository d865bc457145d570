"""`Pool`: the evaluator over workers, wherever they are; its subclasses start the workers."""

from __future__ import annotations

import pickle
from abc import ABC
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from functools import lru_cache
from typing import Annotated

from annotated_types import Ge
from typing_extensions import Self

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.evaluation.evaluator import (
    ChildEvaluator,
    ConcurrentEvaluator,
    fidelities_of,
    require_lasting,
)
from nas_gym.workers.dispatcher import Dispatcher
from nas_gym.workers.durations import LearnedSeconds
from nas_gym.workers.protocol import Child, Worker
from nas_gym.workers.verdicts import verdict

CostOfArchitecture = Callable[[Architecture], float]
Timeout = Annotated[float, Ge(1e-3)]
"""Seconds, at least a thousandth."""


class Pool(ConcurrentEvaluator, ABC):
    """An evaluator whose workers evaluate children at the same time.

    Args:
        evaluator: The workers' evaluator; one whose answers change raises `InvalidSettings`.
        cost: An estimate of an architecture's time, in any unit. The children of a batch start in
            falling order of it, so that no long one starts last, when the other workers have
            nothing left to do. Default: learned from the children that the pool has evaluated.
    """

    def __init__(self, evaluator: ChildEvaluator, cost: CostOfArchitecture | None = None) -> None:
        require_lasting(evaluator)
        self.evaluator = evaluator
        learned = LearnedSeconds()
        self.cost = cost or learned
        self.fingerprint = evaluator.fingerprint
        self.costs: tuple[str, ...] | None = getattr(evaluator, "costs", None)
        """Costs that evaluations have, if the evaluator declares them; see `nas_gym.rewards`."""
        self.fidelities = fidelities_of(evaluator)
        self.shares_gpus = False
        """True where a child may have neighbours on its GPU, so that its memory is estimated."""
        memory = getattr(evaluator, "memory_bytes", lambda architecture: 0.0)
        self._memory = lru_cache(1024)(memory)  # the same for repeats and parts of a training

        def learn(child: Child, seconds: float) -> None:
            if child.epochs is None:
                learned.add(child.architecture, seconds)

        self._dispatcher = Dispatcher(
            verdict=lambda child, error: verdict(self, child, error, self.suspicious),
            learn=learn,
        )

    def start(self, workers: Sequence[Worker]) -> None:
        """Start the workers; called once, at the end of a subclass's construction."""
        self._dispatcher.start(workers)

    @property
    def workers(self) -> int:
        """Number of evaluations that can be under way; it falls when workers are gone for good."""
        return len(self._dispatcher.workers)

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return self.evaluator.seed_of(architecture, repeat)

    def network_key(self, architecture: Architecture) -> Hashable:
        """Return the evaluator's key of a network; see `nas_gym.evaluation.Evaluator`."""
        key: Callable[[Architecture], Hashable]
        key = getattr(self.evaluator, "network_key", lambda itself: itself)
        return key(architecture)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Return one evaluation for each architecture, in order; it raises what `submit` does."""
        places = list(range(len(architectures)))
        if len(places) > self.workers:
            costs = [-self.cost(architecture) for architecture in architectures]
            places.sort(key=costs.__getitem__)
        futures: dict[int, Future[Evaluation]] = {}
        try:
            for place in places:
                futures[place] = self.submit(architectures[place])
            return [futures[place].result() for place in range(len(architectures))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise

    def submit(
        self, architecture: Architecture, repeat: int = 0, epochs: int | None = None
    ) -> Future[Evaluation]:
        """Ask for one evaluation; see `ConcurrentEvaluator.submit`. They start in order.

        It raises what `submit_repeats` does.
        """
        return self._submit(architecture, (repeat,), epochs)[0]

    def submit_repeats(
        self, architecture: Architecture, repeats: Sequence[int], epochs: int | None = None
    ) -> list[Future[Evaluation]]:
        """Ask for repeats of an evaluation; the evaluator's ``fused`` of them are one child.

        Raises:
            InvalidSettings: the workers are closed, or the architecture cannot be pickled.
            WorkersFailed: (here or from the future) the workers cannot be started, or none is left.
        """
        most = getattr(self.evaluator, "fused", 1)
        groups = (tuple(repeats[at : at + most]) for at in range(0, len(repeats), most))
        return [future for group in groups for future in self._submit(architecture, group, epochs)]

    def _submit(
        self, architecture: Architecture, repeats: tuple[int, ...], epochs: int | None = None
    ) -> list[Future[Evaluation]]:
        try:
            child = Child(architecture, repeats, self.pickled(architecture), epochs)
            child.memory = len(repeats) * self._memory(architecture) if self.shares_gpus else 0.0
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise InvalidSettings(
                f"architecture: {type(architecture).__name__} cannot be sent to other processes "
                f"({error}); define it at the top level of a module"
            ) from error
        self._dispatcher.add(child)
        return child.futures

    def pickled(self, architecture: Architecture) -> bytes:
        """Return the architecture as workers can read it."""
        return pickle.dumps(architecture)

    def suspicious(self, deaths: Sequence[str]) -> int:
        """Return how many of the workers that died on these machines their child may have ended."""
        return len(deaths)

    def cancel(self) -> None:
        """End all evaluations that are under way or wait; the workers stay.

        Their futures raise `concurrent.futures.CancelledError`.
        """
        self._dispatcher.cancel()

    def close(self) -> None:
        """End the workers; evaluations under way are lost, and their futures cancelled."""
        self._dispatcher.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
