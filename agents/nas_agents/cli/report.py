"""``nas-gym report``: one HTML page of a search, or of several beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from nas_agents.cli.terminal.common import Json, Module, print_result


def report(
    runs: Annotated[list[Path], Argument(help="Run folders.")],
    output: Annotated[
        Path | None, Option(help="The HTML file; default: report.html, in the folder of one run.")
    ] = None,
    module: Module = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Write a page of figures about searches.

    It opens without a network. Random search beside the others, in the same environment, gives
    the band that they are compared with, where no table does.
    """
    from nas_agents.catalogue.environments import import_module
    from nas_agents.report import write_report
    from nas_agents.runs.reading import REPORT

    for each in module:
        import_module(each)
    file = output or (runs[0] / REPORT if len(runs) == 1 else Path(REPORT))
    write_report(runs, file)
    print_result({"report": str(file)}, f"report: {file}", as_json)
