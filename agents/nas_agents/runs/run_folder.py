"""A run's folder on disk: everything about a run, readable without this package."""

from __future__ import annotations

import errno
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nas_agents.runs.reading import (
    BEST,
    EPISODE,
    EPISODES,
    REPORT,
    SETTINGS,
    SUMMARY,
    UPDATES,
    WORST_IMAGES,
    InvalidRunFolder,
    has_run,
    read_episodes,
)
from nas_gym.errors import require
from nas_gym.outside.files import (
    append_line,
    drop_cut_line,
    open_appending,
    refuse_links_within,
    remove_parts,
    replacing,
)
from nas_gym.outside.json_text import is_text, short

CURVES, DATABASE, LOCK = "curves.jsonl", "evaluations.db", "lock"
FILES = ("best.png", "front.png", WORST_IMAGES, REPORT, UPDATES, CURVES, DATABASE, LOCK)
"""Its other files; see `RunFolder`."""
UNFINISHED_CHILDREN = "children"
"""Folder of the states of children that were trained in part, and may go on."""
FOLDERS = ("checkpoint", "model", "tensorboard", UNFINISHED_CHILDREN)
"""Its folders."""
UNSTARTED = {LOCK, EPISODES, CURVES, "checkpoint"}
UNSTARTED |= {DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"}
"""Content of a run's folder before its settings are written; from then on it can be resumed."""


def default_run_folder(env_id: str, agent: str) -> Path:
    """Make ``runs/<environment>-<agent>-<time>`` in the working directory, or ``...-2`` and on.

    It is this search's alone, however many start in the same second.
    """
    names = env_id.rpartition("/")[2], agent.rpartition(":")[2], time.strftime("%Y%m%d-%H%M%S")
    for number in count(1):
        path = Path("runs") / "-".join((*names, *([str(number)] if number > 1 else [])))
        try:
            path.mkdir(parents=True)
        except FileExistsError:
            continue
        except OSError:
            pass  # `RunFolder` says why
        return path
    raise AssertionError


@contextmanager
def opened(path: Path, resume: bool) -> Iterator[RunFolder]:
    """Open a run's folder, to go on with its run or not; one without a run is not left behind."""
    says = f"run: expected a name in UTF-8, got {short(str(path))}; give --run another folder"
    require(is_text(str(path)), says)
    folder = RunFolder(path, resume and has_run(path))
    try:
        yield folder
    finally:
        if not has_run(path):
            folder.discard()  # before another process may have it
        folder.close()


class RunFolder:
    """Reads and writes a run's files; no other process can do so meanwhile.

    | file | holds |
    |---|---|
    | ``settings.json`` | what was asked for |
    | ``evaluations.db`` | every evaluation: see `nas_gym.store.store` |
    | ``episodes.jsonl`` | one line an episode, in the agent's order |
    | ``updates.jsonl`` | one line an update of the agent, with what it logs |
    | ``curves.jsonl`` | what early stopping has learned, where that is asked for |
    | ``best.json``, ``best.png`` | the best architecture so far, and its picture |
    | ``model/`` | the trained model after the final training: see `nas_gym.models` |
    | ``front.png`` | the Pareto front among all children, where there are several objectives |
    | ``summary.json`` | counts, best, test accuracy, times |
    | ``checkpoint/`` | the search's state; SB3's agent; shared weights; the final training |
    | ``report.html``, ``worst_images.json`` | the report, and images in it: `nas_agents.report` |
    | ``tensorboard/`` | TensorBoard's logs: see `nas_agents.callbacks` |
    | ``lock`` | nothing: the process that works in the folder has it locked |

    A process that dies leaves all of them whole: files are replaced as one, and a line that was cut
    short is dropped when the run goes on. Until `start`, nothing in
    the folder of a run is changed.

    Args:
        path: The folder; it is made.
        resume: The folder holds the run already, which goes on.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path, self.resumed = path, resume
        self.recorded: list[dict[str, Any]] = []
        """The episodes that an earlier process recorded."""
        self._episodes: int | None = None
        if not resume:
            self._refuse_another_run()
        with self.written():
            path.mkdir(parents=True, exist_ok=True)
            refuse_links_within(path)  # a stranger's: they would have other files written
            self._refuse_other_kinds()
            self._found = {each.name for each in path.iterdir()}
            self._lock = self._locked()
            try:
                if not resume:  # another process may have been faster
                    self._refuse_another_run()
                if (path / EPISODES).exists():
                    self.recorded = read_episodes(path / EPISODES, EPISODE)
            except BaseException:
                self._lock.release()
                raise

    def start(self) -> None:
        """Begin the run, or go on with it: now episodes can be added."""
        with self.written():
            (self.path / "checkpoint").mkdir(exist_ok=True)
            remove_parts(self.path)
            remove_parts(self.path / "checkpoint")
            self._episodes = open_appending(self.path / EPISODES)
            drop_cut_line(self._episodes)

    def add_episode(self, record: dict[str, Any]) -> None:
        """Append one line to ``episodes.jsonl``, or nothing at all.

        Raises:
            InvalidSettings: a number is not finite, which nobody could read again.
        """
        assert self._episodes is not None
        for name, value in record.items():
            numbers = value if isinstance(value, list) else [value]
            sound = all(math.isfinite(each) for each in numbers if isinstance(each, float))
            says = f"{name}: episode {record['episode']} has {value}; expected finite numbers"
            require(sound, says)
        with self.written():
            append_line(self._episodes, json.dumps(record))

    def add_update(self, record: dict[str, Any]) -> None:
        """Append one line to ``updates.jsonl``."""
        with self.written():
            file = open_appending(self.path / UPDATES)
            try:
                drop_cut_line(file)
                append_line(file, json.dumps(record))
            finally:
                os.close(file)

    def write(self, name: str, data: object) -> None:
        """Write a JSON file; a reader never sees half of it."""
        text = json.dumps(data, indent=2) + "\n"
        self.replace(name, lambda part: part.write_text(text, encoding="utf-8"))

    def replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Replace a file by the one that ``write`` makes, under another name of the same suffix."""
        with self.written(), replacing(self.path / name) as part:
            write(part)

    def discard(self) -> None:
        """Remove what was made in a folder in which no run was started, and then the folder."""
        for name in {LOCK, EPISODES, CURVES, DATABASE} - self._found:
            with suppress(OSError):
                (self.path / name).unlink()
        for folder in (self.path / "checkpoint", self.path):
            with suppress(OSError):
                folder.rmdir()

    def close(self) -> None:
        """Let other processes have the folder."""
        if self._episodes is not None:
            os.close(self._episodes)
        self._lock.release()

    def _refuse_another_run(self) -> None:
        names = {each.name for each in self.path.iterdir()} if self.path.is_dir() else {""}
        if not self.path.exists() or names <= UNSTARTED:
            return
        says = "is there already, and holds no run; name another folder with --run"
        if has_run(self.path):
            says = (
                "exists already, and a run is never overwritten; name another folder with --run, "
                "or go on with this run by --resume"
            )
        raise InvalidRunFolder(f"run: {self.path} {says}")

    def _refuse_other_kinds(self) -> None:
        """Raise `OSError` for a folder in a file's place, a file in a folder's, or a locked folder.

        All are written later, when much may have been computed.
        """
        inside = [str(each.relative_to(self.path)) for each in self.path.glob("checkpoint/*")]
        for name in (SETTINGS, SUMMARY, EPISODES, BEST, *FILES, *inside):
            if (self.path / name).is_dir():
                raise IsADirectoryError(errno.EISDIR, f"{name} is a folder")
        for folder in (self.path / name for name in FOLDERS):
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, f"{folder.name} is not a folder")
            if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
                raise PermissionError(errno.EACCES, f"{folder.name} is locked")

    def _locked(self) -> FileLock:
        """Return the lock on the folder, which ends with the process, however that ends."""
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            where = f"run: another process works in {self.path}; wait for it, or end it"
            raise InvalidRunFolder(where) from None
        return lock

    @contextmanager
    def written(self) -> Iterator[None]:
        """Do as `written_in` does in this folder."""
        with written_in(self.path):
            yield


@contextmanager
def written_in(run: Path) -> Iterator[None]:
    """Turn the error about a file that cannot be written into an `InvalidRunFolder`."""
    try:
        yield
    except OSError as error:
        raise InvalidRunFolder(
            f"run: {run} cannot be written ({error.strerror}); what is recorded is kept: make room "
            "and go on with --resume, or name another folder with --run"
        ) from error
