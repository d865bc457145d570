"""What a pool does about workers that are no good, with workers that need no processes."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch

from nas_gym.architecture import Architecture
from nas_gym.errors import InvalidSettings
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.training.network_trainer import DeviceTraining
from nas_gym.workers.inside import FREE_SHARE, answer_for, place_of
from nas_gym.workers.pool import Pool
from nas_gym.workers.protocol import (
    Answer,
    Child,
    Place,
    Worker,
    WorkerGone,
    WorkerLost,
    WorkersFailed,
    failed_evaluations,
    time_out_of,
)
from nas_gym.workers.verdicts import STARTS
from tests.evaluation.scripted import Script, ScriptedEvaluator


class IdealWorker(Worker):
    """Is always ready, and evaluates in the pool's own thread."""

    def begin(self) -> Future[Place]:
        return done(Place())

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        return done(answer_for(ScriptedEvaluator(), child.pickled, child.repeats))

    def check(self) -> None:
        pass

    def replace(self) -> None:
        pass

    def end(self) -> None:
        pass


class BrokenWorker(IdealWorker):
    """Raises what no worker should raise."""

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        raise FileNotFoundError("the working directory is gone")

    def end(self) -> None:
        raise ProcessLookupError("it cannot be ended")


class SilentWorker(IdealWorker):
    """Never answers, and cannot be ended if it is ``stuck``."""

    def __init__(self, stuck: bool) -> None:
        self.stuck, self.ended = stuck, False

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        return Future()

    def end(self) -> None:
        if self.stuck:
            raise ProcessLookupError("it cannot be ended")
        self.ended = True


class MortalWorker(IdealWorker):
    """Dies of children that exit, and begins again as long as it has lives."""

    def __init__(self, lives: int) -> None:
        self.lives = lives

    def begin(self) -> Future[Place]:
        return super().begin() if self.lives else failed(WorkerGone("buy more lives"))

    def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
        if child.architecture != Script("exit"):
            return super().evaluate(child, limit)
        self.lives -= 1
        return failed(WorkerLost("its worker died", None))


class ChangingEvaluator(ScriptedEvaluator):
    """Its answers do not last."""

    changes = True


def done(result: Any) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_result(result)
    return future


def failed(error: Exception) -> Future[Any]:
    future: Future[Any] = Future()
    future.set_exception(error)
    return future


def test_a_pool_that_breaks_leaves_nobody_waiting() -> None:
    with Pool(ScriptedEvaluator()) as pool:
        pool.start([BrokenWorker(), BrokenWorker()])
        with pytest.raises(WorkersFailed, match="the working directory is gone"):
            pool.evaluate([Script("sleep", "0")] * 3)
        with pytest.raises(WorkersFailed, match="cannot go on"):
            pool.submit(Script("sleep", "0")).result(timeout=300)


def test_a_child_nobody_can_judge_leaves_nobody_waiting() -> None:
    """A cluster whose head is lost does not say which of its machines live."""

    class Headless(Pool):
        def suspicious(self, deaths: Sequence[str]) -> int:
            raise ConnectionError("the head is gone")

    with Headless(ScriptedEvaluator()) as pool:
        pool.start([MortalWorker(lives=9)])
        with pytest.raises(WorkersFailed, match="the head is gone"):
            pool.submit(Script("exit")).result(timeout=10)


def test_an_evaluator_whose_answers_change_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="ChangingEvaluator cannot be given to workers"):
        Pool(ChangingEvaluator())


def test_a_worker_that_cannot_be_ended_keeps_nobody_waiting() -> None:
    pool, workers = Pool(ScriptedEvaluator()), [SilentWorker(True), SilentWorker(False)]
    pool.start(workers)
    asked = [pool.submit(Script("sleep", "0")) for _ in range(3)]
    pool.close()
    assert [worker.ended for worker in workers] == [False, True]
    for future in asked:
        with pytest.raises(CancelledError, match="closed"):
            future.result(timeout=300)


