"""What the commands of ``nas-gym`` share: how errors, results and assignments look."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from nas_gym.errors import InvalidSettings, NASGymError

EXIT_WRONG, EXIT_INTERRUPTED = 2, 130

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value, and nothing else.")]


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A user's mistake ends the command with one line and exit code 2."""
    try:
        yield
    except NASGymError as error:
        print(f"nas-gym: error: {' '.join(str(error).split())}", file=sys.stderr)
        raise typer.Exit(EXIT_WRONG) from None


def print_json(value: object) -> None:
    """A result of ``--json`` on standard output."""
    print(json.dumps(value, indent=2))


def given_options(context: typer.Context) -> dict[str, Any]:
    """The arguments of a command that the user gave, rather than left to their defaults."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return {
        name: context.params[name]
        for name, source in sources.items()
        if source is not None and source.name != "DEFAULT"
    }


def assignments(option: str, texts: Iterable[str]) -> dict[str, Any]:
    """``name=value`` texts as a dict; a value that is JSON is read as such, else it is a text."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidSettings(f"{option}: expected NAME=VALUE, got {text!r}")
        values[name] = value_of(value)
    return values


def value_of(text: str) -> Any:
    """What a text says if it is JSON, else the text itself."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text
