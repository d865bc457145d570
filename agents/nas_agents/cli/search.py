"""``nas-gym search``: a search, and the final training of the best architecture."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import Context, command, option, pass_context
from click.exceptions import Exit

from nas_agents.catalogue.registry import AGENTS
from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import EXIT_FAILED, complain, interrupted, print_result
from nas_agents.runs.settings import SearchSettings, words_to_resume
from nas_gym.outside.processes import prepare_workers

if TYPE_CHECKING:
    from nas_agents.runs.summary import SearchResult

DEFAULT = SearchSettings


@command()
@options.env_id(required=False, metavar="[ENV]")
@option("--preset", help="A paper's search, which options change; `nas-gym presets`.")
@option("--agent", default=DEFAULT.agent, help=f"auto, {', '.join(AGENTS)}, or module:Class.")
@options.dataset()
@option("--episodes", type=int, help="Stop after this number of children.")
@option(
    "--evaluations",
    type=int,
    help="Stop after this number of evaluated children; repeats, and what --store has, are free.",
)
@option("--seconds", type=float, help="Stop after this number of seconds.")
@option(
    "--simulated-seconds",
    type=float,
    help="Stop after this number of a recorded benchmark's own seconds.",
)
@option("--target-accuracy", type=float, help="Stop at a child with this validation accuracy.")
@option(
    "--max-failures",
    default=DEFAULT.max_failures,
    help="Stop when this number of children failed in a row.",
)
@option(
    "--envs", default=DEFAULT.envs, help="Networks designed together, and evaluated as a batch."
)
@option("--workers", type=int, help="Number of processes, which train a child each at a time.")
@option("--ray", metavar="ADDRESS", help="Train on this Ray cluster; local, auto.")
@option("--child-timeout", type=float, help="End a child's training after this number of seconds.")
@option(
    "--repeats",
    default=DEFAULT.repeats,
    help="Trainings of each child; their mean accuracy counts.",
)
@option("--store", metavar="URL", help="Keeps the evaluations; default: the run folder.")
@option("--seed", default=DEFAULT.seed, help="Seed of the agent and of the children.")
@options.device()
@option(
    "--reward",
    callback=lambda _, __, text: text and options.value_of("--reward", text),
    help='accuracy, nas, or {"name": "mnasnet", ...}.',
)
@option("--run", type=options.PATH, help="The run folder; new, unless --resume is given.")
@option("--resume", is_flag=True, help="Go on with the run in --run, if it was started.")
@option("--verify", is_flag=True, help="Resume, but repeat and check all episodes from the first.")
@option(
    "--final/--no-final",
    default=DEFAULT.final,
    help="Train the best to the end and test it, or not.",
)
@option(
    "--finalists", type=int, help="Evaluate the best K again, and let the mean decide; 0: none."
)
@option(
    "--finalist-seeds",
    default=DEFAULT.finalist_seeds,
    help="Further training seeds of each finalist.",
)
@options.pairs("--set", "env_arguments", "An environment's argument.")
@options.pairs("--agent-set", "agent_arguments", "An argument of the agent.")
@options.pairs("--final-set", "final_arguments", "A setting of the final training.")
@option(
    *("--callback", "callbacks"),
    metavar="MODULE:CLASS",
    multiple=True,
    help="Call this class, such as nas_agents.callbacks:MLflow.",
)
@options.as_json
@pass_context
def search(context: Context, /, **given: Any) -> None:
    """Search for an architecture, train the best one, and test it.

    ENV is the environment's id; see `nas-gym envs`. module:id imports a module of yours first.
    """
    callbacks, resume = given["callbacks"], given["resume"] or given["verify"]
    if ":" in given["agent"] or given["agent_arguments"] or callbacks:
        options.find_modules_here()
    if given["workers"]:
        prepare_workers()

    from nas_agents.callbacks import made, standard_callbacks
    from nas_agents.cli.terminal.display import Display
    from nas_agents.cli.terminal.search_options import settings_from
    from nas_agents.report import Report
    from nas_agents.search.run import search as run_search

    settings = settings_from(options.given_options(context))
    watching, report = [*standard_callbacks(), *map(made, callbacks)], Report()
    with Display(settings) as display:
        watched = [display, *watching, report]
        result = run_search(settings, given["run"], resume, watched, given["verify"])
    conclude(result, report.file, report.said, given["as_json"])


def conclude(result: SearchResult, report: Path | None, said: str, as_json: bool) -> None:
    """Print a search's result, and what to do about a failure; then exit with its code."""
    from nas_agents.cli.terminal.results import describe

    places = {"run": str(result.run), "report": report and str(report)}
    print_result({**places, **result.summary}, f"{describe(result)}\n{said}", as_json)
    again = f"nas-gym search {shlex.join(words_to_resume(result.run))}"
    if result.stopped_by == "interrupted":
        interrupted(f"go on with: {again}")
    failed = result.stopped_by in ("failures", "diverged")
    if failed:
        complain(result.complaint)
    untrained = result.summary["final_failure"]
    if untrained:
        complain(f"the final training failed: {untrained}; go on with: {again}")
    if failed or untrained or result.progress.best_architecture is None:
        raise Exit(EXIT_FAILED)
