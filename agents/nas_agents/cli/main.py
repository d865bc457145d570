"""``nas-gym``: the command line. Results go to standard output, progress and errors elsewhere."""

from __future__ import annotations

import sys
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas_agents.catalogue.registry import AGENTS
from nas_agents.cli.common import (
    EXIT_INTERRUPTED,
    Json,
    assignments,
    given_options,
    one_line_errors,
    print_json,
)
from nas_agents.cli.compare import compare
from nas_agents.cli.presets import presets
from nas_agents.cli.store import app as store_app
from nas_agents.cli.table import app as table_app
from nas_agents.search.settings import SearchSettings

app = typer.Typer(
    help="Neural-network architecture design as a Gymnasium environment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(table_app, name="table")
app.add_typer(store_app, name="store")
app.command()(presets)
app.command()(compare)
EXIT_FAILED = 1


@app.command()
def envs(as_json: Json = False) -> None:
    """List the environments, their decisions and their sizes."""
    from nas_agents.catalogue.environments import registered_search_spaces

    rows: list[dict[str, Any]] = [
        {
            "id": env_id,
            "decisions": len(search_space.decisions),
            "choices": list(search_space.num_choices),
            "size": search_space.size,
        }
        for env_id, search_space in registered_search_spaces().items()
    ]
    if as_json:
        print_json(rows)
        return
    table = Table("id", "decisions", "choices", "size", box=None)
    for row in rows:
        choices = f"{min(row['choices'])} to {max(row['choices'])}"
        table.add_row(row["id"], str(row["decisions"]), choices, f"{Decimal(row['size']):.3g}")
    Console().print(table)


@app.command()
def show(
    architecture: Annotated[str, typer.Argument(help="A JSON file, a run folder, or a name.")],
    cells: Annotated[int | None, typer.Option(help="N, (normal) cells a stack.")] = None,
    filters: Annotated[int | None, typer.Option(help="Filters of the first stack.")] = None,
    classes: Annotated[int, typer.Option(help="Classes of the images.")] = 10,
    stem: Annotated[str | None, typer.Option(help="auto, cifar or imagenet.")] = None,
    stem_filters: Annotated[int | None, typer.Option(help="Filters of the stem.")] = None,
    image_size: Annotated[
        int | None, typer.Option(help="Height and width of the images; 224 for imagenet, else 32.")
    ] = None,
    channels: Annotated[int, typer.Option(help="Channels of the images.")] = 3,
    width: Annotated[float | None, typer.Option(help="Multiplies all filters.")] = None,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="A setting of the network.")
    ] = [],  # noqa: B006 (Typer reads the default)
    picture: Annotated[Path | None, typer.Option(help="Write the picture to this file.")] = None,
    latency: Annotated[bool, typer.Option(help="Measure the latency of inference here.")] = False,
    latency_set: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="device, batch_size, threads, warmup or repeats."),
    ] = [],  # noqa: B006 (Typer reads the default)
    as_json: Json = False,
) -> None:
    """Draw an architecture; print its parameters, its multiply-adds and, if asked, its latency."""
    from nas_agents.cli.show import Shown

    with one_line_errors():
        given: dict[str, Any] = {"cells": cells, "filters": filters, "width": width}
        given |= {"stem": stem, "stem_filters": stem_filters, **assignments("--set", set_)}
        size = image_size or (224 if stem == "imagenet" else 32)
        shown = Shown.of(architecture, given, channels, size, classes)
        if latency or latency_set:
            shown.measure_latency(assignments("--latency-set", latency_set))
        if picture is not None:
            shown.save_picture(picture)
    if as_json:
        print_json(shown.facts())
        return
    print(shown.text())
    if picture is not None:
        print(f"drawn to {picture}")


@app.command()
def search(
    context: typer.Context,
    env: Annotated[
        str | None, typer.Argument(help="The environment's id; see `nas-gym envs`.")
    ] = None,
    preset: Annotated[
        str | None, typer.Option(help="A paper's search, which options change; `nas-gym presets`.")
    ] = None,
    agent: Annotated[
        str, typer.Option(help=f"{', '.join(AGENTS)}, or module:Class.")
    ] = SearchSettings.agent,
    dataset: Annotated[
        str | None, typer.Option(help="A name, an .npz file, or a folder of images.")
    ] = None,
    episodes: Annotated[int | None, typer.Option(help="Stop after so many children.")] = None,
    seconds: Annotated[float | None, typer.Option(help="Stop after so many seconds.")] = None,
    target_accuracy: Annotated[
        float | None, typer.Option(help="Stop at a child with this validation accuracy.")
    ] = None,
    max_failures: Annotated[
        int, typer.Option(help="Stop when so many children failed in a row.")
    ] = SearchSettings.max_failures,
    envs: Annotated[
        int, typer.Option("--envs", help="Networks designed, and then evaluated, at a time.")
    ] = SearchSettings.envs,
    workers: Annotated[
        int | None, typer.Option(help="Train so many children at a time, in processes.")
    ] = None,
    children_per_gpu: Annotated[
        int, typer.Option(help="Workers that share a GPU, where children train on CUDA.")
    ] = SearchSettings.children_per_gpu,
    ray: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="Train on this Ray cluster; local, auto.")
    ] = None,
    child_timeout: Annotated[
        float | None, typer.Option(help="End a child's training after so many seconds.")
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Train each child so often; its worth is the mean.")
    ] = SearchSettings.repeats,
    store: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Where evaluations are kept; or in the run folder."),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Of the agent and of the children.")
    ] = SearchSettings.seed,
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = None,
    reward: Annotated[
        str | None, typer.Option(help='accuracy, nas, or {"name": "mnasnet", ...}.')
    ] = None,
    run: Annotated[
        Path | None, typer.Option(help="The run folder; new, unless --resume is given.")
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the run in --run, if it was started.")
    ] = False,
    final: Annotated[
        bool, typer.Option(help="Train the best to the end and test it, or not.")
    ] = SearchSettings.final,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="An environment's argument.")
    ] = [],  # noqa: B006 (Typer reads the default)
    agent_set: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="An argument of the agent.")
    ] = [],  # noqa: B006
    final_set: Annotated[
        list[str], typer.Option(metavar="NAME=VALUE", help="A setting of the final training.")
    ] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Search for an architecture, train the best one to the end, and test it once."""
    from nas_agents.cli.display import Display, describe
    from nas_agents.cli.search_options import settings_from
    from nas_agents.search.run import search as run_search

    with one_line_errors():
        settings = settings_from(given_options(context))
        with Display(settings) as display:
            result = run_search(settings, run, display.episode, display.final_epoch, resume)
    if as_json:
        print_json({"run": str(result.run), **result.summary})
    else:
        print(describe(result))
    if result.stopped_by == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
    if result.stopped_by in ("failures", "diverged"):
        print(f"nas-gym: {result.complaint}", file=sys.stderr)
        raise typer.Exit(EXIT_FAILED)
    if result.progress.best_architecture is None:
        raise typer.Exit(EXIT_FAILED)


def main() -> None:
    """The entry point of ``nas-gym``."""
    app()


if __name__ == "__main__":
    main()
