"""``nas-gym compare``: the results of searches, beside each other."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

from click import argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_json, print_table


@command()
@argument("runs", nargs=-1, required=True, type=options.PATH)
@option(
    "--evaluations", type=int, help="After this number; default: as many as the shortest run has."
)
@options.module
@options.as_json
def compare(runs: tuple[Path, ...], evaluations: int | None, as_json: bool) -> None:
    """Compare searches in one environment.

    RUNS are run folders. Printed is the validation accuracy of the best architecture, and means of
    the best 5 and 25 different ones: mean and deviation over searches that differ in their seeds
    alone; or the reward, where that ranks architectures otherwise. With several objectives, the
    share that the front dominates of all between the worst and the best children of these runs.
    """
    from nas_agents.runs.comparison import compare as found_by
    from nas_gym.outside.json_text import without_nan

    rows = found_by(runs, evaluations)
    if as_json:
        print_json([{n: without_nan(v) for n, v in asdict(row).items()} for row in rows])
        return
    best = "best reward" if rows[0].metric == "reward" else "best"
    names = ["agent", "runs", "evaluations", best, "best 5", "best 25"]
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
    if metric == "reward":
        return f"{mean:.4f}" + ("" if math.isnan(deviation) else f" ± {deviation:.4f}")
    if metric != "accuracy":
        return shown(mean, metric)
    return f"{mean:.2%}" + ("" if math.isnan(deviation) else f" ± {100 * deviation:.2f}")
