"""Workers' processes are prepared before anything slow is imported."""

from __future__ import annotations

import subprocess
import sys

import pytest

from nas_gym.outside import processes


def test_the_process_of_workers_is_started_without_torch() -> None:
    code = (
        "import sys; from multiprocessing import forkserver; from nas_gym.outside import processes;"
        "forkserver.ensure_running = lambda: print('started');"
        "processes.prepare_workers(); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["started", "False"]


def test_where_there_is_no_such_process_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    processes.worker_context.cache_clear()
    try:
        assert processes.worker_context().get_start_method() == "spawn"
        processes.prepare_workers()
    finally:
        processes.worker_context.cache_clear()
