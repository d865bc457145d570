"""Reads the files of a run folder, whose content nobody has checked."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from nas_gym import Architecture, InvalidArchitecture, published
from nas_gym.architecture import UnknownKind
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.evaluation.evaluation import COSTS, Status
from nas_gym.outside.json_text import UnreadableText, read_json_file, read_json_text, read_text_file

SETTINGS, SUMMARY, EPISODES, BEST = "settings.json", "summary.json", "episodes.jsonl", "best.json"
UPDATES, REPORT, WORST_IMAGES = "updates.jsonl", "report.html", "worst_images.json"
MODEL, FACTS = "model", "model.json"
SHARED_WEIGHTS = "checkpoint/shared_weights.pt"
REMEDIES = {
    SUMMARY: "remove it, and resume the run (--resume), which writes it again",
    BEST: f"remove {SUMMARY}, and resume the run (--resume), which writes both again",
    Path(SHARED_WEIGHTS).name: "remove it, and resume the run (--resume), which trains them again",
}
"""Remedies for a broken file; for others, see `broken`."""
MOST_BYTES = 2**33
"""The most bytes of ``episodes.jsonl``."""
Kinds = tuple[type, ...]
NUMBER: Kinds = (int, float)
PERHAPS: Kinds = (*NUMBER, type(None))
REWARD: Kinds = (*NUMBER, list)
"""A list holds numbers, one at least."""
EPISODE: dict[str, Kinds] = {
    **{"episode": (int,), "architecture": (str,), "choices": (list,), "accuracy": NUMBER},
    **{"reward": REWARD, "status": (str,), "cached": (bool,), "seconds": NUMBER},
    **dict.fromkeys(COSTS, PERHAPS),
    **{"message": (str,), "elapsed": NUMBER, "metric": (str,), "value": PERHAPS},
}
"""The fields of each line of ``episodes.jsonl``, and their types."""


class InvalidRunFolder(NASGymError):
    """A run folder cannot be read or written, or belongs to another run or process."""


def has_run(path: Path) -> bool:
    """Return True if a folder holds a run that was started."""
    return (path / SETTINGS).is_file()


def read_json(file: Path) -> Any:
    """Return the content of a run folder's JSON file; None if there is none."""
    if not file.exists():
        return None
    try:
        return read_json_file(file)
    except UnreadableText as error:
        raise _with_remedy(file, str(error)) from error


def read_episodes(file: Path, needed: Mapping[str, Kinds]) -> list[dict[str, Any]]:
    """Return the lines of an ``episodes.jsonl``.

    A last one that was cut short does not count. Each must have the fields ``needed``.
    """
    try:
        text = read_text_file(file, MOST_BYTES)
    except UnreadableText as error:
        raise _with_remedy(file, str(error)) from error
    *lines, _ = text.split("\n")
    records: list[Any] = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(read_json_text(line))
        except UnreadableText as error:
            raise broken_line(file, number, f"is {error}") from None
    check_lines(file, records, needed)
    return records


def check_lines(file: Path, records: Iterable[object], needed: Mapping[str, Kinds]) -> None:
    """Raise `InvalidRunFolder` unless each line of a file has the fields that it needs."""
    for number, record in enumerate(records, start=1):
        wrong = wrong_with(record, needed)
        if wrong:
            raise broken_line(file, number, wrong)


def is_partial(record: Mapping[str, Any]) -> bool:
    """Return True for the line of a child that was trained for a part of its epochs alone."""
    return record.get("partial") is True


def wrong_with(record: object, needed: Mapping[str, Kinds]) -> str:
    """Return the fault of a JSON object that needs fields of such types; "" if it has none."""
    if not isinstance(record, dict):
        return "is no JSON object"
    for name, kinds in needed.items():
        if name not in record:
            return f"has no {name!r}"
        value = record[name]
        known = get_args(Status) if name == "status" else (value,)
        sound = not isinstance(value, list) or (value and all(type(x) in NUMBER for x in value))
        if type(value) not in kinds or value not in known or not sound:
            return f"has {reprlib.repr(value)} for {name!r}"
    return ""


def broken(file: Path, what: str) -> InvalidRunFolder:
    """Return the error that says what is wrong with a run folder's file, and the remedy."""
    return _with_remedy(file, f"{file} {what}")


def broken_line(file: Path, number: int, what: str) -> InvalidRunFolder:
    """Return the same error about a line, counted from 1."""
    return InvalidRunFolder(
        f"run: line {number} of {file} {what}; put the file right, or cut it off before this line"
    )


def _with_remedy(file: Path, what: str) -> InvalidRunFolder:
    remedy = REMEDIES.get(file.name, "put the file right, or take another run folder")
    return InvalidRunFolder(f"run: {what}; {remedy}")


@contextmanager
def reading_line(file: Path, number: int) -> Iterator[None]:
    """Turn the error about an architecture into that of a broken line, if it is one.

    A line is not broken where its kind of architectures is not known here.
    """
    try:
        yield
    except UnknownKind as error:
        raise _not_known(file.parent, error) from error
    except InvalidArchitecture as error:
        raise broken_line(file, number, f"has no architecture: {error}") from error


def load_architecture(name: str) -> Architecture:
    """Return an architecture from a JSON file, from a run folder's best, or by its published name.

    Raises:
        InvalidArchitecture: there is none under that name.
        InvalidRunFolder: the folder holds no best architecture.
        InvalidSettings: its kind is not known before the module of its family is imported.
    """
    path = Path(name)
    if _is(path.is_dir):
        if not (path / BEST).is_file():
            raise InvalidRunFolder(f"{path} has no {BEST}: it is no run folder, or found nothing")
        path = path / BEST
    if not _is(path.exists):
        try:
            return published(name)
        except InvalidArchitecture as error:
            why = f"{name!r} is no file and no run folder either: {error}"
            raise InvalidArchitecture(why) from None
    try:
        return Architecture.load(path)
    except UnknownKind as error:
        raise _not_known(path.parent, error) from error


def model_folder(path: Path) -> Path:
    """Return the model folder that a path names: itself, or the one of a run folder."""
    is_run = not (path / FACTS).exists() and (path / MODEL).is_dir()
    return path / MODEL if is_run else path


def _is(test: Any) -> bool:
    """Return a test of a path; False for names that no file can have."""
    try:
        return bool(test())
    except (OSError, ValueError):
        return False


def _not_known(run: Path, error: Exception) -> InvalidSettings:
    """Return the error about architectures whose kind no family of this process has."""
    return InvalidSettings(
        f"run: {run} has architectures of a kind that is not known here ({error}); name the module "
        "that registers it: --module NAME in `nas-gym show` and `compare`, and in a search "
        "module:id as the environment"
    )