def test_a_gpus_memory_is_that_beside_what_its_worker_holds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its data set, which it has from its beginning."""
    limits: list[tuple[float, int]] = []
    held = 0

    class OnGPU(ScriptedEvaluator, DeviceTraining):
        pass

    def load() -> None:
        nonlocal held
        held = 100

    for name, fake in {
        "is_available": lambda: True,
        "current_device": lambda: 3,
        "mem_get_info": lambda device: (1000 - held, 1000),
        "memory_reserved": lambda device: held,
        "set_per_process_memory_fraction": lambda *given: limits.append(given),
        "empty_cache": lambda: None,
    }.items():
        monkeypatch.setattr(torch.cuda, name, fake)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    evaluator: Any = OnGPU(device=torch.device("cuda"))
    evaluator.task = SimpleNamespace(load=load)
    assert place_of(evaluator, "host") == Place("host 7", FREE_SHARE * 900)
    for limit in (150, 2000, None):
        answer_for(evaluator, pickle.dumps(Script("sleep", "0")), [0], limit=limit)
    assert limits == [(0.25, 3), (1.0, 3), (1.0, 3)]


def test_repeats_of_a_part_are_one_child() -> None:
    class Together(ScriptedEvaluator):
        fused = 2
        asked: ClassVar[list[tuple[Any, ...]]] = []

        def evaluate_repeats(
            self, architecture: Architecture, repeats: Sequence[int], epochs: int
        ) -> list[Evaluation]:
            self.asked.append((*repeats, epochs))
            return [self.evaluate_one(architecture, repeat) for repeat in repeats]

    class Asking(IdealWorker):
        def evaluate(self, child: Child, limit: float | None) -> Future[Answer]:
            return done(answer_for(Together(), child.pickled, child.repeats, child.epochs))

    with Pool(Together()) as pool:
        pool.start([Asking()])
        futures = pool.submit_repeats(Script("sleep", "0"), range(4), epochs=3)
        assert [future.result(timeout=300).seed for future in futures] == [0, 1, 2, 3]
    assert Together.asked == [(0, 1, 3), (2, 3, 3)]


def test_repeats_that_are_one_child_share_its_time() -> None:
    """They have the time-outs of all, and each a part of the seconds."""
    child = Child(Script("sleep", "0"), (0, 1, 2, 3), b"")
    assert time_out_of(child, 3.0) == 12.0
    assert time_out_of(child, None) is None
    begun = time.perf_counter() - 40.0
    made = failed_evaluations(
        ScriptedEvaluator(), child.architecture, child.repeats, "timed_out", begun, "late"
    )
    assert [each.seed for each in made] == [0, 1, 2, 3]
    assert all(10.0 <= each.seconds < 20.0 for each in made)


def test_workers_that_are_gone_leave_the_others_to_go_on() -> None:
    exits, sleeps = Script("exit"), Script("sleep", "0")
    with Pool(ScriptedEvaluator()) as pool:
        pool.start([MortalWorker(1), MortalWorker(1), MortalWorker(2)])
        made = pool.evaluate([sleeps, exits, sleeps, sleeps])  # costs three lives
        assert [evaluation.status for evaluation in made] == ["ok", "crashed", "ok", "ok"]
        assert made[1].message == "its worker died (3 times)"
        assert pool.evaluate([sleeps])[0].status == "ok"
        assert pool.workers == 1
        with pytest.raises(WorkersFailed, match=r"none is left.* gone: buy more lives"):
            pool.evaluate([exits, sleeps])
        with pytest.raises(WorkersFailed, match="none is left"):
            pool.submit(sleeps)


def test_more_workers_may_go_than_may_fail_to_start() -> None:
    with Pool(ScriptedEvaluator()) as pool:
        pool.start([*[MortalWorker(0) for _ in range(2 * STARTS)], IdealWorker()])
        assert pool.evaluate([Script("sleep", "0")])[0].status == "ok"
