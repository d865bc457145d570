"""Read text files and JSON from outside, whose content nobody has checked.

Every limit is far above what nas_gym writes itself; whatever is beyond one gives a single line.
"""

from __future__ import annotations

import json
import math
import os
import re
import reprlib
import stat
from pathlib import Path
from typing import Any

from nas_gym.errors import NASGymError

LONGEST = 2**24
"""The most bytes of a file, and the most characters of a text, that are read by default."""
_DEEPEST = 64
_MOST_DIGITS = 100  # a random generator's state has 39

_BUT_BRACKETS = re.compile(r'"(?:[^"\\]|\\.)*"|[^\[\]{}"]+')
_PAIR = re.compile(r"\[\]|\{\}")
_HALF_CHARACTER = re.compile(r"\\ud[89a-f]", re.IGNORECASE)

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 100
short = _repr.repr
"""Return the `repr` of a value as messages write it, without the middle of a long one."""


class UnreadableText(NASGymError):
    """A file cannot be read, or a text is not JSON."""


def read_json_file(
    path: str | Path, limit: int = LONGEST, error: type[NASGymError] = UnreadableText
) -> object:
    """Return the JSON value that a file holds; see `read_text_file` and `read_json_text`."""
    return read_json_text(read_text_file(path, limit, error), short_name(path), limit, error)


def read_text_file(
    path: str | Path, limit: int = LONGEST, error: type[NASGymError] = UnreadableText
) -> str:
    """Return the text of a regular file in UTF-8, of at most ``limit`` bytes.

    Pipes, devices and directories are refused without opening them.

    Raises:
        NASGymError: the file cannot be read, as an ``error``; the message names it.
    """
    try:
        status = os.stat(os.fspath(path))  # a number would be taken for an open file
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is not a regular file")
        if status.st_size > limit:
            raise ValueError(f"it has more than {limit:,} bytes")
        with open(path, "rb") as file:
            return file.read(status.st_size).decode("utf-8")
    except (OSError, ValueError, TypeError) as problem:
        reason = getattr(problem, "strerror", None) or problem
        raise error(f"{short_name(path)}: cannot be read: {reason}") from problem


def read_json_text(
    text: str | bytes,
    where: str = "",
    limit: int = LONGEST,
    error: type[NASGymError] = UnreadableText,
) -> object:
    """Return the value of a JSON text whose numbers are finite and whose fields are distinct.

    Args:
        text: The text; bytes are UTF-8.
        where: The place that messages name first, a file for instance.
        limit: The most characters that the text may have.
        error: The type of the exception to raise.

    Raises:
        NASGymError: the text is not JSON, is too long, is nested too deep, or holds a number or
            a text that cannot be handled everywhere.
    """
    try:
        if not isinstance(text, (str, bytes)):
            raise TypeError(f"expected a text, got {type(text).__name__}")
        if len(text) > limit:
            raise ValueError(f"{len(text):,} characters; at most {limit:,} are read")
        text = text.decode("utf-8") if isinstance(text, bytes) else text
        value = _decode(text)
        _check_depth(text)
        if _HALF_CHARACTER.search(text):
            json.dumps(value, ensure_ascii=False).encode()  # raises for half of a surrogate pair
        return value
    except RecursionError:
        problem: object = f"nested more than {_DEEPEST} deep"
    except (ValueError, TypeError) as caught:
        problem = caught
    raise error(f"{where}{': ' if where else ''}not JSON: {problem}")


def is_text(name: str) -> bool:
    """Return True if a name has no bytes that stand for no character, as file names may."""
    return name == as_text(name)


def as_text(name: str) -> str:
    """Return a name with a question mark for each byte that stands for no character."""
    return name.encode(errors="replace").decode()


def short_name(path: object) -> str:
    """Return a path as messages write it, without the middle of a very long one."""
    name = str(path) if isinstance(path, (str, Path)) else short(path)
    return name if len(name) <= 200 else f"{name[:100]}...{name[-100:]}"


def _check_depth(text: str) -> None:
    """Raise `RecursionError` for a sound JSON text that is nested too deep."""
    if text.count("[") + text.count("{") <= _DEEPEST:
        return
    brackets = _BUT_BRACKETS.sub("", text)
    for _ in range(_DEEPEST):
        brackets = _PAIR.sub("", brackets)
    if brackets:
        raise RecursionError


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits; at most {_MOST_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{short(digits)} is not a finite number")
    return number


def _distinct(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(fields)
    if len(found) < len(fields):
        names = [name for name, _ in fields]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the field {short(twice)} stands twice")
    return found


_decode = json.JSONDecoder(
    parse_int=_integer, parse_float=_finite, parse_constant=_finite, object_pairs_hook=_distinct
).decode


def without_nan(value: Any) -> Any:
    """Return a number, or a tuple of them, as JSON has it: null in the place of NaN."""
    if isinstance(value, tuple):
        return [without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value
