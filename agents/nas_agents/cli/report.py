"""``nas-gym report``: one HTML page of a search, or of several beside each other."""

from __future__ import annotations

from pathlib import Path

from click import argument, command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_result


@command()
@argument("runs", nargs=-1, required=True, type=options.PATH)
@option(
    "--output",
    type=options.PATH,
    help="The HTML file; default: report.html, in the folder of one run.",
)
@options.module
@options.as_json
def report(runs: tuple[Path, ...], output: Path | None, as_json: bool) -> None:
    """Write a page of figures about searches.

    RUNS are run folders. The page opens without a network. Random search beside the others, in the
    same environment, gives the band that they are compared with, where no table does.
    """
    from nas_agents.report import write_report
    from nas_agents.runs.reading import REPORT

    file = output or (runs[0] / REPORT if len(runs) == 1 else Path(REPORT))
    write_report(runs, file)
    print_result({"report": str(file)}, f"report: {file}", as_json)
