"""Parts that the commands of ``nas-gym`` share: results, assignments, text from outside."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_gym.errors import InvalidSettings
from nas_gym.outside.json_text import read_json_text

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, ProgressColumn

EXIT_FAILED, EXIT_WRONG, EXIT_BUG, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 70, 130, 1

Json = Annotated[bool, typer.Option("--json", help="Print one JSON value, and nothing else.")]
Module = Annotated[
    list[str],
    typer.Option("--module", help="Import this module, which registers a family of your own."),
]
DATASET = typer.Option(help="A name, an .npz file, a folder of images, or a .csv of them.")
DEVICE = typer.Option(help="auto, cpu, cuda, cuda:N or mps.")
WIDTH = 110
"""Columns that a table may take wherever it is printed; a narrower terminal breaks its lines."""


def pairs(text: str, *names: str) -> Any:
    """Return an option that takes ``NAME=VALUE`` any number of times; see `assignments`."""
    return typer.Option(*names, metavar="NAME=VALUE", help=text)


def plain(text: object) -> str:
    """Return text whose control characters, which a terminal would obey, are escaped."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in str(text)
    )


def say(text: object) -> None:
    """Print a result on standard output."""
    print(plain(text))


def complain(message: str) -> None:
    """Print one line on standard error."""
    print(f"nas-gym: {plain(' '.join(message.split()))}", file=sys.stderr)


def print_json(value: object) -> None:
    """Print a result of ``--json`` on standard output."""
    print(json.dumps(value, indent=2))


def print_result(facts: object, text: object, as_json: bool) -> None:
    """Print a result on standard output, as JSON or as text."""
    if as_json:
        print_json(facts)
    else:
        say(text)


def print_table(heads: Iterable[str], rows: Iterable[Iterable[object]]) -> None:
    """Print rows below their heads on standard output; no text in them is markup."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=None)
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    console.print(table, soft_wrap=True)


def progress_bars(console: Console, column: ProgressColumn) -> Progress:
    """Return bars with a column of their own, which are shown on a terminal alone."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), column, TimeRemainingColumn())
    return Progress(*columns, console=console, disable=not console.is_terminal)


def given_options(context: typer.Context) -> dict[str, Any]:
    """Return the arguments of a command that the user gave, without those left to defaults."""
    return {
        name: value
        for name, value in context.params.items()
        if getattr(context.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"
    }


def assignments(option: str, texts: Iterable[str]) -> dict[str, Any]:
    """Return ``name=value`` texts as a dict; see `value_of`.

    Raises:
        InvalidSettings: a text has no name or no equals sign, or its JSON is out of bounds.
    """
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidSettings(f"{option}: expected NAME=VALUE, got {text!r}")
        values[name] = value_of(f"{option} {name}", value)
    return values


def value_of(name: str, text: str) -> Any:
    """Return the value of a text that is JSON, else the text itself.

    Raises:
        InvalidSettings: it is JSON that `read_json_text` refuses.
    """
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return text
    except (ValueError, RecursionError):
        pass  # JSON that Python refuses, of 5,000 digits for instance: so does the next line
    return read_json_text(text, name, error=InvalidSettings)
