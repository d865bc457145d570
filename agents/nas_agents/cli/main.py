"""``nas-gym``: the command line. Results go to standard output, progress and errors elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from nas_agents.cli.terminal.errors import OneLineErrors

COMMANDS = {
    "auto": "Make a model of your data in a given time.",
    "envs": "List the environments, their decisions and their sizes.",
    "presets": "List the papers' searches, and estimate what they cost.",
    "show": "Draw an architecture, and print its costs.",
    "search": "Search for an architecture, train the best one, and test it.",
    "models.train": "Train an architecture to the end, and test it once.",
    "models.predict": "Classify images by a trained model, or measure texts.",
    "models.export": "Export a trained model, and check what was written.",
    "compare": "Compare searches in one environment.",
    "report": "Write a page of figures about searches.",
    "bench": "Compare agents on a recorded benchmark, with many seeds.",
    "table": "Recorded benchmarks: build one, or import one.",
    "store": "Stores of evaluations: look into one, export it, merge two.",
    "latency": "Latency tables: record one.",
}
"""Modules of this package, each with the command of its name, and what ``--help`` says of it."""


class LazyCommands(OneLineErrors):
    """Commands of which each is imported when it is called; a line stands for it until then."""

    def __init__(self, *args: Any, modules: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.modules = {module.rpartition(".")[2]: module for module in modules}
        for name, module in self.modules.items():
            self.add_command(click.Command(name, short_help=modules[module]))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.modules)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name, command, rest = super().resolve_command(ctx, args)
        if name in self.modules:
            command = getattr(import_module(f"{__package__}.{self.modules[name]}"), name)
        return name, command, rest


@click.group(
    cls=LazyCommands,
    modules=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
)
@click.version_option(
    package_name="nas-gym", message="nas-gym %(version)s", help="Print the version."
)
def app() -> None:
    """Neural-network architecture design as a Gymnasium environment.

    A first search: nas-gym search nas_gym/NASNet-v0
    """


def main() -> None:
    """Run the command that the user typed."""
    app()


if __name__ == "__main__":
    main()
