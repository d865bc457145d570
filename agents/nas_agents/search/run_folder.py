"""A run's folder on disk: everything about a run, readable without this package."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from nas_gym import Architecture, InvalidArchitecture, published
from nas_gym.errors import NASGymError

SETTINGS, SUMMARY, EPISODES, LOCK = "settings.json", "summary.json", "episodes.jsonl", "lock"
CURVES, WEIGHTS = "curves.jsonl", "best_weights.pt"
BEST = "best.json"
UNSTARTED = {LOCK, EPISODES, CURVES, "checkpoint"}
"""What a run's folder holds before its settings are written; from then on it can be resumed."""
REMEDIES = {
    SUMMARY: "remove it, and resume the run (--resume), which makes it anew",
    BEST: f"remove {SUMMARY}, and resume the run (--resume), which makes both anew",
}
"""What to do about a broken file; for others, see `broken`."""
Kinds = tuple[type, ...]
NUMBER: Kinds = (int, float)
PERHAPS: Kinds = (*NUMBER, type(None))
EPISODE: dict[str, Kinds] = {
    **{"episode": (int,), "architecture": (str,), "reward": NUMBER, "accuracy": NUMBER},
    **{"status": (str,), "cached": (bool,), "seconds": NUMBER, "parameters": PERHAPS},
    **{"multiply_adds": PERHAPS, "latency": PERHAPS, "message": (str,), "elapsed": NUMBER},
}
"""What each line of ``episodes.jsonl`` has, and of which types."""


class InvalidRunFolder(NASGymError):
    """A run folder cannot be read or written, or belongs to another run or process."""


def default_run_folder(env_id: str, agent: str) -> Path:
    """``runs/<environment>-<agent>-<time>`` in the working directory."""
    name = env_id.rpartition("/")[2]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{name}-{agent.rpartition(':')[2]}-{stamp}"


def has_run(path: Path) -> bool:
    """Whether a folder holds a run that was started."""
    return (path / SETTINGS).is_file()


class RunFolder:
    """Reads and writes a run's files; no other process can do so meanwhile.

    | file | holds |
    |---|---|
    | ``settings.json`` | what was asked for |
    | ``evaluations.db`` | every evaluation: see `nas_gym.store.store` |
    | ``episodes.jsonl`` | one line an episode, in the agent's order |
    | ``curves.jsonl`` | what early stopping has learned, where that is asked for |
    | ``best.json``, ``best.png`` | the best architecture so far, and its picture |
    | ``best_weights.pt`` | its weights after the final training |
    | ``summary.json`` | counts, best, test accuracy, times |
    | ``checkpoint/`` | the agent, unless it is a strategy; weights that children share |
    | ``tensorboard/`` | the agent's logs; a resumed search writes them again, from the beginning |
    | ``lock`` | nothing: who works in the folder has it locked |

    A process that dies leaves all of them whole: files are replaced as one, and a line of
    ``episodes.jsonl`` that was cut short is dropped when the run is resumed.

    Args:
        path: The folder; it is made.
        resume: Whether the folder holds the run already, which goes on.

    Raises:
        InvalidRunFolder: the folder cannot be written, is in use by another process, or is not
            empty though no run is to be resumed.
    """

    def __init__(self, path: Path, resume: bool = False) -> None:
        self.path = path
        self.recorded: list[dict[str, Any]] = []
        """The episodes that an earlier process recorded."""
        if not resume:
            self._refuse_another_run()
        with self._written():
            path.mkdir(parents=True, exist_ok=True)
            self._lock = self._locked()
            try:
                if not resume:  # another process may have been faster
                    self._refuse_another_run()
                (path / "checkpoint").mkdir(exist_ok=True)
                whole = self._read_episodes()
                flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
                self._episodes = os.open(path / EPISODES, flags, 0o644)
                if os.fstat(self._episodes).st_size > whole:  # a line was cut short
                    os.ftruncate(self._episodes, whole)
            except BaseException:
                self._lock.release()
                raise

    def _refuse_another_run(self) -> None:
        path = self.path
        if not path.exists():
            return
        if not path.is_dir() or any(each.name not in UNSTARTED for each in path.iterdir()):
            raise InvalidRunFolder(
                f"run: {path} exists already, and a run is never overwritten; "
                "name another folder with --run, or go on with this run by --resume"
            )

    def _locked(self) -> FileLock:
        """The lock on the folder, which ends with the process that holds it, however it ends."""
        lock = FileLock(self.path / LOCK)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise InvalidRunFolder(
                f"run: another process works in {self.path}; wait for it, or end it"
            ) from None
        return lock

    def _read_episodes(self) -> int:
        """Reads what is recorded; how many bytes of it are whole lines."""
        file = self.path / EPISODES
        self.recorded, whole = read_episodes(file, EPISODE) if file.exists() else ([], 0)
        return whole

    @contextmanager
    def _written(self) -> Iterator[None]:
        """Within it, a file that cannot be written is an `InvalidRunFolder`."""
        try:
            yield
        except OSError as error:
            raise InvalidRunFolder(
                f"run: {self.path} cannot be written ({error.strerror}); what is recorded is "
                "kept: make room and go on with --resume, or name another folder with --run"
            ) from error

    def add_episode(self, record: dict[str, Any]) -> None:
        """Appends one line to ``episodes.jsonl``, or nothing at all.

        Raises:
            InvalidRunFolder: it cannot be written.
        """
        line = json.dumps(record).encode() + b"\n"
        with self._written():
            size = os.fstat(self._episodes).st_size
            try:
                while line:
                    line = line[os.write(self._episodes, line) :]
            except OSError:
                os.ftruncate(self._episodes, size)
                raise

    def write(self, name: str, data: object) -> None:
        """Writes a JSON file; a reader never sees half of it.

        Raises:
            InvalidRunFolder: it cannot be written.
        """
        text = json.dumps(data, indent=2) + "\n"
        self.replace(name, lambda part: part.write_text(text, encoding="utf-8"))

    def replace(self, name: str, write: Callable[[Path], object]) -> None:
        """Puts a new file in the place of an old one, as one step.

        Args:
            name: Within the folder.
            write: Writes the file; it is given another name, with the same suffix.

        Raises:
            InvalidRunFolder: it cannot be written.
        """
        file = self.path / name
        part = file.with_name(f"part-{file.name}")
        with self._written():
            try:
                write(part)
                part.replace(file)
            except BaseException:
                with suppress(OSError):
                    part.unlink(missing_ok=True)
                raise

    def read(self, name: str) -> Any:
        """What a JSON file holds; None if there is none.

        Raises:
            InvalidRunFolder: it is no JSON.
        """
        return read_json(self.path / name)

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with self._written():
            (self.path / name).unlink(missing_ok=True)

    def discard(self) -> None:
        """Removes the folder, if no run was started in it, and nothing else is there."""
        for name in UNSTARTED - {"checkpoint"}:
            with suppress(OSError):
                (self.path / name).unlink()
        for folder in (self.path / "checkpoint", self.path):
            with suppress(OSError):
                folder.rmdir()

    def close(self) -> None:
        """Lets other processes have the folder."""
        os.close(self._episodes)
        self._lock.release()


