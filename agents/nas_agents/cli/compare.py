"""``nas-gym compare``: what searches found, beside each other."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas_agents.cli.common import Json, one_line_errors, print_json

if TYPE_CHECKING:
    from nas_agents.search.comparison import Found


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Run folders.")],
    evaluations: Annotated[
        int | None, typer.Option(help="After how many; default: as many as the shortest run has.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare searches in one environment: random search beside the others.

    Validation accuracy of the best architecture, and means of the best 5 and 25 different ones:
    mean and deviation over searches that differ in their seeds alone.
    """
    from nas_agents.search.comparison import compare as found_by

    with one_line_errors():
        rows = found_by(runs, evaluations)
    if as_json:
        print_json([_record(row) for row in rows])
        return
    table = Table("agent", "runs", "evaluations", "best", "best 5", "best 25", box=None)
    for row in rows:
        cells = [_cell(*both) for both in zip(row.means, row.deviations, strict=True)]
        table.add_row(row.agent, str(row.runs), f"{row.evaluations:,}", *cells)
    Console().print(table)
    if all(row.agent != "random" for row in rows):
        print("none of these is random search: run it in the same environment with --agent random")


def _cell(mean: float, deviation: float) -> str:
    if math.isnan(mean):
        return ""
    return f"{mean:.2%}" + ("" if math.isnan(deviation) else f" ± {100 * deviation:.2f}")


def _record(row: Found) -> dict[str, Any]:
    """A row in JSON, which has no NaN."""
    known = {
        name: [None if math.isnan(value) else value for value in getattr(row, name)]
        for name in ("means", "deviations")
    }
    return {**asdict(row), **known}
