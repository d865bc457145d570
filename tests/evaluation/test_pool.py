"""A pool that breaks in its own thread says so to all who wait."""

from __future__ import annotations

from concurrent.futures import Future

import pytest

from nas_gym.evaluation.pool import Answer, Child, Pool, Worker, WorkersFailed
from tests.evaluation.scripted import Script, ScriptedEvaluator


class BrokenWorker(Worker):
    """Is ready, and then raises what no worker should raise."""

    def begin(self) -> Future[None]:
        ready: Future[None] = Future()
        ready.set_result(None)
        return ready

    def evaluate(self, child: Child) -> Future[Answer]:
        raise FileNotFoundError("the working directory is gone")

    def check(self) -> None:
        pass

    def replace(self) -> None:
        pass

    def end(self) -> None:
        pass


def test_a_pool_that_breaks_leaves_nobody_waiting() -> None:
    with Pool(ScriptedEvaluator()) as pool:
        pool.start([BrokenWorker(), BrokenWorker()])
        with pytest.raises(WorkersFailed, match="the working directory is gone"):
            pool.evaluate([Script("sleep", "0")] * 3)
        with pytest.raises(WorkersFailed, match="cannot go on"):
            pool.submit(Script("sleep", "0")).result(timeout=300)
