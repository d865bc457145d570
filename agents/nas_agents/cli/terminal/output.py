"""What commands print: results on standard output, complaints on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from typing import NoReturn

from click.exceptions import Exit

EXIT_FAILED, EXIT_WRONG, EXIT_BUG, EXIT_INTERRUPTED, EXIT_PIPE = 1, 2, 70, 130, 1


def plain(text: object) -> str:
    """Return text whose control characters, which a terminal would obey, are escaped."""
    return "".join(
        each if each.isprintable() or each == "\n" else each.encode("unicode_escape").decode()
        for each in str(text)
    )


def one_line(text: object) -> str:
    """Return text on one line, without control characters."""
    return plain(" ".join(str(text).split()))


def say(text: object) -> None:
    """Print a result on standard output."""
    print(plain(text))


def complain(message: str) -> None:
    """Print one line on standard error."""
    print(f"nas-gym: {one_line(message)}", file=sys.stderr)


def stop(message: str, code: int) -> NoReturn:
    """Print one line on standard error, then end the command with an exit code."""
    complain(message)
    raise Exit(code)


def interrupted(advice: str) -> NoReturn:
    """End a command that Ctrl-C interrupted, with what to do about it."""
    stop(f"interrupted; {advice}", EXIT_INTERRUPTED)


def print_json(value: object) -> None:
    """Print a result of ``--json`` on standard output."""
    print(json.dumps(value, indent=2))


def print_result(facts: object, text: object, as_json: bool) -> None:
    """Print a result on standard output, as JSON or as text."""
    if as_json:
        print_json(facts)
    else:
        say(text)


def print_table(heads: Iterable[object], rows: Iterable[Iterable[object]]) -> None:
    """Print rows below their heads on standard output, in aligned columns."""
    table = [[one_line(cell) for cell in row] for row in (heads, *rows)]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
