"""The one family of exceptions that nas_gym raises for its users' mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class NASGymError(ValueError):
    """Something handed to nas_gym is wrong; the message names the value and the remedy.

    Everything that a user can get wrong (an architecture, a search space's parameters, a data
    set, a setting) raises a subclass of this, so one ``except`` covers them all. The command line
    prints the message alone and exits with code 2.
    """


class InvalidSettings(NASGymError):
    """A setting has a value that nothing can be done with."""


class UnknownArgument(InvalidSettings, TypeError):
    """An environment has no argument of this name; a `TypeError`, as Python has it, too."""


def unknown_argument(given: object, message: str) -> InvalidSettings:
    """Return the error about an argument that an environment does not have, of all those given.

    Behind a TypeError's message, Gymnasium writes all arguments; where one is nested too deep to be
    written, the error is none.
    """
    try:
        repr(given)
    except RecursionError:
        return InvalidSettings(message)
    return UnknownArgument(message)


def require(condition: bool, message: str) -> None:
    """Raise `InvalidSettings` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise InvalidSettings(message)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: "1 epoch", "1,079 images", "2 children"."""
    ending = "" if number == 1 else "ren" if noun.endswith("child") else "s"
    return f"{number:,} {noun}{ending}"


def choices_hint(value: object, valid: Iterable[object]) -> str:
    """Return the end of a message: the nearest valid choice, if one is close, then all of them."""
    choices = list(valid)
    options = [choice for choice in choices if isinstance(choice, str)]
    text = str(value)[:100] if isinstance(value, (str, int, float)) else ""
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(text, options, n=1) or [
        by_lower[each] for each in difflib.get_close_matches(text.lower(), by_lower, n=1)
    ]
    close = [by_lower[text.lower()]] if text.lower() in by_lower else close
    nearest = f"did you mean {close[0]!r}? " if close else ""
    return f"{nearest}valid choices: {', '.join(map(repr, choices))}"
