"""Runs the plan of `nas-gym auto` within its time: search, finalists, final training, export."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from nas_agents.auto import rules
from nas_agents.auto.final import Clock, UntilDeadline, final_choice
from nas_agents.auto.plan import Choice, Plan, make_plan
from nas_agents.auto.record import AUTO, Interrupted, Record, resumed
from nas_agents.auto.result import AutoResult, more_time, write_files
from nas_agents.catalogue.environments import make_environment
from nas_agents.runs.callbacks import Callback, Callbacks
from nas_agents.runs.reading import InvalidRunFolder, has_run
from nas_agents.runs.run_folder import default_run_folder
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.run import search
from nas_gym import Architecture
from nas_gym.errors import InvalidSettings, counted, require

LEAST_MINUTES = 0.5


def run_auto(
    dataset: str | Path,
    minutes: float = 30.0,
    target_accuracy: float | None = None,
    device: str = "auto",
    seed: int = 0,
    run: Path | None = None,
    callbacks: Sequence[Callback] = (),
    resume: bool = False,
    begun: float | None = None,
) -> AutoResult:
    """Search for a network that suits data of one's own, train it, and export it, in a given time.

    Args:
        dataset: A name, an ``.npz`` file, or a folder of images.
        minutes: Time for everything, reading included, at least half a minute.
        target_accuracy: Validation accuracy in (0, 1] at which the search stops.
        device: "auto" takes CUDA, then MPS, then the CPU; a resumed run, the one that it has.
        seed: Seed of the agent and of all trainings.
        run: The run folder; default: ``runs/auto-...``.
        callbacks: Watch the search, and are notified of each choice.
        resume: Go on with an interrupted run in ``run``, by its plan, with the time that is left.
        begun: The value of ``time.monotonic()`` from which on the time counts; default: now.

    Raises:
        NASGymError: the data, the device or the run folder cannot be had, no child could be
            trained, or there is nothing to resume.
        Interrupted: by Ctrl-C, after the plan was made; the run can be resumed.
    """
    expected = f"minutes: expected at least {LEAST_MINUTES}, got {minutes}"
    require(minutes >= LEAST_MINUTES, expected)
    given: dict[str, Any] = {"target_accuracy": target_accuracy, "seed": seed}
    SearchSettings("auto", seconds=60 * minutes, **given)  # refuses wrong ones early
    if run is not None and not resume:
        require_free(run)
    callback, begun = Callbacks(callbacks), time.monotonic() if begun is None else begun
    facts: dict[str, Any] = {"dataset": str(dataset), "minutes": minutes, **given}
    if resume:
        plan, record = resumed(run, facts, device, begun)
    else:
        plan = make_plan(str(dataset), 60 * minutes, device, callback.on_notice)
        record = Record(run or default_run_folder(plan.env_id, "auto"), begun, facts)
    clock = Clock(record.started, 60 * minutes, on_cpu=plan.data["device"] == "cpu")
    if not resume:
        facts |= {"plan": plan.to_dict(), "searching": _search_seconds(plan, clock)}
    try:
        return _done(plan, record, clock, resume, callbacks)
    except KeyboardInterrupt:
        if not (record.run / AUTO).exists():
            raise
        record.write()
        raise Interrupted(record.run) from None


def require_free(run: Path) -> None:
    """Raise `InvalidRunFolder` if a folder holds a run."""
    if has_run(run):
        raise InvalidRunFolder(f"run: {run} holds a run; name another folder, or give --resume")


def _done(
    plan: Plan, record: Record, clock: Clock, resume: bool, callbacks: Sequence[Callback]
) -> AutoResult:
    """Search, train the best network, and export it."""
    run, settings = record.run, _settings(plan, record.facts)
    best = _best(search(settings, run, resume, callbacks=(*callbacks, record)))
    final = _final(plan, best, record, clock, Callbacks(callbacks))
    trained = replace(settings, final=True, final_arguments=record.facts["final"])
    until = UntilDeadline((*callbacks, record), clock, plan.end_epochs, record.ends)
    result = search(trained, run, resume=True, callbacks=[until])
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    if result.summary["final"] is None:
        raise InvalidSettings(f"auto: the final training failed: {result.summary['final_failure']}")
    files, notes = write_files(result, plan, clock, until.busy)
    notes.append(more_time(result, plan, final))
    return AutoResult(run, result.summary, plan, clock.seconds - clock.left, files, notes)


def _best(found: SearchResult) -> Architecture:
    """Return the best architecture of a search."""
    if found.stopped_by == "interrupted":
        raise KeyboardInterrupt
    progress, best = found.progress, found.progress.best_architecture
    if best is None:
        why = progress.last_failure or "there was time for none"
        raise InvalidSettings(f"auto: no network could be trained: {why}; give more --minutes")
    require(
        found.stopped_by != "failures",
        f"auto: {counted(progress.failures_in_a_row, 'child')} in a row failed; the last one: "
        f"{progress.last_failure}; nas-gym train {shlex.quote(str(found.run))} trains the best one",
    )
    return best


def _search_seconds(plan: Plan, clock: Clock) -> float:
    """Return the time of the search, without its finalists."""
    left = clock.left - rules.FINAL * clock.seconds - clock.end(plan.busy)
    share = 1 - rules.FINALISTS if plan.finalists else 1
    return max(1.0, min(plan.search_seconds, left) * share)


def _settings(plan: Plan, facts: Mapping[str, Any]) -> SearchSettings:
    """Return the settings of the search, of a plan and the facts of its record."""
    return SearchSettings(
        plan.env_id,
        episodes=None if plan.search_seconds else 1,
        seconds=facts["searching"] if plan.search_seconds else None,
        target_accuracy=facts["target_accuracy"],
        seed=facts["seed"],
        agent="model-based",
        agent_arguments={"first": [rules.KNOWN[plan.env_id]]},
        env_arguments=plan.env_arguments,
        workers=plan.workers,
        child_timeout=max(60.0, 12.0 * facts["minutes"]) if plan.workers else None,
        final=False,
        finalists=plan.finalists,
        finalist_seeds=1,
    )


def _final(
    plan: Plan, best: Architecture, record: Record, clock: Clock, callback: Callback
) -> Choice:
    """Return the choice of the final training, whose arguments are kept in the record."""
    if "final" in record.facts:  # it was begun
        return Choice(**record.facts["choice"])
    with closing(make_environment(plan.env_id, plan.env_arguments)) as env:
        child: Any = env.memory.evaluator
        rest = max(1.0, clock.left - clock.end(plan.busy))
        arguments, final = final_choice(plan, best, child.settings, child.dataset, rest)
    record.facts |= {"final": arguments, "choice": asdict(final)}
    record.write()
    callback.on_notice(
        f"final training: {counted(final.epochs, 'epoch')} of about {final.epoch_seconds:.2g} s "
        f"each, in the {rest:.0f} s that are left for it"
    )
    return final
