"""Pools of processes: the same results as in one process, whatever happens to the workers."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_gym import published
from nas_gym.data.dataset import resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.networks.devices import cpu_threads
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.workers.local import LocalWorkers
from nas_gym.workers.protocol import WorkersFailed
from tests.evaluation.scripted import (
    Deadly,
    Script,
    ScriptedEvaluator,
    Unreadable,
    describe_all,
    evaluations_of_all,
)

LINUX = sys.platform == "linux"


@pytest.fixture(scope="module")
def pool() -> Iterator[LocalWorkers]:
    with LocalWorkers(ScriptedEvaluator(), workers=2, threads=1) as pool:
        yield pool


def test_children_are_the_bare_trainers_to_the_bit() -> None:
    network = NASBench201Settings(cells=1, filters=4)
    dataset = resplit(load_dataset("digits"), 128, 100, 100)
    trainer = Trainer(dataset, TrainingSettings(network, epochs=2, batch_size=32), "cpu")
    search_space, rng = NASBench201SearchSpace(), np.random.default_rng(0)
    architectures = [search_space.decode(search_space.sample(rng)) for _ in range(5)]
    with LocalWorkers(trainer, workers=2, threads=1) as pool:
        more = [pool.submit(architectures[0], repeat=1), pool.submit(architectures[0], epochs=1)]
        made = [*pool.evaluate(architectures), *(future.result() for future in more)]
        assert (pool.costs, pool.fingerprint) == (trainer.costs, trainer.fingerprint)
        assert pool.fidelities == (1, 2)
        seed = pool.seed_of(architectures[0], 1)
    assert not {"training", "validation"} & set(vars(trainer.task))  # no copy for this process
    with cpu_threads(1):
        expected = trainer.evaluate(architectures)
        expected.append(trainer.evaluate_one(architectures[0], repeat=1))
        expected.append(trainer.evaluate_one(architectures[0], epochs=1))
    assert seed == expected[-2].seed
    assert [replace(e, seconds=0.0) for e in made] == [replace(e, seconds=0.0) for e in expected]
    assert {evaluation.status for evaluation in made} == {"ok"}
    assert len({evaluation.curve for evaluation in made}) > 1


def test_workers_share_the_images_and_the_cores(pool: LocalWorkers) -> None:
    said = describe_all(pool)
    assert not pool.shares_gpus  # no child's memory is estimated, which takes a tenth of a second
    assert str(os.getpid()) not in {process for process, *_ in said}
    assert [rest for _, *rest in said] == [["1", "all", str(LINUX)]] * 2


def test_every_worker_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    evaluator = ScriptedEvaluator(device=torch.device("cuda"))
    with LocalWorkers(evaluator, workers=3) as pool:
        assert pool.shares_gpus
        assert sorted(gpu for _, _, gpu, _ in describe_all(pool)) == ["5", "5", "7"]
    evaluator.device = torch.device("cuda:1")
    with LocalWorkers(evaluator, workers=1) as pool:
        assert not pool.shares_gpus
        assert [gpu for _, _, gpu, _ in describe_all(pool)] == ["7"]


ASKING = """
import torch
from nas_gym import TrainingSettings, load_dataset, published
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.training.trainer import Trainer
from nas_gym.workers.local import LocalWorkers

torch.cuda._device_count_nvml = {nvml}
torch._C._cuda_getDeviceCount = {runtime}
device = "cuda" if torch.cuda.is_available() else "cpu"

if __name__ == "__main__":
    settings = TrainingSettings(NASBench201Settings(cells=1, filters=4), epochs=1, batch_size=64)
    trainer = Trainer(load_dataset("digits"), settings, {device})
    with LocalWorkers(trainer, workers=1) as pool:
        made = pool.evaluate([published("NAS-Bench-201-best")])[0]
        print(made.status, made.message)
"""
"""A script whose own lines, which the workers' process runs too, ask whether there is a GPU."""


