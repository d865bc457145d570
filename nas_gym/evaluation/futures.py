"""What is under way is asked for once: futures of evaluations, by key. No torch here."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nas_gym.evaluation.evaluation import Evaluation


def promise() -> Future[Evaluation]:
    """A future that somebody will settle, and nobody can cancel."""
    future: Future[Evaluation] = Future()
    future.set_running_or_notify_cancel()
    return future


def resolved(evaluation: Evaluation) -> Future[Evaluation]:
    """A future that has its evaluation already."""
    future = promise()
    future.set_result(evaluation)
    return future


def settle(future: Future[Evaluation], evaluation: Callable[[], Evaluation]) -> None:
    """Gives a future what a call returns, or what it raises."""
    try:
        result = evaluation()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)


def then(
    future: Future[Evaluation], change: Callable[[Evaluation], Evaluation]
) -> Future[Evaluation]:
    """A future of what ``change`` makes of a future's evaluation. It is called once, in the thread
    that settles ``future``; what either raises, the new future raises.
    """
    changed = promise()
    future.add_done_callback(lambda done: settle(changed, lambda: change(done.result())))
    return changed


def gather(
    futures: Sequence[Future[Evaluation]], combine: Callable[[list[Evaluation]], Evaluation]
) -> Future[Evaluation]:
    """A future of what ``combine`` makes of several, once the last of them is settled."""
    combined, lock, missing = promise(), Lock(), len(futures)

    def count(_: Future[Evaluation]) -> None:
        nonlocal missing
        with lock:
            missing -= 1
            last = missing == 0
        if last:
            settle(combined, lambda: combine([future.result() for future in futures]))

    for future in futures:
        future.add_done_callback(count)
    return combined


def repeated(evaluation: Evaluation) -> Evaluation:
    """The evaluation as an answer to whoever asked for it again."""
    return replace(evaluation, cached=True)


class InFlight:
    """Evaluations under way, each asked for once, from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._futures: dict[Hashable, Future[Evaluation]] = {}

    def join(self, key: Hashable, begin: Callable[[], Future[Evaluation]]) -> Future[Evaluation]:
        """The evaluation that ``begin`` starts, or the one of the same key that is under way.

        The latter says that it is ``cached``. Once an evaluation is there, its key is free again:
        ``begin`` looks up what is known, and its future is settled after that is known.
        """
        mine = promise()
        with self._lock:
            first = self._futures.setdefault(key, mine)
        if first is not mine:
            return then(first, repeated)

        def finish(done: Future[Evaluation]) -> None:
            self._forget(key)
            settle(mine, done.result)

        try:
            begun = begin()
        except BaseException as error:
            self._forget(key)
            mine.set_exception(error)
            raise
        begun.add_done_callback(finish)
        return mine

    def of(self, keys: Sequence[Hashable]) -> dict[Hashable, Future[Evaluation]]:
        """Those of the keys that are under way."""
        with self._lock:
            return {key: self._futures[key] for key in keys if key in self._futures}

    def _forget(self, key: Hashable) -> None:
        with self._lock:
            del self._futures[key]
