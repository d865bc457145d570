"""Pools of processes: the same results as in one process, whatever happens to the workers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_gym.errors import InvalidSettings
from nas_gym.evaluation.datasets import load_dataset
from nas_gym.evaluation.settings import TrainingSettings
from nas_gym.evaluation.training import Trainer
from nas_gym.evaluation.workers import LocalWorkers, WorkersFailed
from nas_gym.networks import CellNetworkSettings
from nas_gym.networks.devices import cpu_threads
from tests.evaluation.scripted import Deadly, Script, ScriptedEvaluator, Unreadable
from tests.helpers import random_architecture


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalWorkers]:
    with LocalWorkers(ScriptedEvaluator(), workers=2, timeout=1.5, threads=1) as pool:
        yield pool


def test_children_are_the_bare_trainers_to_the_bit() -> None:
    settings = TrainingSettings(CellNetworkSettings(cells=1, filters=4), epochs=1)
    trainer = Trainer(load_dataset("digits"), settings, "cpu")
    architectures = [random_architecture(seed, blocks=2) for seed in range(4)]
    with cpu_threads(1):
        expected = trainer.evaluate(architectures)
        expected.append(trainer.evaluate_one(architectures[0], repeat=1))
    with LocalWorkers(trainer, workers=2, threads=1, cost=lambda a: -int(a.key, 16)) as pool:
        repeated = pool.submit(architectures[0], repeat=1)
        made = [*pool.evaluate(architectures), repeated.result()]
        assert pool.costs == trainer.costs
    assert [replace(e, seconds=0.0) for e in made] == [replace(e, seconds=0.0) for e in expected]
    assert all(evaluation.status == "ok" for evaluation in made)


def test_workers_share_the_images_and_the_cores(pool: LocalWorkers) -> None:
    pool.evaluate([Script("describe", "0.2")] * 2)  # both are ready now
    said = [e.message.split(" ") for e in pool.evaluate([Script("describe", "0.2")] * 2)]
    assert len({process for process, *_ in said} | {str(os.getpid())}) == 3
    assert [rest for _, *rest in said] == [["1", str(sys.platform == "linux")]] * 2


def test_no_worker_sees_what_another_writes(pool: LocalWorkers) -> None:
    [first, *others] = pool.evaluate([Script("blot"), *[Script("sleep", "0.1")] * 3])
    assert first.accuracy == 0.0
    assert max(evaluation.accuracy for evaluation in others) == 0.5


def test_whatever_a_child_does_becomes_a_status(pool: LocalWorkers, tmp_path: Path) -> None:
    scripts = {
        Script("raise", "enough"): ("crashed", "SystemExit: enough"),
        Script("allocate"): ("out_of_memory", "MemoryError: "),
        Script("segfault"): ("crashed", "its worker died: it was ended by SIGSEGV"),
        Script("kill_once", str(tmp_path / "killed")): ("ok", "survived"),
        Script("exit", "3"): ("crashed", "its worker died: it ended with exit code 3"),
        Script("sleep", "60"): ("timed_out", "its time-out of 1.5 s passed"),
        Script("describe"): ("ok", None),
    }
    made = pool.evaluate(list(scripts))
    for evaluation, (status, message) in zip(made, scripts.values(), strict=True):
        assert evaluation.status == status
        assert message in (None, evaluation.message)
        assert evaluation.fingerprint == "scripted"
    assert 1.5 <= made[5].seconds < 10


def test_an_evaluator_that_cannot_be_loaded_is_one_error() -> None:
    with LocalWorkers(Unreadable(), workers=2) as pool:
        waiting = [pool.submit(Script("describe")) for _ in range(3)]
        for future in waiting:
            with pytest.raises(WorkersFailed, match=r"cannot load the evaluator: OSError.*is gone"):
                future.result(timeout=60)
        with pytest.raises(WorkersFailed, match="is gone"):
            pool.evaluate([Script("describe")])


def test_workers_that_never_begin_are_one_error() -> None:
    with (
        LocalWorkers(Deadly(), workers=2) as pool,
        pytest.raises(WorkersFailed, match="5 processes ended before they were ready"),
    ):
        pool.evaluate([Script("describe")])


def test_closing_cancels_what_is_under_way() -> None:
    pool = LocalWorkers(ScriptedEvaluator(), workers=1)
    futures = [pool.submit(Script("sleep", "60")) for _ in range(2)]
    pool.close()
    for future in futures:
        with pytest.raises(CancelledError):
            future.result(timeout=0)
    with pytest.raises(InvalidSettings, match="closed"):
        pool.submit(Script("describe"))
    pool.close()


def test_what_cannot_be_is_refused() -> None:
    refused: list[dict[str, Any]] = [
        {"workers": 0},
        {"workers": 1, "timeout": 0},
        {"workers": 1, "threads": 0},
        {"workers": 1, "children_per_gpu": 0},
    ]
    for wrong in refused:
        with pytest.raises(InvalidSettings, match=list(wrong)[-1]):
            LocalWorkers(ScriptedEvaluator(), **wrong)
    evaluator = ScriptedEvaluator()
    evaluator.fingerprint = lambda: ""  # type: ignore[assignment]
    with pytest.raises(InvalidSettings, match="ScriptedEvaluator cannot be sent"):
        LocalWorkers(evaluator, workers=1)