def asking(folder: Path, **given: str) -> str:
    """Run the script; return what it printed."""
    script = folder / "asking.py"
    script.write_text(ASKING.format(**given))
    command = [sys.executable, str(script)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.skipif(not LINUX, reason="workers are not forked here")
def test_a_script_that_asks_for_a_gpu_starts_no_cuda_in_the_process_of_workers(
    tmp_path: Path,
) -> None:
    """A fork of it could not use CUDA."""
    runtime = 'lambda: print("started CUDA in", __name__) or 0'
    said = asking(tmp_path, nvml="lambda: 0", runtime=runtime, device='"cpu"')
    assert "ok" in said
    assert "started CUDA in __main__" in said
    assert "started CUDA in __mp_main__" not in said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_script_that_asks_for_a_gpu_has_workers_on_it(tmp_path: Path) -> None:
    given = {"nvml": "torch.cuda._device_count_nvml", "runtime": "torch._C._cuda_getDeviceCount"}
    assert asking(tmp_path, **given, device="device") == "ok \n"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_two_workers_train_on_one_gpu() -> None:
    settings = TrainingSettings(NASBench201Settings(cells=1, filters=8), epochs=2, batch_size=64)
    trainer = Trainer(load_dataset("digits"), settings, "cuda")
    architectures = [published("NAS-Bench-201-best")] * 2
    expected = trainer.evaluate(architectures)
    with LocalWorkers(trainer, workers=2) as pool:
        made = pool.evaluate(architectures)
    for here, there in zip(expected, made, strict=True):
        assert (there.status, there.fingerprint) == ("ok", here.fingerprint)
        assert there.accuracy == pytest.approx(here.accuracy, abs=0.05)


def test_a_batch_starts_with_what_takes_longest() -> None:
    batch = [Script("clock", value) for value in ("1", "3", "2")]

    def order(pool: LocalWorkers) -> list[int]:
        began = [float(evaluation.message) for evaluation in pool.evaluate(batch)]
        return sorted(range(3), key=lambda place: began[place])

    with LocalWorkers(ScriptedEvaluator(), workers=1) as pool:
        assert order(pool) == [0, 1, 2]  # nothing is known
        assert order(pool) == [1, 2, 0]
    with LocalWorkers(ScriptedEvaluator(), 1, cost=lambda a: -float(a.body()["value"])) as pool:
        assert order(pool) == [0, 2, 1]


def test_no_worker_sees_what_another_writes(pool: LocalWorkers) -> None:
    describe_all(pool)  # both have the images before one of them writes
    assert pool.evaluate([Script("blot")])[0].accuracy == 0.0
    seen = [evaluation.accuracy for evaluation in evaluations_of_all(pool)]
    assert set(seen) == {0.0, 0.5}


def test_whatever_a_child_does_becomes_a_status(pool: LocalWorkers, tmp_path: Path) -> None:
    scripts = {
        Script("raise", "enough"): ("crashed", "SystemExit: enough"),
        Script("allocate"): ("out_of_memory", "MemoryError: "),
        Script("segfault"): ("crashed", "its worker died: it was ended by SIGSEGV"),
        Script("kill_once", str(tmp_path / "killed")): ("ok", "survived"),
        Script("kill"): (
            "crashed",
            "its worker died: it was ended by SIGKILL; most likely the system ran out of memory "
            "(3 times)",
        ),
        Script("exit", "3"): ("crashed", "its worker died: it ended with exit code 3"),
        Script("describe"): ("ok", None),
    }
    made = pool.evaluate(list(scripts))
    for evaluation, (status, message) in zip(made, scripts.values(), strict=True):
        assert evaluation.status == status
        assert message in (None, evaluation.message)
        assert evaluation.fingerprint == "scripted"


def test_a_child_whose_time_is_over_is_ended() -> None:
    with LocalWorkers(ScriptedEvaluator(), workers=1, timeout=0.5) as pool:
        made = pool.evaluate([Script("sleep", "6000")] * 2)  # the second has another process
    for evaluation in made:
        assert evaluation.status == "timed_out"
        assert evaluation.message == "its time-out of 0.5 s passed"
        assert evaluation.seconds >= 0.5


def test_an_evaluator_that_cannot_be_loaded_is_one_error() -> None:
    with LocalWorkers(Unreadable(), workers=2) as pool:
        waiting = [pool.submit(Script("describe")) for _ in range(3)]
        for future in waiting:
            with pytest.raises(WorkersFailed, match=r"cannot load.*OSError.*is gone"):
                future.result(timeout=300)
        with pytest.raises(WorkersFailed, match="is gone"):
            pool.evaluate([Script("describe")])


def test_workers_that_never_begin_are_one_error() -> None:
    with (
        LocalWorkers(Deadly(), workers=2) as pool,
        pytest.raises(WorkersFailed, match="5 of them ended before they were ready"),
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


def test_cancelling_ends_what_is_under_way_and_the_workers_go_on() -> None:
    with LocalWorkers(ScriptedEvaluator(), workers=1) as pool:
        futures = [pool.submit(Script("sleep", "6000")) for _ in range(2)]
        while not futures[0].running():
            time.sleep(0.01)
        pool.cancel()
        for future in futures:
            with pytest.raises(CancelledError):
                future.result(timeout=300)
        assert pool.evaluate([Script("describe")])[0].status == "ok"


def test_what_cannot_be_is_refused() -> None:
    refused: list[dict[str, Any]] = [
        {"workers": 0},
        {"workers": 1, "timeout": 0},
        {"workers": 1, "threads": 0},
    ]
    for wrong in refused:
        with pytest.raises(InvalidSettings, match=list(wrong)[-1]):
            LocalWorkers(ScriptedEvaluator(), **wrong)
    evaluator = ScriptedEvaluator()
    evaluator.fingerprint = lambda: ""  # type: ignore[assignment]
    with pytest.raises(InvalidSettings, match="ScriptedEvaluator cannot be sent"):
        LocalWorkers(evaluator, workers=1)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_that_were_killed_while_idle_are_replaced(
    pool: LocalWorkers, how: signal.Signals
) -> None:
    before = {int(process) for process, *_ in describe_all(pool)}
    for process in before:
        os.kill(process, how)
    assert {e.status for e in pool.evaluate([Script("describe")] * 4)} == {"ok"}
    assert not before & {int(process) for process, *_ in describe_all(pool)}


def test_ctrl_c_ends_the_workers() -> None:
    children: list[int] = []

    def search() -> None:
        with LocalWorkers(ScriptedEvaluator(), workers=2) as pool:
            children.extend(int(process) for process, *_ in describe_all(pool))
            threading.Timer(0.2, press).start()
            pool.evaluate([Script("sleep", "60")] * 3)

    def press() -> None:  # the terminal sends the signal to all of them
        for process in (*children, os.getpid()):
            os.kill(process, signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            search()
    finally:
        signal.signal(signal.SIGINT, before)
    assert children
    wait_for_end_of(children)


def test_workers_end_when_the_process_that_made_them_is_killed() -> None:
    ours, theirs = multiprocessing.Pipe()
    parent = multiprocessing.get_context("forkserver").Process(target=be_a_parent, args=(theirs,))
    parent.start()
    children = [int(process) for process, *_ in ours.recv()]
    parent.kill()
    wait_for_end_of(children)


def be_a_parent(connection: Connection) -> None:
    """What the process does that is killed: it has two workers with much to do."""
    with LocalWorkers(ScriptedEvaluator(), workers=2) as pool:
        connection.send(describe_all(pool))
        pool.evaluate([Script("sleep", "60")] * 3)


def wait_for_end_of(processes: list[int]) -> None:
    deadline = time.monotonic() + 300
    while any(Path(f"/proc/{process}").exists() for process in processes):
        assert time.monotonic() < deadline
        time.sleep(0.02)
