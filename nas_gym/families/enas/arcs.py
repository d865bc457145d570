"""The arcs of the released scripts: numbers in a text."""

from collections.abc import Sequence

from nas_gym.architecture import InvalidArchitecture
from nas_gym.outside.json_text import short


def numbers_of(text: str) -> list[int]:
    """Return the numbers of an arc."""
    try:
        return [int(word) for word in text.split()]
    except ValueError as error:
        raise InvalidArchitecture(f"arc: expected numbers and blanks, got {short(text)}") from error


def label_of(labels: Sequence[str], index: int) -> str:
    """Return the operation of a number in an arc."""
    if index not in range(len(labels)):
        raise InvalidArchitecture(
            f"arc: {index} is no operation; valid choices: 0 to {len(labels) - 1}"
        )
    return labels[index]
