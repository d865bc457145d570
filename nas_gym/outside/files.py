"""Write files such that no other file is written, and no reader sees half of one.

A folder that a stranger made may hold links where files are expected. Whoever writes through one
writes to any file that its maker chose. So every file of this package is written by these functions
(`tests/outside/test_files.py`): under a new name that nobody could know before, through no link.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

locks: Any = None
"""Locks on files; None on Windows, where nobody waits, and an open file cannot be removed."""
with suppress(ImportError):
    import fcntl

    locks = fcntl

PART = ".part-"
"""Start of the names of files that are not complete; a process that dies leaves them behind."""
_NO_LINKS = getattr(os, "O_NOFOLLOW", 0)  # Windows has no such flag


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield an empty new file beside ``path``, of the same suffix, which replaces it at the end.

    It is removed where the block raises. Its name is random, and it is made with ``O_EXCL`` and
    ``O_NOFOLLOW``. A link at ``path`` is replaced, not followed.

    Raises:
        OSError: the file cannot be made, or a folder stands in its place.
    """
    descriptor, name = tempfile.mkstemp(path.suffix, PART, path.parent)
    part = Path(name)
    try:
        with suppress(AttributeError):  # `mkstemp` lets no other user read; Windows has no modes
            os.fchmod(descriptor, 0o666 & ~_umask())
        os.close(descriptor)
        yield part
        part.replace(path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Yield an empty new folder beside ``path``, which replaces it at the end, as `replacing` does.

    Where the process dies between the two renames, nothing is at ``path``, and the earlier folder
    has the name of a file that is not complete.

    Raises:
        OSError: the folder cannot be made or moved.
    """
    part = Path(tempfile.mkdtemp("", PART, path.parent))
    earlier = part.with_name(f"{part.name}-earlier")
    try:
        with suppress(AttributeError):
            part.chmod(0o777 & ~_umask())
        yield part
        if path.is_symlink():
            path.unlink()
        elif path.exists():
            path.replace(earlier)
        part.replace(path)
    except BaseException:
        if earlier.exists() and not path.exists():
            earlier.replace(path)
        raise
    finally:
        for left in (part, earlier):
            shutil.rmtree(left, ignore_errors=True)


def open_appending(path: Path) -> int:
    """Return the descriptor of a file that is appended to, made if there is none.

    Raises:
        OSError: it is a link, has several names, or is no regular file; or it cannot be opened.
    """
    refuse_links(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | _NO_LINKS, 0o666)
    try:
        _check(os.fstat(descriptor), path)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def append_line(descriptor: int, line: str, lasting: bool = False) -> None:
    """Append a line to a file of `open_appending`, or nothing at all.

    With ``lasting``, it outlives a power failure once this returns.
    """
    rest, size = line.encode() + b"\n", os.fstat(descriptor).st_size
    try:
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if lasting:
            os.fsync(descriptor)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


def drop_cut_line(descriptor: int) -> None:
    """Drop a last line of a file of `open_appending` that a process which died did not complete."""
    size = whole = os.fstat(descriptor).st_size
    while whole:
        os.lseek(descriptor, whole - 1, os.SEEK_SET)
        if os.read(descriptor, 1) == b"\n":
            break
        whole -= 1
    if whole < size:
        os.ftruncate(descriptor, whole)


def refuse_links(path: Path) -> None:
    """Raise `OSError` for what a writer must not follow: see `open_appending`, or a folder.

    What is not there is fine, and so is a folder that is none.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        _check(os.lstat(path), path)


def refuse_links_within(folder: Path) -> None:
    """Raise `OSError` if a folder holds, at any depth, a link or what is no regular file."""
    for root, folders, files in os.walk(folder, onerror=_raise):
        for name in folders:
            if os.path.islink(os.path.join(root, name)):
                raise _refused("is a link", Path(root, name))
        for name in files:
            refuse_links(Path(root, name))


def lock(file: IO[bytes]) -> None:
    """Lock an open file until it is closed, or the process ends, however it ends."""
    if locks is not None:
        with suppress(OSError):  # some networks' disks have no locks
            locks.flock(file, locks.LOCK_EX)


def is_locked(path: Path) -> bool:
    """Return True if a process has a file locked by `lock`."""
    if locks is None:
        return False
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | _NO_LINKS)
        try:
            locks.flock(descriptor, locks.LOCK_SH | locks.LOCK_NB)
        finally:
            os.close(descriptor)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def remove_parts(folder: Path) -> None:
    """Remove the files and folders in a folder that a process which died did not complete."""
    for part in folder.glob(f"{PART}*"):
        with suppress(OSError):
            if part.is_dir() and not part.is_symlink():
                shutil.rmtree(part)
            else:
                part.unlink()


def _check(status: os.stat_result, path: Path) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise _refused("is a link", path)
    if not stat.S_ISREG(status.st_mode):
        raise _refused("is not a regular file", path)
    if status.st_nlink > 1:
        raise _refused("has another name elsewhere (a hard link)", path)


def _refused(what: str, path: Path) -> OSError:
    return OSError(errno.ELOOP, f"{path.name} {what}; put a copy in its place", str(path))


def _raise(error: OSError) -> None:
    raise error


def _umask() -> int:
    """Return the process's mask of file modes, which can be read only by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
