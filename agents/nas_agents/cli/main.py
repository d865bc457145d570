"""``nas-gym``: the command line. Results go to standard output, progress and errors elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

import nas_gym
from nas_agents.cli.auto import auto
from nas_agents.cli.bench import bench
from nas_agents.cli.compare import compare
from nas_agents.cli.envs import envs
from nas_agents.cli.latency import app as latency_app
from nas_agents.cli.models.export import export
from nas_agents.cli.models.predict import predict
from nas_agents.cli.models.train import train
from nas_agents.cli.presets import presets
from nas_agents.cli.report import report
from nas_agents.cli.search import search
from nas_agents.cli.show import show
from nas_agents.cli.store import app as store_app
from nas_agents.cli.table import app as table_app
from nas_agents.cli.terminal.common import say
from nas_agents.cli.terminal.errors import OneLineErrors

app = typer.Typer(
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich would take a third of the time of `--help`
)


def print_version(asked: bool) -> None:
    """Print the version and exit, if it was asked for."""
    if asked:
        say(f"nas-gym {nas_gym.__version__}")
        raise typer.Exit


VERSION = typer.Option(
    "--version", help="Print the version.", is_eager=True, callback=print_version
)


def options(version: Annotated[bool, VERSION] = False) -> None:
    """Neural-network architecture design as a Gymnasium environment.

    A first search: nas-gym search nas_gym/NASNet-v0
    """


for command in (
    *(auto, envs, presets, show, search, train, predict, export),
    *(compare, report, bench),
):
    app.command()(command)
app.callback()(options)
app.add_typer(table_app, name="table")
app.add_typer(store_app, name="store")
app.add_typer(latency_app, name="latency")


def main() -> None:
    """Run the command that the user typed."""
    app()


if __name__ == "__main__":
    main()
