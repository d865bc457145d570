"""``nas-gym compare``: the results of searches, beside each other."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, Option

from nas_agents.cli.terminal.common import Json, Module, print_json, print_table

if TYPE_CHECKING:
    from nas_agents.runs.comparison import Found


def compare(
    runs: Annotated[list[Path], Argument(help="Run folders.")],
    evaluations: Annotated[
        int | None, Option(help="After this number; default: as many as the shortest run has.")
    ] = None,
    module: Module = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Compare searches in one environment.

    Validation accuracy of the best architecture, and means of the best 5 and 25 different ones:
    mean and deviation over searches that differ in their seeds alone. With several objectives, the
    share that the front dominates of all between the worst and the best children of these runs.
    """
    from nas_agents.catalogue.environments import import_module
    from nas_agents.runs.comparison import compare as found_by

    for each in module:
        import_module(each)
    rows = found_by(runs, evaluations)
    if as_json:
        print_json([_record(row) for row in rows])
        return
    names = ["agent", "runs", "evaluations", "best", "best 5", "best 25"]
    several = not any(math.isnan(row.hypervolume) for row in rows)
    cells = [
        [row.agent, row.runs, f"{row.evaluations:,}"]
        + [_cell(*each, row.metric) for each in zip(row.means, row.deviations, strict=True)]
        + [_cell(row.hypervolume, row.hypervolume_deviation)] * several
        for row in rows
    ]
    print_table([*names, *["hypervolume"] * several], cells)
    if all(row.agent != "random" for row in rows):
        print("none of these is random search: run it in the same environment with --agent random")


def _cell(mean: float, deviation: float, metric: str = "accuracy") -> str:
    from nas_gym.evaluation import shown

    if math.isnan(mean):
        return ""
    if metric != "accuracy":
        return shown(mean, metric)
    return f"{mean:.2%}" + ("" if math.isnan(deviation) else f" ± {100 * deviation:.2f}")


def _record(row: Found) -> dict[str, Any]:
    """Return a row as JSON data, which has no NaN."""
    record = asdict(row)
    for name, value in record.items():
        if isinstance(value, tuple):
            record[name] = [None if math.isnan(each) else each for each in value]
        elif isinstance(value, float) and math.isnan(value):
            record[name] = None
    return record
