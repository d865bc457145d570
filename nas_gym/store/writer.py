"""`Writer`: writes evaluations in a thread apart, all that wait as one transaction."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.store.rows import Record, Row, row_of
from nas_gym.store.store import Store


class Writer:
    """Evaluations on their way into a store; it can be used from any thread.

    A disk or a server takes about as long for many rows as for one, so whatever was added during
    one transaction is the next one.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: deque[tuple[Row, Future[Record]]] = deque()
        self._thread = ThreadPoolExecutor(1, "nas_gym store")

    def add(
        self, architecture: Architecture, evaluation: Evaluation, run: str, repeat: int
    ) -> Future[Record]:
        """Return the future of `Store.add`: it is settled once the disk has the evaluation."""
        future: Future[Record] = Future()
        future.set_running_or_notify_cancel()
        self._waiting.append((row_of(architecture, evaluation, run, repeat), future))
        self._thread.submit(self._write)
        return future

    def _write(self) -> None:
        batch = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not batch:  # the last transaction had it
            return
        try:
            records = self._store.add_rows([row for row, _ in batch])
        except BaseException as error:
            for _, future in batch:
                future.set_exception(error)
        else:
            for (_, future), record in zip(batch, records, strict=True):
                future.set_result(record)

    def close(self) -> None:
        """Wait until all is written; nothing can be added any more."""
        self._thread.shutdown()
