"""Parts of worker processes: cores to share, an end with their parent, and words for their end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

MOST_THREADS = 1_024
"""Threads of a process; torch fails without an error at tens of thousands."""
MOST_WORKERS = 4_096
"""Processes of one machine, each of which needs some hundred MB."""


def usable_cores() -> int:
    """Return the number of cores that this process may use: at most the machine's."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_with_parent() -> None:
    """End this process when the one that started it is gone: killed, it could not say so."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def how_it_ended(exit_code: int) -> str:
    """Return the meaning of a process's exit code in words."""
    if exit_code >= 0:
        return f"it ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    likely = "; most likely the system ran out of memory" if name == "SIGKILL" else ""
    return f"it was ended by {name}{likely}"
