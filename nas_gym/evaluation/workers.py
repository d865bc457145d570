"""`LocalWorkers`: a pool of processes on this machine that evaluate children at the same time."""

from __future__ import annotations

import os
import pickle
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Future,
    InvalidStateError,
    ThreadPoolExecutor,
)
from concurrent.futures import TimeoutError as TimeOut
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import TYPE_CHECKING, Any

import torch
from pebble import ProcessExpired, ProcessPool

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings, NASGymError, require, require_integer, require_number
from nas_gym.evaluation.evaluator import ChildEvaluator, ConcurrentEvaluator, Evaluation, Status
from nas_gym.evaluation.processes import end_with_parent, how_it_ended, usable_cores
from nas_gym.evaluation.sharing import Share, SharedObject
from nas_gym.evaluation.training import is_out_of_memory

if TYPE_CHECKING:
    from typing_extensions import Self

ATTEMPTS = 3
"""How often a child loses its worker to a kill from outside before the child is blamed for it."""
STARTS = 5
"""How many processes in a row may die before they are ready."""
_CHECK_SECONDS = 2.0
_FROM_OUTSIDE = (-9, -15, 15)
"""Exit codes after SIGKILL and SIGTERM (pebble's workers turn the latter into a plain exit)."""

CostOfArchitecture = Callable[[Architecture], float]


class WorkersFailed(NASGymError):
    """Worker processes cannot be started, or not with this evaluator; the message says why."""


