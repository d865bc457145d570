"""Trainings of this machine's user pause while one process measures a time.

Two files are locked, which the system unlocks when a process ends, however it ends: ``work`` is
shared by all that train, ``turn`` held by the one that waits to measure.
"""

from __future__ import annotations

import os
import stat
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nas_gym.errors import require
from nas_gym.outside.files import locks

_own = threading.local()
"""``files``: descriptors of the two files, (turn, work), of the training in this thread."""


@contextmanager
def training() -> Iterator[None]:
    """Let others of this machine measure at each `give_way` within it, and at no other moment."""
    if locks is None:
        yield
        return
    with _opened() as files:
        _begin(*files)
        _own.files = files
        try:
            yield
        finally:
            _own.files = None


def give_way(settle: Callable[[], None]) -> None:
    """Wait, after ``settle`` ended what is under way, as long as another process measures."""
    files = getattr(_own, "files", None)
    if files is None:
        return
    turn, work = files
    try:
        locks.flock(turn, locks.LOCK_SH | locks.LOCK_NB)
    except BlockingIOError:
        settle()
        locks.flock(work, locks.LOCK_UN)
        _begin(turn, work)
    else:
        locks.flock(turn, locks.LOCK_UN)


@contextmanager
def quiet() -> Iterator[None]:
    """Measure within it: all `training` of other processes of this machine's user pauses."""
    if locks is None:
        yield
        return
    with _opened() as (turn, work):
        locks.flock(turn, locks.LOCK_EX)
        locks.flock(work, locks.LOCK_EX)
        yield


def _begin(turn: int, work: int) -> None:
    """Share the work, once nobody waits to measure."""
    locks.flock(turn, locks.LOCK_SH)
    locks.flock(turn, locks.LOCK_UN)
    locks.flock(work, locks.LOCK_SH)


@contextmanager
def _opened() -> Iterator[tuple[int, int]]:
    folder = Path(tempfile.gettempdir()) / f"nas_gym-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
    require(own, f"latency: {folder} is another user's; remove it, or set TMPDIR")
    how = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
    files = [os.open(folder / name, how, 0o600) for name in ("turn", "work")]
    try:
        yield files[0], files[1]
    finally:
        for file in files:
            os.close(file)  # which unlocks it
