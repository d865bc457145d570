"""``nas-gym``: the command line. Results go to standard output, progress and errors elsewhere."""

from __future__ import annotations

import typer

from nas_agents.cli.bench import bench
from nas_agents.cli.compare import compare
from nas_agents.cli.envs import envs
from nas_agents.cli.errors import OneLineErrors
from nas_agents.cli.export import export
from nas_agents.cli.predict import predict
from nas_agents.cli.presets import presets
from nas_agents.cli.report import report
from nas_agents.cli.search import search
from nas_agents.cli.show import show
from nas_agents.cli.store import app as store_app
from nas_agents.cli.table import app as table_app

app = typer.Typer(
    help="Neural-network architecture design as a Gymnasium environment.",
    cls=OneLineErrors,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (envs, presets, show, search, predict, export, compare, report, bench):
    app.command()(command)
app.add_typer(table_app, name="table")
app.add_typer(store_app, name="store")


def main() -> None:
    """Run the command that the user typed."""
    app()


if __name__ == "__main__":
    main()
