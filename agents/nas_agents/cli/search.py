"""``nas-gym search``: a search, and the final training of the best architecture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from nas_agents.catalogue.registry import AGENTS
from nas_agents.cli.common import (
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Json,
    complain,
    given_options,
    print_json,
    say,
)
from nas_agents.search.settings import SearchSettings


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

    settings = settings_from(given_options(context))
    with Display(settings) as display:
        result = run_search(settings, run, display.episode, display.final_epoch, resume)
    if as_json:
        print_json({"run": str(result.run), **result.summary})
    else:
        say(describe(result))
    if result.stopped_by == "interrupted":
        raise typer.Exit(EXIT_INTERRUPTED)
    if result.stopped_by in ("failures", "diverged"):
        complain(result.complaint)
        raise typer.Exit(EXIT_FAILED)
    if result.progress.best_architecture is None:
        raise typer.Exit(EXIT_FAILED)