def read_episodes(file: Path, needed: Mapping[str, Kinds]) -> tuple[list[dict[str, Any]], int]:
    """The lines of an ``episodes.jsonl``, and how many bytes they are.

    A last one that was cut short does not count.

    Args:
        file: The file.
        needed: What each line has to have; as `EPISODE`.

    Raises:
        InvalidRunFolder: a line is no JSON, or has not what is needed, or the file cannot be read.
    """
    try:
        text = file.read_bytes()
    except OSError as error:
        raise broken(file, f"cannot be read ({error.strerror})") from error
    whole = text.rfind(b"\n") + 1
    records = []
    for number, line in enumerate(text[:whole].splitlines(), start=1):
        try:
            records.append(json.loads(line))
        except (ValueError, RecursionError):
            raise broken_line(file, number, "is no JSON") from None
    check_lines(file, records, needed)
    return records, whole


def check_lines(file: Path, records: Iterable[object], needed: Mapping[str, Kinds]) -> None:
    """Raises `InvalidRunFolder` unless each line of a file has what is needed."""
    for number, record in enumerate(records, start=1):
        wrong = wrong_with(record, needed)
        if wrong:
            raise broken_line(file, number, wrong)


def read_json(file: Path) -> Any:
    """What a run folder's JSON file holds; None if there is none.

    Raises:
        InvalidRunFolder: it is no JSON, or cannot be read.
    """
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise broken(file, f"cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:
        raise broken(file, f"is no JSON ({error})") from error


def wrong_with(record: object, needed: Mapping[str, Kinds]) -> str:
    """What is wrong with a JSON object that needs fields of such types; "" if nothing is."""
    if not isinstance(record, dict):
        return "is no JSON object"
    for name, kinds in needed.items():
        if name not in record:
            return f"has no {name!r}"
        if type(record[name]) not in kinds:
            return f"has {record[name]!r} for {name!r}"
    return ""


def broken(file: Path, what: str) -> InvalidRunFolder:
    """The exception that says what is wrong with a run folder's file, and what to do about it."""
    remedy = REMEDIES.get(file.name, "put the file right, or take another run folder")
    return InvalidRunFolder(f"run: {file} {what}; {remedy}")


def broken_line(file: Path, number: int, what: str) -> InvalidRunFolder:
    """The same for a line, counted from 1."""
    return InvalidRunFolder(
        f"run: line {number} of {file} {what}; put the file right, or cut it off before this line"
    )


@contextmanager
def reading_line(file: Path, number: int) -> Iterator[None]:
    """Within it, an architecture that is none is a broken line's."""
    try:
        yield
    except InvalidArchitecture as error:
        raise broken_line(file, number, f"has no architecture: {error}") from error


def load_architecture(name: str) -> Architecture:
    """An architecture from a JSON file, from a run folder's best, or by its published name.

    Raises:
        InvalidArchitecture: there is none under that name.
        InvalidRunFolder: the folder holds no best architecture.
    """
    path = Path(name)
    if path.is_dir():
        if not (path / "best.json").is_file():
            raise InvalidRunFolder(
                f"{path} has no best.json: it is no run folder, or found nothing"
            )
        return Architecture.load(path / "best.json")
    if path.is_file():
        return Architecture.load(path)
    try:
        return published(name)
    except InvalidArchitecture as error:
        raise InvalidArchitecture(
            f"{name!r} is no file and no run folder either: {error}"
        ) from None
