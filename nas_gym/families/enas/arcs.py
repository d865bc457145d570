"""The arcs of the released scripts: numbers in a text."""

from __future__ import annotations

from nas_gym.architecture import (
    InvalidArchitecture,
)


def numbers_of(text: str) -> list[int]:
    """The numbers of an arc."""
    try:
        return [int(word) for word in text.split()]
    except ValueError as error:
        raise InvalidArchitecture(f"arc: expected numbers and blanks, got {text!r}") from error
