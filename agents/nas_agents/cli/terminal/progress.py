"""Progress on standard error: bars on a terminal, and lines anywhere."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

from nas_agents.cli.terminal.output import plain

FORM = "{desc}  [{elapsed}<{remaining}] |{bar}|"


def note(line: str) -> None:
    """Print a line, above the bars if there are any."""
    tqdm.write(plain(line), file=sys.stderr)


def counting_bar(what: str, total: int | None = None, done: int = 0) -> tqdm[Any]:
    """Return a bar of how many are done, which is shown on a terminal alone."""
    return tqdm(desc=what, total=total, initial=done, disable=None, dynamic_ncols=True)


def count(bar: tqdm[Any], done: int, total: int) -> None:
    """Move a bar to a number of all."""
    bar.total = total
    bar.update(done - bar.n)


class StatusLine:
    """A status with the time passed, the time left and a bar, shown on a terminal alone."""

    def __init__(self) -> None:
        self._bar: tqdm[Any] | None = None

    def show(self, status: str, done: float, total: float | None) -> bool:
        """Show a status, if there is a terminal; return False if there is none.

        What is left follows from the steps after the first, which warms up.
        """
        if self._bar is None:
            look: Any = {"disable": None, "dynamic_ncols": True, "bar_format": FORM}
            self._bar = tqdm(desc=plain(status), total=total, initial=done, **look)
        self._bar.n = done if total is None else min(done, total)
        self._bar.set_description_str(plain(status))
        return not self._bar.disable

    def close(self) -> None:
        """Leave the line as it is; the next status is shown below it."""
        if self._bar is not None:
            self._bar.close()
        self._bar = None
