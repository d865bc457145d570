"""What worker processes need: cores to share, an end with their parent, and words for their end."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading


def usable_cores() -> int:
    """How many cores this process may use: fewer than the machine has, where it was restricted."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def end_with_parent() -> None:
    """Ends this process when the one that started it is gone: killed, it could not say so."""
    threading.Thread(target=_end_after_parent, daemon=True).start()


def _end_after_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def how_it_ended(exit_code: int) -> str:
    """What the exit code of a process says, in words."""
    if exit_code >= 0:
        return f"it ended with exit code {exit_code}"
    try:
        name = signal.Signals(-exit_code).name
    except ValueError:
        name = f"signal {-exit_code}"
    likely = "; most likely the system ran out of memory" if name == "SIGKILL" else ""
    return f"it was ended by {name}{likely}"
