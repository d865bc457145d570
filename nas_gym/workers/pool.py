"""`Pool`: what all pools of workers have in common, wherever their workers are.

It keeps the children that were asked for in order, gives each idle worker the next one, and decides
what a child is worth whose worker died.
"""

from __future__ import annotations

import pickle
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import torch

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, NASGymError, require, require_number
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.evaluation.evaluator import ChildEvaluator, ConcurrentEvaluator, require_lasting
from nas_gym.training.failures import is_out_of_memory
from nas_gym.workers.durations import LearnedSeconds

if TYPE_CHECKING:
    from typing_extensions import Self

ATTEMPTS = 3
"""How often a child loses its worker to a death that may come from outside, before the child is
blamed for it."""
STARTS, LATER_STARTS = 5, 100
"""How many workers in a row may die before they are ready: at first, when most likely none
will ever be, and after one has been, when something from outside must be ending them."""
CHECK_SECONDS = 0.5
"""How often workers are looked after that say nothing."""
SLOW_IMPORT = "torch._dynamo"
"""An optimizer imports it in its first step, and takes as long over it as over torch itself: that
is no part of the first child's time."""

Given = TypeVar("Given")
Made = TypeVar("Made")
CostOfArchitecture = Callable[[Architecture], float]


class WorkersFailed(NASGymError):
    """Workers cannot be started, or not with this evaluator; the message says why."""


class WorkerGone(Exception):
    """A worker died and can never begin again; the message says why, and what to do about it."""


class WorkerLost(Exception):
    """A worker died.

    Args:
        reason: How, in words.
        blame: Whether it was its child's doing: True or False, or None if that cannot be told.
        status: What became of the child, if it was its own doing.
        machine: Which machine the worker was on, where there are several.
    """

    def __init__(
        self, reason: str, blame: bool | None, status: Status = "crashed", machine: str = ""
    ) -> None:
        super().__init__(reason)
        self.blame, self.status, self.machine = blame, status, machine


@dataclass(eq=False)
class Child:
    """An evaluation that was asked for."""

    architecture: Architecture
    repeat: int
    pickled: bytes
    """The architecture as a worker gets it."""
    future: Future[Evaluation] = field(default_factory=Future)
    deaths: list[str] = field(default_factory=list)
    """The machines of its workers that died of what may have come from outside."""
    started: float | None = None
    """When it was given to a worker, by `time.perf_counter`."""


Answer = tuple[Evaluation, bool]
"""An evaluation, and whether the worker that made it can go on."""


class Worker(ABC):
    """Evaluates one child at a time; it is replaced by itself when it dies."""

    @abstractmethod
    def begin(self) -> Future[None]:
        """Done when the worker is ready; raises `WorkersFailed` if none can ever be, `WorkerGone`
        if this one cannot.
        """

    @abstractmethod
    def evaluate(self, child: Child) -> Future[Answer]:
        """The child's evaluation; raises `WorkerLost`."""

    @abstractmethod
    def check(self) -> None:
        """Called every `CHECK_SECONDS`, to end what must not go on."""

    @abstractmethod
    def replace(self) -> None:
        """Ends what is there, and starts anew."""

    @abstractmethod
    def end(self) -> None:
        """Ends what is there, whatever it does."""


