"""The one family of exceptions that nas_gym raises for its users' mistakes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


class NASGymError(ValueError):
    """Something handed to nas_gym is wrong; the message names the value and the remedy.

    Everything that a user can get wrong (an architecture, a search space's parameters, a data
    set, a setting) raises a subclass of this, so one ``except`` covers them all. The command line
    prints the message alone and exits with code 2.
    """


class InvalidSettings(NASGymError):
    """A setting has a value that nothing can be done with."""


def require(condition: bool, message: str) -> None:
    """Raise `InvalidSettings` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise InvalidSettings(message)


def require_integer(name: str, value: object, least: int) -> None:
    """Raise `InvalidSettings` unless ``value`` is an integer of at least ``least``."""
    require(
        type(value) is int and value >= least,
        f"{name}: expected an integer of at least {least}, got {value!r}",
    )


def require_number(name: str, value: object, lowest: float, below: float) -> None:
    """Raise `InvalidSettings` unless ``value`` is a number from ``lowest`` to below ``below``."""
    require(
        type(value) in (int, float) and lowest <= value < below,  # type: ignore[operator]
        f"{name}: expected a number from {lowest} to below {below}, got {value!r}",
    )


def require_truth(name: str, value: object) -> None:
    """Raise `InvalidSettings` unless ``value`` is True or False."""
    require(isinstance(value, bool), f"{name}: expected true or false, got {value!r}")


def with_fixed(given: Mapping[str, Any], fixed: Mapping[str, Any], why: str) -> dict[str, Any]:
    """Return arguments with some whose values are fixed.

    Raises:
        InvalidSettings: another value was given for one of these; the message ends with ``why``.
    """
    for name, value in fixed.items():
        other = given.get(name, value)
        require(other == value, f"{name}: it is {value!r} here, got {other!r}; {why}")
    return {**given, **fixed}


def choices_hint(value: object, valid: Iterable[str]) -> str:
    """Return the end of a message: the nearest valid choice, if one is close, then all of them."""
    options = list(valid)
    text = str(value)[:100] if isinstance(value, (str, int, float)) else ""
    close = difflib.get_close_matches(text, options, n=1)
    nearest = f"did you mean {close[0]!r}? " if close else ""
    return f"{nearest}valid choices: {', '.join(repr(option) for option in options)}"
