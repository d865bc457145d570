"""`Dispatcher`: gives waiting children to idle workers, one event after the other."""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any

from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.workers.protocol import (
    Answer,
    Child,
    Place,
    Worker,
    WorkerGone,
    WorkerLost,
    WorkersFailed,
)
from nas_gym.workers.rooms import Rooms
from nas_gym.workers.verdicts import Starts

CHECK_SECONDS = 0.5
"""Seconds between two checks of workers that do not answer."""


class Dispatcher:
    """Workers, and the children that wait for them.

    ``verdict`` returns the evaluations of a child whose worker raised an exception, or None to try
    the child again; ``learn`` is called with each child that succeeded, and its seconds.
    """

    def __init__(
        self,
        verdict: Callable[[Child, BaseException], list[Evaluation] | None],
        learn: Callable[[Child, float], None],
    ) -> None:
        self.workers: list[Worker] = []
        """Workers that are not gone for good."""
        self._verdict, self._learn = verdict, learn
        self._error: WorkersFailed | None = None
        self._starts = Starts()
        self._closed, self._open = False, threading.Lock()
        self._waiting: deque[Child] = deque()
        self._running: dict[Child, Worker] = {}
        self._rooms = Rooms()
        self._idle: list[Worker] = []
        self._next_check = 0.0
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="nas_gym pool", daemon=True)

    def start(self, workers: Sequence[Worker]) -> None:
        """Start the workers, once."""
        self.workers.extend(workers)
        for worker in self.workers:
            self._events.put(partial(self._begin, worker))
        self._thread.start()

    def add(self, child: Child) -> None:
        """Put a child into the queue; see `nas_gym.workers.pool.Pool.submit` for the errors."""
        with self._open:
            require(not self._closed, "workers: they are closed; make new ones")
            if self._error is not None:
                raise self._error
            self._events.put(partial(self._enqueue, child))

    def cancel(self) -> None:
        """End all children that are under way or wait; their futures raise `CancelledError`."""
        self._events.put(self._cancel)

    def close(self) -> None:
        """End the workers; evaluations under way are lost, and their futures cancelled."""
        with self._open:
            if not self._closed:
                self._closed = True
                self._events.put(None)
        self._thread.join()

    # Everything below runs in the dispatcher's own thread.

    def _run(self) -> None:
        try:
            while (event := self._next_event()) is not None:
                event()
        except Exception as error:  # whoever waits for a child must not wait for ever
            self._break_off(error)
        try:
            with ThreadPoolExecutor(max(1, len(self.workers))) as threads:
                list(threads.map(_end, self.workers))
        finally:
            self._give_up(CancelledError("the workers were closed"))

    def _break_off(self, error: Exception) -> None:
        """Stop evaluating: something went wrong here, not in a worker."""
        with self._open:
            self._error = WorkersFailed(f"workers: they cannot go on ({error!r})")
            self._error.__cause__ = error
        self._give_up(self._error)
        while not self._events.empty():
            if event := self._events.get():
                with suppress(Exception):
                    event()

    def _next_event(self) -> Callable[[], None] | None:
        while True:
            try:
                return self._events.get(timeout=max(0.0, self._next_check - time.monotonic()))
            except queue.Empty:
                for worker in self.workers:
                    worker.check()
                self._next_check = time.monotonic() + CHECK_SECONDS

    def _when_done(self, future: Future[Any], follow: Callable[..., None], *args: Any) -> None:
        """Make ``follow(*args, future)`` an event."""
        future.add_done_callback(lambda settled: self._events.put(partial(follow, *args, settled)))

    def _begin(self, worker: Worker) -> None:
        self._when_done(worker.begin(), self._begun, worker)

    def _begun(self, worker: Worker, future: Future[Place]) -> None:
        error = future.exception()
        if error is None:
            self._starts.succeeded()
            self._rooms.open(worker, future.result())
            self._idle.append(worker)
            self._assign()
            return
        if gone := isinstance(error, WorkerGone):
            self.workers.remove(worker)
        self._error = self._error or self._starts.failed(error, len(self.workers))
        if self._error is not None:
            self._give_up(self._error)
        elif not gone:
            self._begin(worker)

    def _enqueue(self, child: Child) -> None:
        self._waiting.append(child)
        if self._error is not None:
            self._give_up(self._error)
        self._assign()

    def _cancel(self) -> None:
        workers = list(self._running.values())
        self._give_up(CancelledError("the evaluation was cancelled"))
        for worker in workers:
            worker.cancel()

    def _assign(self) -> None:
        """Give idle workers the next children, as far as there is memory for them."""
        claimed: set[str] = set()
        for child in list(self._waiting):
            idle = self._rooms.unclaimed(self._idle, claimed)
            if not idle:
                break
            worker = self._rooms.choose(child, idle)
            if worker is None:
                claimed.add(self._rooms.emptiest(idle))
                continue
            self._waiting.remove(child)
            if not child.begin():
                continue
            self._idle.remove(worker)
            self._running[child] = worker
            limit = self._rooms.enter(child, worker)
            self._when_done(worker.evaluate(child, limit), self._done, worker, child)

    def _done(self, worker: Worker, child: Child, future: Future[Answer]) -> None:
        self._rooms.leave(child, worker)
        wanted, error = child in self._running, future.exception()
        works, evaluations = not isinstance(error, WorkerLost), None
        if error is None:
            evaluations, works = future.result()
            if not works:
                worker.replace()
        elif wanted:
            evaluations = self._verdict(child, error)
        if works:
            self._idle.append(worker)
        else:
            self._begin(worker)
        if wanted and self._is_again(child, evaluations, self._rooms.is_shared(worker)):
            del self._running[child]
            self._waiting.appendleft(child)
            wanted = False
        elif wanted and evaluations and evaluations[0].status == "ok":
            self._learn(child, evaluations[0].seconds)
        self._assign()  # before the future is settled, so that the worker has no pause
        if not wanted:
            return
        del self._running[child]  # until here, whoever waits for it is told of what goes wrong
        for made, evaluation in zip(child.futures, evaluations or (), strict=False):
            made.set_result(evaluation)

    @staticmethod
    def _is_again(child: Child, evaluations: list[Evaluation] | None, shared: bool) -> bool:
        """Return True if a child is tried again: alone if it ran out of memory beside others."""
        if evaluations is None:
            return True
        before = child.alone
        child.alone |= shared and any(each.status == "out_of_memory" for each in evaluations)
        return child.alone != before

    def _give_up(self, error: BaseException) -> None:
        """Answer everything that was asked for with an exception."""
        for child in (*self._running, *self._waiting):
            if child.begin():
                for future in child.futures:
                    future.set_exception(error)
        self._running.clear()
        self._waiting.clear()


def _end(worker: Worker) -> None:
    """End a worker; one that cannot be ended keeps no other from its end."""
    with suppress(Exception):
        worker.end()