class PooledEvaluator(ConcurrentEvaluator, ABC):
    """What pools have in common: a batch is submitted longest first, and answered in order.

    Args:
        evaluator: What the workers run.
        cost: An estimate of an architecture's time, in any unit. Where it is given, the children
            of a batch start in falling order of it, so that no long one starts last, while the
            other workers have nothing left to do; without it, they start in order.
    """

    def __init__(self, evaluator: ChildEvaluator, cost: CostOfArchitecture | None = None) -> None:
        self.evaluator, self.cost = evaluator, cost
        self.fingerprint = evaluator.fingerprint

    @property
    def costs(self) -> tuple[str, ...] | None:
        """Which costs evaluations have, if the evaluator says so; see `nas_gym.rewards`."""
        return getattr(self.evaluator, "costs", None)

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        """See `ChildEvaluator.seed_of`."""
        return self.evaluator.seed_of(architecture, repeat)

    @abstractmethod
    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """See `ConcurrentEvaluator.submit`."""

    @abstractmethod
    def close(self) -> None:
        """See `ConcurrentEvaluator.close`."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """One evaluation for each architecture, in order."""
        places = list(range(len(architectures)))
        if self.cost is not None:
            costs = [self.cost(architecture) for architecture in architectures]
            places.sort(key=lambda place: -costs[place])
        futures = {place: self.submit(architectures[place]) for place in places}
        try:
            return [futures[place].result() for place in range(len(architectures))]
        except BaseException:
            for future in futures.values():
                future.cancel()
            raise

    def failed(
        self, architecture: Architecture, repeat: int, status: Status, seconds: float, message: str
    ) -> Evaluation:
        """The evaluation of a child that took its worker's life, or was lost with it."""
        return Evaluation(
            status=status,
            accuracy=0.0,
            curve=(),
            seconds=seconds,
            seed=self.seed_of(architecture, repeat),
            fingerprint=self.fingerprint,
            message=message,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def evaluate_safely(
    evaluator: ChildEvaluator, architecture: Architecture, repeat: int
) -> Evaluation:
    """As `ChildEvaluator.evaluate_one`; an exception of any kind becomes a status."""
    started = time.perf_counter()
    try:
        return evaluator.evaluate_one(architecture, repeat)
    except BaseException as error:
        memory = isinstance(error, Exception) and is_out_of_memory(error)
        return Evaluation(
            status="out_of_memory" if memory else "crashed",
            accuracy=0.0,
            curve=(),
            seconds=time.perf_counter() - started,
            seed=evaluator.seed_of(architecture, repeat),
            fingerprint=evaluator.fingerprint,
            message=f"{type(error).__name__}: {error}",
        )


@dataclass(frozen=True)
class _Setup:
    """What a worker process starts from."""

    evaluator: SharedObject
    threads: int
    gpu: str | None
    """What CUDA_VISIBLE_DEVICES is; None leaves it as it is."""


@cache
def _context() -> BaseContext:
    """How processes are started: from one that has imported torch already, where there is such.

    A process of this kind is ready in a tenth of a second instead of three, and has no copy of
    torch's memory for itself. Nothing of this process, its threads or its CUDA is forked.
    """
    if "forkserver" not in get_all_start_methods():
        return get_context("spawn")
    context = get_context("forkserver")
    # An optimizer imports the last of these in its first step, which takes as long as torch itself.
    context.set_forkserver_preload(["__main__", __name__, "torch._dynamo"])
    return context


_own: list[ChildEvaluator | WorkersFailed] = []
"""A worker process's evaluator, or why it has none."""


def _start(setup: _Setup) -> None:
    end_with_parent()
    if setup.gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = setup.gpu  # before CUDA is used: torch reads it then
    torch.set_num_threads(setup.threads)
    try:
        _own.append(setup.evaluator.load())
    except Exception as error:
        _own.append(WorkersFailed(f"a worker cannot load the evaluator: {error!r}"))


def _started() -> None:
    """Raises what went wrong at the start."""
    if isinstance(_own[0], WorkersFailed):
        raise _own[0]


def _evaluate(architecture: bytes, repeat: int) -> tuple[Evaluation, bool]:
    """The evaluation, and whether this process can go on."""
    evaluator = _own[0]
    assert not isinstance(evaluator, WorkersFailed)
    evaluation = evaluate_safely(evaluator, pickle.loads(architecture), repeat)
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


@dataclass(eq=False)
class _Child:
    """An evaluation that was asked for."""

    architecture: Architecture
    repeat: int
    pickled: bytes
    future: Future[Evaluation] = field(default_factory=Future)
    lost: int = 0
    """How often its worker was killed from outside."""
    started: float | None = None
    """When it was given to a worker, by `time.perf_counter`."""

    @property
    def seconds(self) -> float:
        return 0.0 if self.started is None else time.perf_counter() - self.started


class _Worker:
    """One process, in a pool of its own.

    Pebble ends the process in time, and starts the next one after any death. In a pool of several,
    workers share a pipe and its lock, and one that is killed while it holds them stops all.
    """

    def __init__(self, setup: _Setup) -> None:
        self._setup = setup
        self._pool = self._new_pool()
        self._answer: Future[Any] = Future()

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(1, initializer=_start, initargs=(self._setup,), context=_context())

    def schedule(
        self,
        done: Callable[[Future[Any]], None],
        function: Callable[..., Any],
        *args: Any,
        timeout: float | None = None,
    ) -> None:
        """Has the process call a function; ``done`` hears how that ended."""
        try:
            self._answer = self._pool.schedule(function, args, timeout=timeout)
        except RuntimeError:  # its process died while it had nothing to do
            self.replace()
            self._answer = self._pool.schedule(function, args, timeout=timeout)
        self._answer.add_done_callback(done)

    def check(self) -> None:
        """Ends the wait for an answer that cannot come: pebble gave up just as it was asked."""
        if not (self._pool.active or self._answer.done()):
            with suppress(InvalidStateError):
                self._answer.set_exception(BrokenExecutor("the worker died while it was idle"))

    def replace(self) -> None:
        """Starts with a new process."""
        self.end()
        self._pool = self._new_pool()

    def end(self) -> None:
        """Ends the process, whatever it does; it has three seconds to obey."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


def _gpus_for(
    evaluator: ChildEvaluator, workers: int, children_per_gpu: int
) -> list[str] | list[None]:
    """What each worker sees of CUDA's devices; None if the evaluator uses none."""
    device = getattr(evaluator, "device", None)
    if not (isinstance(device, torch.device) and device.type == "cuda"):
        return [None] * workers
    names = [str(number) for number in range(torch.cuda.device_count())]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        names = visible.split(",")[: len(names)]
    if device.index is not None:
        names = names[device.index : device.index + 1]
    require(
        workers <= len(names) * children_per_gpu,
        f"workers: {workers} do not fit on {len(names)} GPU(s) with {children_per_gpu} each; "
        "ask for fewer workers or for more children per GPU",
    )
    return [names[number % len(names)] for number in range(workers)]


class LocalWorkers(PooledEvaluator):
    """Processes that stay alive, each of which evaluates one child at a time.

    The evaluator is sent once, and its data set is in memory once. What a child is worth does not
    depend on the worker, nor on how many there are, as long as ``threads`` is the same. Whatever a
    child does to its worker becomes a status: an exception, an exit or a signal is "crashed", the
    time-out "timed_out". A worker that died is replaced; the others go on. One that was killed from
    outside (SIGKILL, SIGTERM) may not have been its child's fault: the child is tried again,
    `ATTEMPTS` times in all.

    Processes are started anew, not forked, so a script that makes workers has its main part under
    ``if __name__ == "__main__":``. They end when `close` is called or when this process ends,
    even if it is killed.

    Args:
        evaluator: What the workers run; a `Trainer`, for instance.
        workers: How many.
        timeout: Seconds after which a child's worker is ended; default: never.
        threads: How many threads each has; default: the cores divided by the workers, at least 1.
        children_per_gpu: How many workers share a GPU, if the evaluator's ``device`` is CUDA.
        cost: See `PooledEvaluator`.

    Raises:
        InvalidSettings: a value is out of its range; there are not so many GPUs; the evaluator
            cannot be pickled.
        WorkersFailed: (from a future, and from `evaluate`) the workers cannot be started.
    """

    def __init__(
        self,
        evaluator: ChildEvaluator,
        workers: int,
        timeout: float | None = None,
        threads: int | None = None,
        children_per_gpu: int = 1,
        cost: CostOfArchitecture | None = None,
    ) -> None:
        require_integer("workers", workers, least=1)
        require_integer("children_per_gpu", children_per_gpu, least=1)
        if timeout is not None:
            require_number("timeout", timeout, 0.001, float("inf"))
        if threads is not None:
            require_integer("threads", threads, least=1)
        super().__init__(evaluator, cost)
        self.timeout = timeout
        self.threads = threads or max(1, usable_cores() // workers)
        gpus = _gpus_for(evaluator, workers, children_per_gpu)
        self._share = Share(evaluator)
        self._error: WorkersFailed | None = None
        self._failed_starts = 0
        self._closed, self._open = False, threading.Lock()
        self._waiting: deque[_Child] = deque()
        self._running: set[_Child] = set()
        self._workers = [_Worker(_Setup(self._share, self.threads, gpu)) for gpu in gpus]
        self._idle: list[_Worker] = []
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        for worker in self._workers:
            self._events.put(partial(self._begin, worker))
        self._thread = threading.Thread(target=self._run, name="nas_gym workers", daemon=True)
        self._thread.start()

    @property
    def workers(self) -> int:
        """How many evaluations can be under way at a time."""
        return len(self._workers)

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        """Asks for one evaluation; see `ConcurrentEvaluator.submit`. They start in order.

        Raises:
            InvalidSettings: the workers are closed, or the architecture cannot be pickled.
            WorkersFailed: the workers could not be started.
        """
        try:
            child = _Child(architecture, repeat, pickle.dumps(architecture))
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

    def close(self) -> None:
        """Ends the workers; evaluations under way are lost, and their futures cancelled."""
        with self._open:
            if not self._closed:
                self._closed = True
                self._events.put(None)
        self._thread.join()

    # Everything below runs in one thread, one event after the other.

    def _run(self) -> None:
        while (event := self._next_event()) is not None:
            event()
        with ThreadPoolExecutor(len(self._workers)) as threads:
            list(threads.map(_Worker.end, self._workers))
        self._share.close()
        self._give_up(CancelledError("the workers were closed"))

    def _next_event(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._events.get(timeout=_CHECK_SECONDS)
            except queue.Empty:
                for worker in self._workers:
                    worker.check()

    def _then(self, follow: Callable[..., None], *args: Any) -> Callable[[Future[Any]], None]:
        """A callback that makes ``follow(*args, future)`` an event."""
        return lambda future: self._events.put(partial(follow, *args, future))

    def _begin(self, worker: _Worker) -> None:
        """Has a new process say when it is ready."""
        worker.schedule(self._then(self._begun, worker), _started)

    def _begun(self, worker: _Worker, future: Future[None]) -> None:
        error = future.exception()
        if error is None:
            self._failed_starts = 0
            self._idle.append(worker)
            self._assign()
            return
        self._failed_starts += 1
        if isinstance(error, WorkersFailed):
            self._error = error
        elif self._failed_starts == STARTS:
            self._error = WorkersFailed(
                f"workers: {STARTS} processes ended before they were ready; what they printed says "
                'why. A script that makes workers needs `if __name__ == "__main__":`'
            )
        if self._error is None:
            self._begin(worker)
        else:
            self._give_up(self._error)

    def _enqueue(self, child: _Child) -> None:
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
            done = self._then(self._done, worker, child)
            worker.schedule(done, _evaluate, child.pickled, child.repeat, timeout=self.timeout)

    def _done(
        self, worker: _Worker, child: _Child, future: Future[tuple[Evaluation, bool]]
    ) -> None:
        self._running.discard(child)
        error = future.exception()
        if error is not None:
            evaluation = self._verdict(child, error)
            self._begin(worker)
        else:
            evaluation, works = future.result()
            if works:
                self._idle.append(worker)
            else:
                worker.replace()
                self._begin(worker)
        if evaluation is None:
            self._waiting.appendleft(child)
        self._assign()  # before others hear of it, so that the worker has no pause
        if evaluation is not None:
            child.future.set_result(evaluation)

    def _verdict(self, child: _Child, error: BaseException) -> Evaluation | None:
        """The evaluation of a child whose worker died; None if it is to be tried again."""
        status: Status = "crashed"
        if isinstance(error, TimeOut):
            status, message = "timed_out", f"its time-out of {self.timeout} s passed"
        elif isinstance(error, ProcessExpired):
            child.lost += error.exitcode in _FROM_OUTSIDE
            if 0 < child.lost < ATTEMPTS:
                return None
            message = f"its worker died: {how_it_ended(error.exitcode)}"
            message += f" ({child.lost} times)" if child.lost else ""
        else:  # the process died before it took the child up
            return None
        return self.failed(child.architecture, child.repeat, status, child.seconds, message)

    def _give_up(self, error: BaseException) -> None:
        """Answers everything that was asked for with an exception."""
        for child in (*self._running, *self._waiting):
            if child.started is None and not child.future.set_running_or_notify_cancel():
                continue
            child.future.set_exception(error)
        self._running.clear()
        self._waiting.clear()
