"""``nas-gym search``: a search, and the final training of the best architecture."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Exit, Option

from nas_agents.catalogue.registry import AGENTS
from nas_agents.cli.terminal.common import (
    DATASET,
    DEVICE,
    EXIT_FAILED,
    EXIT_INTERRUPTED,
    Json,
    complain,
    given_options,
    pairs,
    print_result,
)
from nas_agents.runs.settings import SearchSettings
from nas_gym.outside.processes import prepare_workers

if TYPE_CHECKING:
    from nas_agents.runs.summary import SearchResult

DEFAULT = SearchSettings


def search(
    context: Context,
    env: Annotated[str | None, Argument(help="The environment's id; see `nas-gym envs`.")] = None,
    preset: Annotated[
        str | None, Option(help="A paper's search, which options change; `nas-gym presets`.")
    ] = None,
    agent: Annotated[
        str, Option(help=f"auto, {', '.join(AGENTS)}, or module:Class.")
    ] = DEFAULT.agent,
    dataset: Annotated[str | None, DATASET] = None,
    episodes: Annotated[int | None, Option(help="Stop after this number of children.")] = None,
    evaluations: Annotated[
        int | None, Option(help="Stop after this number of children, of which repeats are free.")
    ] = None,
    seconds: Annotated[float | None, Option(help="Stop after this number of seconds.")] = None,
    simulated_seconds: Annotated[
        float | None, Option(help="Stop after this number of a recorded benchmark's own seconds.")
    ] = None,
    target_accuracy: Annotated[
        float | None, Option(help="Stop at a child with this validation accuracy.")
    ] = None,
    max_failures: Annotated[
        int, Option(help="Stop when this number of children failed in a row.")
    ] = DEFAULT.max_failures,
    envs: Annotated[
        int, Option(help="Networks designed, and then evaluated, at a time.")
    ] = DEFAULT.envs,
    workers: Annotated[
        int | None, Option(help="Number of processes, which train a child each at a time.")
    ] = None,
    ray: Annotated[
        str | None, Option(metavar="ADDRESS", help="Train on this Ray cluster; local, auto.")
    ] = None,
    child_timeout: Annotated[
        float | None, Option(help="End a child's training after this number of seconds.")
    ] = None,
    repeats: Annotated[
        int, Option(help="Trainings of each child; their mean accuracy counts.")
    ] = DEFAULT.repeats,
    store: Annotated[
        str | None, Option(metavar="URL", help="Keeps the evaluations; default: the run folder.")
    ] = None,
    seed: Annotated[int, Option(help="Of the agent and of the children.")] = DEFAULT.seed,
    device: Annotated[str | None, DEVICE] = None,
    reward: Annotated[
        str | None, Option(help='accuracy, nas, or {"name": "mnasnet", ...}.')
    ] = None,
    run: Annotated[
        Path | None, Option(help="The run folder; new, unless --resume is given.")
    ] = None,
    resume: Annotated[
        bool, Option("--resume", help="Go on with the run in --run, if it was started.")
    ] = False,
    verify: Annotated[
        bool, Option("--verify", help="Resume, but repeat and check all episodes from the first.")
    ] = False,
    final: Annotated[
        bool, Option(help="Train the best to the end and test it, or not.")
    ] = DEFAULT.final,
    finalists: Annotated[
        int | None, Option(help="Evaluate the best K again, and let the mean decide; 0: none.")
    ] = None,
    finalist_seeds: Annotated[
        int, Option(help="Further training seeds of each finalist.")
    ] = DEFAULT.finalist_seeds,
    set_: Annotated[list[str], pairs("An environment's argument.", "--set")] = [],  # noqa: B006
    agent_set: Annotated[list[str], pairs("An argument of the agent.")] = [],  # noqa: B006
    final_set: Annotated[list[str], pairs("A setting of the final training.")] = [],  # noqa: B006
    callback: Annotated[
        list[str], Option(metavar="MODULE:CLASS", help="Watches; nas_agents.callbacks:MLflow.")
    ] = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Search for an architecture, train the best one, and test it."""
    if ":" in agent or callback:  # a module of one's own, beside which one works
        sys.path.append(os.getcwd())
    if workers:
        prepare_workers()

    from nas_agents.callbacks import made, standard_callbacks
    from nas_agents.cli.terminal.display import Display
    from nas_agents.cli.terminal.search_options import settings_from
    from nas_agents.report import Report
    from nas_agents.search.run import search as run_search

    settings = settings_from(given_options(context))
    watching, report = [*standard_callbacks(), *map(made, callback)], Report()
    with Display(settings) as display:
        watched = [display, *watching, report]
        result = run_search(settings, run, resume or verify, watched, verify)
    conclude(result, report.file, report.said, as_json)


def conclude(result: SearchResult, report: Path | None, said: str, as_json: bool) -> None:
    """Print a search's result, and what to do about a failure; then exit with its code."""
    from nas_agents.cli.terminal.display import describe

    places = {"run": str(result.run), "report": report and str(report)}
    print_result({**places, **result.summary}, f"{describe(result)}\n{said}", as_json)
    again = f"nas-gym search --run {shlex.quote(str(result.run))} --resume"
    if result.stopped_by == "interrupted":
        complain(f"interrupted; go on with: {again}")
        raise Exit(EXIT_INTERRUPTED)
    failed = result.stopped_by in ("failures", "diverged")
    if failed:
        complain(result.complaint)
    untrained = result.summary["final_failure"]
    if untrained:
        complain(f"the final training failed: {untrained}; go on with: {again}")
    if failed or untrained or result.progress.best_architecture is None:
        raise Exit(EXIT_FAILED)