class Pool(ConcurrentEvaluator, ABC):
    """Workers, and the children that wait for them.

    Args:
        evaluator: What the workers run.
        cost: An estimate of an architecture's time, in any unit. The children of a batch start in
            falling order of it, so that no long one starts last, while the other workers have
            nothing left to do. Default: learned from the children that the pool has evaluated.

    Raises:
        InvalidSettings: the evaluator's answers change; see `Evaluator`.
    """

    def __init__(self, evaluator: ChildEvaluator, cost: CostOfArchitecture | None = None) -> None:
        require_lasting(evaluator)
        self.evaluator = evaluator
        self._learned = LearnedSeconds()
        self.cost = cost or self._learned
        self.fingerprint = evaluator.fingerprint
        self._error: WorkersFailed | None = None
        self._failed_starts, self._starts = 0, STARTS
        self._closed, self._open = False, threading.Lock()
        self._waiting: deque[Child] = deque()
        self._running: set[Child] = set()
        self._workers: list[Worker] = []
        self._idle: list[Worker] = []
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="nas_gym pool", daemon=True)

    def start(self, workers: Sequence[Worker]) -> None:
        """Has the workers begin; called once, at the end of a subclass's construction."""
        self._workers.extend(workers)
        for worker in self._workers:
            self._events.put(partial(self._begin, worker))
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many evaluations can be under way at a time; fewer when some are gone for good."""
        return len(self._workers)

    @property
    def costs(self) -> tuple[str, ...] | None:
        """Which costs evaluations have, if the evaluator says so; see `nas_gym.rewards`."""
        return getattr(self.evaluator, "costs", None)

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """See `ChildEvaluator.seed_of`."""
        return self.evaluator.seed_of(architecture, repeat)

    def network_key(self, architecture: Architecture) -> Hashable:
        """Return the evaluator's key of a network; see `nas_gym.evaluation.Evaluator`."""
        key: Callable[[Architecture], Hashable] | None
        key = getattr(self.evaluator, "network_key", None)
        return architecture if key is None else key(architecture)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One evaluation for each architecture, in order.

        Raises:
            InvalidSettings, WorkersFailed: as `submit`.
        """
        places = list(range(len(architectures)))
        if len(places) > self.workers:
            costs = [self.cost(architecture) for architecture in architectures]
            places.sort(key=lambda place: -costs[place])
        futures: dict[int, Future[Evaluation]] = {}
        try:
            for place in places:
                futures[place] = self.submit(architectures[place])
            return [futures[place].result() for place in range(len(architectures))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """Asks for one evaluation; see `ConcurrentEvaluator.submit`. They start in order.

        Raises:
            InvalidSettings: the workers are closed, or the architecture cannot be pickled.
            WorkersFailed: (here or from the future) the workers cannot be started, or none is left.
        """
        try:
            child = Child(architecture, repeat, self.pickled(architecture))
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise InvalidSettings(
                f"architecture: {type(architecture).__name__} cannot be sent to other processes "
                f"({error}); define it at the top level of a module"
            ) from error
        with self._open:
            require(not self._closed, "workers: they are closed; make new ones")
            if self._error is not None:
                raise self._error
            self._events.put(partial(self._enqueue, child))
        return child.future

    def pickled(self, architecture: Architecture) -> bytes:
        """The architecture as workers can read it."""
        return pickle.dumps(architecture)

    def suspicious(self, deaths: Sequence[str]) -> int:
        """How many of the workers that died on these machines may have died of their child."""
        return len(deaths)

    def close(self) -> None:
        """Ends the workers; evaluations under way are lost, and their futures cancelled."""
        with self._open:
            if not self._closed:
                self._closed = True
                self._events.put(None)
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # Everything below runs in one thread, one event after the other.

    def _run(self) -> None:
        try:
            while (event := self._next_event()) is not None:
                event()
        except Exception as error:  # whoever waits for a child must not wait for ever
            self._break_off(error)
        try:
            with ThreadPoolExecutor(max(1, len(self._workers))) as threads:
                list(threads.map(_end, self._workers))
        finally:
            self._give_up(CancelledError("the workers were closed"))

    def _break_off(self, error: Exception) -> None:
        """Nothing is evaluated any more, since something went wrong here, not in a worker."""
        with self._open:
            self._error = WorkersFailed(f"workers: they cannot go on ({error!r})")
            self._error.__cause__ = error
        self._give_up(self._error)
        while not self._events.empty():
            event = self._events.get()
            if event is not None:
                with suppress(Exception):
                    event()

    def _next_event(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._events.get(timeout=max(0.0, self._next_check - time.monotonic()))
            except queue.Empty:
                for worker in self._workers:
                    worker.check()
                self._next_check = time.monotonic() + CHECK_SECONDS

    _next_check = 0.0

    def _when_done(self, future: Future[Any], follow: Callable[..., None], *args: Any) -> None:
        """Makes ``follow(*args, future)`` an event."""
        future.add_done_callback(lambda done: self._events.put(partial(follow, *args, done)))

    def _begin(self, worker: Worker) -> None:
        self._when_done(worker.begin(), self._begun, worker)

    def _begun(self, worker: Worker, future: Future[None]) -> None:
        error = future.exception()
        if error is None:
            self._failed_starts, self._starts = 0, LATER_STARTS
            self._idle.append(worker)
            self._assign()
            return
        if gone := isinstance(error, WorkerGone):
            self._workers.remove(worker)
        else:
            self._failed_starts += 1
        self._error = self._error or self._end_of_all(error)
        if self._error is not None:
            self._give_up(self._error)
        elif not gone:
            self._begin(worker)

    def _end_of_all(self, error: BaseException) -> WorkersFailed | None:
        """Why no worker can go on, if that is so now that one did not begin."""
        if isinstance(error, WorkersFailed):
            return error
        if not self._workers:
            return WorkersFailed(f"workers: none is left, since the last one is gone: {error}")
        if self._failed_starts >= self._starts:
            return WorkersFailed(
                f"workers: {self._failed_starts} of them ended before they were ready ({error}); "
                "what they printed says why. A script that makes workers needs "
                '`if __name__ == "__main__":`'
            )
        return None

    def _enqueue(self, child: Child) -> None:
        self._waiting.append(child)
        if self._error is not None:
            self._give_up(self._error)
        self._assign()

    def _assign(self) -> None:
        """Gives idle workers what waits."""
        while self._idle and self._waiting:
            child = self._waiting.popleft()
            if child.started is None and not child.future.set_running_or_notify_cancel():
                continue
            child.started = time.perf_counter()
            self._running.add(child)
            worker = self._idle.pop()
            self._when_done(worker.evaluate(child), self._done, worker, child)

    def _done(self, worker: Worker, child: Child, future: Future[Answer]) -> None:
        self._running.discard(child)
        error = future.exception()
        if error is not None:
            evaluation, works = self._verdict(child, error), not isinstance(error, WorkerLost)
        else:
            evaluation, works = future.result()
            if not works:
                worker.replace()
            if evaluation.status == "ok":
                self._learned.add(child.architecture, evaluation.seconds)
        if works:
            self._idle.append(worker)
        else:
            self._begin(worker)
        if evaluation is None:
            self._waiting.appendleft(child)
        self._assign()  # before others hear of it, so that the worker has no pause
        if evaluation is not None:
            child.future.set_result(evaluation)

    def _verdict(self, child: Child, error: BaseException) -> Evaluation | None:
        """The evaluation of a child that has none; None if it is to be tried again."""
        status: Status = "crashed"
        message = f"{type(error).__name__}: {error}"
        if isinstance(error, WorkerLost):
            if error.blame is None:
                child.deaths.append(error.machine)
            deaths = self.suspicious(child.deaths)
            if error.blame is False or (error.blame is None and deaths < ATTEMPTS):
                return None
            status, message = error.status, str(error)
            message += "" if error.blame else f" ({deaths} times)"
        assert child.started is not None
        return Evaluation(
            status=status,
            accuracy=0.0,
            curve=(),
            seconds=time.perf_counter() - child.started,
            seed=self.seed_of(child.architecture, child.repeat),
            fingerprint=self.fingerprint,
            message=message,
        )

    def _give_up(self, error: BaseException) -> None:
        """Answers everything that was asked for with an exception."""
        for child in (*self._running, *self._waiting):
            if child.started is None and not child.future.set_running_or_notify_cancel():
                continue
            child.future.set_exception(error)
        self._running.clear()
        self._waiting.clear()


def _end(worker: Worker) -> None:
    """Ends a worker; one that cannot be ended keeps no other from its end."""
    with suppress(Exception):
        worker.end()


def check_timeout(timeout: float | None) -> None:
    """Raises `InvalidSettings` unless ``timeout`` is None or a number of seconds above 0."""
    if timeout is not None:
        require_number("timeout", timeout, 1e-3, float("inf"))


def converted(
    source: Future[Given],
    result: Callable[[Given], Made],
    error: Callable[[BaseException], BaseException],
) -> Future[Made]:
    """A future of what becomes of another's result, or of its exception."""
    made: Future[Made] = Future()

    def convert(done: Future[Given]) -> None:
        if (raised := done.exception()) is not None:
            made.set_exception(error(raised))
        else:
            made.set_result(result(done.result()))

    source.add_done_callback(convert)
    return made


def answer_for(evaluator: ChildEvaluator, architecture: bytes, repeat: int) -> Answer:
    """What a worker does with a child; an exception of any kind becomes a status."""
    child: Architecture = pickle.loads(architecture)
    started = time.perf_counter()
    try:
        evaluation = evaluator.evaluate_one(child, repeat)
    except BaseException as error:
        memory = isinstance(error, Exception) and is_out_of_memory(error)
        evaluation = Evaluation(
            status="out_of_memory" if memory else "crashed",
            accuracy=0.0,
            curve=(),
            seconds=time.perf_counter() - started,
            seed=evaluator.seed_of(child, repeat),
            fingerprint=evaluator.fingerprint,
            message=f"{type(error).__name__}: {error}",
        )
    return evaluation, evaluation.status != "crashed" or _cuda_works()


def _cuda_works() -> bool:
    """Whether CUDA can be used: a kernel that crashed takes it away from its whole process."""
    if not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except RuntimeError:
        return False
    return True
