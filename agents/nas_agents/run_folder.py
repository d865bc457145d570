"""A run's folder on disk: everything about a run, readable without this package."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import IO, Any

from nas_gym import Architecture, InvalidArchitecture, published
from nas_gym.errors import NASGymError


class InvalidRunFolder(NASGymError):
    """A run folder cannot be written, or holds another run already."""


def default_run_folder(env_id: str, agent: str) -> Path:
    """``runs/<environment>-<agent>-<time>`` in the working directory."""
    name = env_id.rpartition("/")[2]
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return Path("runs") / f"{name}-{agent.rpartition(':')[2]}-{stamp}"


class RunFolder:
    """Writes a run's files.

    | file | holds |
    |---|---|
    | ``settings.json`` | what was asked for |
    | ``episodes.jsonl`` | one line an episode, in the agent's order |
    | ``best.json``, ``best.png`` | the best architecture so far, and its picture |
    | ``best_weights.pt`` | its weights after the final training |
    | ``summary.json`` | counts, best, test accuracy, times |
    | ``checkpoint/`` | the agent |
    | ``tensorboard/`` | the agent's logs |

    Raises:
        InvalidRunFolder: the folder cannot be written, or is not empty.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            if path.exists() and (not path.is_dir() or any(path.iterdir())):
                raise InvalidRunFolder(
                    f"run: {path} exists already, and a run is never overwritten; "
                    "name another folder with --run"
                )
            (path / "checkpoint").mkdir(parents=True)
            self._episodes: IO[str] = (path / "episodes.jsonl").open("w", encoding="utf-8")
        except OSError as error:
            raise InvalidRunFolder(
                f"run: {path} cannot be written ({error.strerror}); name another folder with --run"
            ) from error

    def add_episode(self, record: dict[str, Any]) -> None:
        """Appends one line to ``episodes.jsonl``; it is on disk when this returns."""
        self._episodes.write(json.dumps(record) + "\n")
        self._episodes.flush()

    def write(self, name: str, data: object) -> None:
        """Writes a JSON file; a reader never sees half of it."""
        part = self.path / f"{name}.part"
        part.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")
        part.replace(self.path / name)

    def close(self) -> None:
        """Closes ``episodes.jsonl``."""
        self._episodes.close()


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
