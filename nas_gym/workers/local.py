"""`LocalWorkers`: a pool of processes on this machine that evaluate children at the same time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import BrokenExecutor, CancelledError, Future, InvalidStateError
from concurrent.futures import TimeoutError as TimedOut
from contextlib import suppress
from typing import Annotated, Any

import torch
from annotated_types import Ge, Le
from pebble import ProcessExpired, ProcessPool

from nas_gym.evaluation.evaluator import ChildEvaluator
from nas_gym.outside.processes import available_cpus, prepare_workers, worker_context
from nas_gym.settings import validated
from nas_gym.workers.inside import answer_for, cuda_device, made_ready, place_of
from nas_gym.workers.pool import CostOfArchitecture, Pool, Timeout
from nas_gym.workers.protocol import (
    Answer,
    Child,
    Place,
    Worker,
    WorkerLost,
    WorkersFailed,
    converted,
    time_out_of,
    timed_out,
)
from nas_gym.workers.sharing import Share, SharedObject

Threads = Annotated[int, Ge(1), Le(1_024)]
"""Threads of a process; torch fails without an error at tens of thousands."""
Workers = Annotated[int, Ge(1), Le(4_096)]
"""Processes of one machine, each of which needs some hundred MB."""

_FROM_OUTSIDE = (-9, -15, 15)
"""Exit codes after SIGKILL and SIGTERM (pebble's workers turn the latter into a plain exit)."""


class LocalWorkers(Pool):
    """Processes that stay alive, each of which evaluates one child at a time.

    The evaluator is sent once, and its data set is in memory once. On CUDA, each worker has one
    GPU; workers that share one train as many children at a time as it has memory for, by the
    evaluator's ``memory_bytes(architecture)`` (see `Trainer.memory_bytes`). A child that runs out
    of memory beside others is tried once more without them. A child's evaluation does not
    depend on the worker, nor on the number of workers, as long as ``threads`` is the same. Whatever
    a child does to its worker becomes a status: an exception, an exit or a signal is "crashed", the
    time-out "timed_out". A worker that died is replaced; the others go on. If it was killed from
    outside (SIGKILL, SIGTERM), the child may not be the cause and is tried again,
    `nas_gym.workers.verdicts.ATTEMPTS` times in all.

    Processes are not forked from this one, so a script that makes workers has its main part under
    ``if __name__ == "__main__":``. They end when `close` is called, and when this process ends,
    even if it is killed.

    Args:
        evaluator: The evaluator that the workers run; a `Trainer`, for instance.
        workers: Number of processes.
        timeout: Seconds after which a child's worker is ended, at least 0.001; default: never.
        threads: Threads of each process; default: the cores divided by the workers, at least 1.
        cost: See `Pool`.

    Raises:
        InvalidSettings: a value is out of its range; the evaluator cannot be pickled, or its
            answers change.
    """

    @validated
    def __init__(
        self,
        evaluator: Any,  # a ChildEvaluator
        workers: Workers,
        timeout: Timeout | None = None,
        threads: Threads | None = None,
        cost: CostOfArchitecture | None = None,
    ) -> None:
        super().__init__(evaluator, cost)
        self.timeout = timeout
        self.threads = threads or max(1, available_cpus() // workers)
        gpus = _gpus_for(evaluator, workers)
        self.shares_gpus = 0 < len(set(gpus) - {None}) < workers
        self._share = Share(evaluator)
        self.start([_Process((self._share, self.threads, gpu), timeout) for gpu in gpus])

    def close(self) -> None:
        super().close()
        self._share.close()


def _gpus_for(evaluator: ChildEvaluator, workers: int) -> list[str] | list[None]:
    """Return each worker's CUDA_VISIBLE_DEVICES, in turn; None leaves it as it is."""
    device = cuda_device(evaluator)
    if device is None:
        return [None] * workers
    names = [str(number) for number in range(torch.cuda.device_count())]
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        names = visible.split(",")[: len(names)]
    if device.index is not None:
        names = names[device.index : device.index + 1]
    return [names[number % len(names)] for number in range(workers)]


def _how_it_ended(exit_code: int) -> str:
    """Return the meaning of a process's exit code in words."""
    if exit_code >= 0:
        return f"it ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    likely = "; most likely the system ran out of memory" if name == "SIGKILL" else ""
    return f"it was ended by {name}{likely}"


class _Process(Worker):
    """One process, in a separate pebble pool.

    Pebble ends the process in time, and starts the next one after any death. In a pool of several,
    workers share a pipe and its lock, and one that is killed while it holds them stops all.
    """

    def __init__(self, setup: tuple[SharedObject, int, str | None], timeout: float | None) -> None:
        self._setup, self._timeout = setup, timeout
        self._pool = self._new_pool()
        self._asked: Future[Any] = Future()

    def _new_pool(self) -> ProcessPool:
        prepare_workers()
        return ProcessPool(1, initializer=_start, initargs=self._setup, context=worker_context())

    def begin(self) -> Future[Place]:
        return self._ask(_started)

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        asked = (child.pickled, child.repeats, child.epochs, limit)
        timeout = time_out_of(child, self._timeout)
        return converted(self._ask(_evaluate, *asked, timeout=timeout), self._lost)

    def cancel(self) -> None:
        self._asked.cancel()  # pebble ends the process, and starts another

    def _lost(self, error: BaseException) -> BaseException:
        """Return what pebble's exception means for the child."""
        if isinstance(error, TimedOut):
            return timed_out(self._timeout)
        if isinstance(error, ProcessExpired):
            blame = None if error.exitcode in _FROM_OUTSIDE else True
            return WorkerLost(f"its worker died: {_how_it_ended(error.exitcode)}", blame)
        if isinstance(error, CancelledError):
            return WorkerLost("it was cancelled", False)
        if isinstance(error, BrokenExecutor):
            return WorkerLost("its worker died before it took the child up", False)
        return error

    def _ask(self, function: Any, *args: Any, timeout: float | None = None) -> Future[Any]:
        """Call a function in the process."""
        try:
            self._asked = self._pool.schedule(function, args, timeout=timeout)
        except RuntimeError:  # its process died while it had nothing to do
            self.replace()
            self._asked = self._pool.schedule(function, args, timeout=timeout)
        return self._asked

    def check(self) -> None:
        """End the wait for an answer that cannot come: pebble gave up just as it was asked."""
        if not (self._pool.active or self._asked.done()):
            with suppress(InvalidStateError):
                self._asked.set_exception(BrokenExecutor("the process died while it was idle"))

    def replace(self) -> None:
        self.end()
        self._pool = self._new_pool()

    def end(self) -> None:
        """End the process, which has three seconds to obey."""
        self._pool.stop()  # type: ignore[no-untyped-call]
        self._pool.join()


# The rest runs in a worker process.

_own: list[Any] = []
"""The process's evaluator, or the `WorkersFailed` that says why it has none."""


def _start(evaluator: SharedObject, threads: int, gpu: str | None) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if gpu is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = gpu  # before CUDA is used: torch reads it then
    try:
        _own.append(made_ready(threads, evaluator.load))
    except WorkersFailed as error:
        _own.append(error)


def _started() -> Place:
    """Return where the process trains, or raise the error of its start."""
    if isinstance(_own[0], WorkersFailed):
        raise _own[0]
    return place_of(_own[0])


def _evaluate(*asked: Any) -> Answer:
    return answer_for(_own[0], *asked)


def _end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it could not say so."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
