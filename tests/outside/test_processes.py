"""Workers' processes are prepared before anything slow is imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from nas_gym.outside import processes


def test_the_process_of_workers_is_started_without_torch() -> None:
    code = (
        "import sys; from multiprocessing import forkserver; from nas_gym.outside import processes;"
        "forkserver.ensure_running = lambda: print('started');"
        "processes.prepare_workers(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["started", "False"]


@pytest.mark.parametrize("before", [None, "0"])
def test_a_script_may_ask_for_a_gpu_in_the_process_of_workers(
    before: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There alone, torch's answer does not start CUDA; see torch's notes on poisoned forks."""
    monkeypatch.setenv(processes.ASKS_THE_DRIVER, "")
    if before is None:
        monkeypatch.delenv(processes.ASKS_THE_DRIVER)
    else:
        monkeypatch.setenv(processes.ASKS_THE_DRIVER, before)
    asked: list[bool] = []
    starts = "multiprocessing.forkserver.ensure_running"
    monkeypatch.setattr(starts, lambda: asked.append(torch.cuda._nvml_based_avail()))
    processes.prepare_workers()
    assert asked == [True]
    assert os.environ.get(processes.ASKS_THE_DRIVER) == before


def test_where_there_is_no_such_process_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    processes.worker_context.cache_clear()
    try:
        assert processes.worker_context().get_start_method() == "spawn"
        processes.prepare_workers()
    finally:
        processes.worker_context.cache_clear()
