"""The workers' protocol: a child that was asked for, a worker, and how a worker is lost."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from nas_gym.architecture import Architecture
from nas_gym.errors import NASGymError
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.evaluation.evaluator import partial_fingerprint


class WorkersFailed(NASGymError):
    """Workers cannot be started, or not with this evaluator; the message says why."""


class WorkerGone(Exception):
    """A worker died and can never begin again; the message says why, and names the remedy."""


class WorkerLost(Exception):
    """A worker died.

    Args:
        reason: The cause, in words.
        blame: Whether its child caused it: True or False, or None if that is unknown.
        status: Status of the child, if the child caused it.
        machine: Machine of the worker, where there are several.
    """

    def __init__(
        self, reason: str, blame: bool | None, status: Status = "crashed", machine: str = ""
    ) -> None:
        super().__init__(reason)
        self.blame, self.status, self.machine = blame, status, machine


@dataclass(frozen=True)
class Place:
    """Where a worker trains its children."""

    name: str = ""
    """Machine, and GPU; workers of one name share its memory."""
    memory: float = math.inf
    """Bytes of a GPU's memory that are free for children; infinite on a CPU."""


@dataclass(eq=False)
class Child:
    """Evaluations of one architecture that were asked for, one or several as one network."""

    architecture: Architecture
    repeats: tuple[int, ...]
    pickled: bytes
    """The architecture as a worker gets it."""
    epochs: int | None = None
    """Number of epochs after which it is evaluated; None: after all."""
    memory: float = 0.0
    """Bytes that its training is estimated to take on a GPU; 0 where nobody shares one."""
    alone: bool = False
    """True once it ran out of memory beside others: it is then tried without them."""
    futures: list[Future[Evaluation]] = field(init=False)
    deaths: list[str] = field(default_factory=list)
    """Machines of its workers that died, perhaps by a cause outside."""
    started: float | None = None
    """Time of the first assignment to a worker, by `time.perf_counter`."""

    def __post_init__(self) -> None:
        self.futures = [Future() for _ in self.repeats]

    def begin(self) -> bool:
        """Note the start; return whether anybody still wants the evaluations."""
        if self.started is None:
            if not all(future.set_running_or_notify_cancel() for future in self.futures):
                return False
            self.started = time.perf_counter()
        return True


Answer = tuple[list[Evaluation], bool]
"""An evaluation for each repeat, and whether the worker that made it can go on."""


class Worker(ABC):
    """Evaluates one child at a time; it replaces itself when it dies."""

    @abstractmethod
    def begin(self) -> Future[Place]:
        """Return the future of the worker's place, which is done when the worker is ready.

        It raises `WorkersFailed` if no worker can ever be ready, `WorkerGone` if this one cannot.
        """

    @abstractmethod
    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        """Return the future of a child's evaluation, which raises `WorkerLost`.

        ``limit`` is the number of bytes that it may use on a GPU; None for no limit.
        """

    def cancel(self) -> None:
        """End the child under way, whose future raises `WorkerLost`."""
        self.replace()

    @abstractmethod
    def check(self) -> None:
        """End what must not go on; called every `nas_gym.workers.dispatcher.CHECK_SECONDS`."""

    @abstractmethod
    def replace(self) -> None:
        """End the process or actor, and start another."""

    @abstractmethod
    def end(self) -> None:
        """End the process or actor, whatever it does."""


class SeededEvaluator(Protocol):
    """The message of a failed evaluation about its evaluator."""

    @property
    def fingerprint(self) -> str:
        """Its fingerprint."""

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """Return the seed of an evaluation."""


def failed_evaluations(
    evaluator: SeededEvaluator,
    architecture: Architecture,
    repeats: Sequence[int],
    status: Status,
    started: float,
    message: str,
    epochs: int | None = None,
) -> list[Evaluation]:
    """Return the evaluations of a child that failed, begun at ``started``.

    Those that were computed as one network share its seconds.
    """
    seconds = (time.perf_counter() - started) / len(repeats)
    fingerprint = partial_fingerprint(evaluator.fingerprint, epochs)
    seeds = [evaluator.seed_of(architecture, repeat) for repeat in repeats]
    return [
        Evaluation(status, 0.0, (), seconds, seed, fingerprint, message=message) for seed in seeds
    ]


def time_out_of(child: Child, timeout: float | None) -> float | None:
    """Return the seconds after which a worker that evaluates a child is ended; None for never.

    Evaluations as one network have the time that they would have one after the other.
    """
    return None if timeout is None else timeout * len(child.repeats)


def timed_out(timeout: float | None) -> WorkerLost:
    """Return why a worker was ended whose child's time was over."""
    return WorkerLost(f"its time-out of {timeout} s passed", True, "timed_out")


def converted(
    source: Future[Any],
    error: Callable[[BaseException], BaseException],
    note: Callable[[Any], None] = lambda result: None,
) -> Future[Any]:
    """Return a future with another's result, after ``note`` of it, or its exception, converted."""
    target: Future[Any] = Future()

    def convert(settled: Future[Any]) -> None:
        if settled.cancelled():
            target.set_exception(error(CancelledError()))
        elif (raised := settled.exception()) is not None:
            target.set_exception(error(raised))
        else:
            note(settled.result())
            target.set_result(settled.result())

    source.add_done_callback(convert)
    return target
