"""Runs the plan of `nas-gym auto` within its time: search, finalists, final training, export."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas_agents.auto.plan import (
    FINAL,
    FINALISTS,
    LEAST_RESERVE,
    RESERVE,
    SKELETONS,
    Choice,
    Plan,
    final_choice,
    make_plan,
)
from nas_agents.catalogue.environments import make_environment
from nas_agents.report import write_report
from nas_agents.runs.callbacks import Callback, Callbacks
from nas_agents.runs.reading import EPISODES, MODEL, REPORT, read_episodes
from nas_agents.runs.run_folder import default_run_folder
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.run import search
from nas_gym.errors import InvalidSettings, NASGymError, require
from nas_gym.models import Model, load_model
from nas_gym.models.exporting import export_model
from nas_gym.training.final import StopTraining

LEAST_MINUTES = 0.5


@dataclass(frozen=True)
class AutoResult:
    """Result of `run_auto`."""

    run: Path
    """The run folder."""
    summary: dict[str, Any]
    """The content of its ``summary.json``."""
    plan: Plan
    seconds: float
    files: dict[str, str]
    """Paths of what was made: model, onnx, report, as far as it was."""
    notes: list[str] = field(default_factory=list)
    """What more time would buy, and what could not be done, a line each."""

    @property
    def model(self) -> Model:
        """The trained model."""
        return load_model(self.run / MODEL, self.plan.data["device"])

    def facts(self) -> dict[str, Any]:
        """Return the result as plain JSON data."""
        best = self.summary["best"]
        return {
            "run": str(self.run),
            "files": self.files,
            "seconds": self.seconds,
            "children": self.summary["episodes"],
            "validation_accuracy": best["validation_accuracy"],
            "test_accuracy": self.summary["test_accuracy"],
            "epochs": self.summary["final"]["epochs"],
            "parameters": self.summary["final"]["parameters"],
            "plan": {**asdict(self.plan), "probe": self.plan.probe.key},
            "notes": self.notes,
        }


class _UntilDeadline(Callback):
    """Ends the final training at an epoch's end, where another one would be too late."""

    def __init__(self, deadline: float) -> None:
        self.deadline, self.before = deadline, time.monotonic()

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        now = time.monotonic()
        took, self.before = now - self.before, now
        if epoch < epochs and epoch > 1 and now + took > self.deadline:
            raise StopTraining


def run_auto(
    dataset: str | Path,
    minutes: float = 30.0,
    target_accuracy: float | None = None,
    device: str = "auto",
    seed: int = 0,
    run: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> AutoResult:
    """Search for a network that suits data of one's own, train it, and export it, in a given time.

    Args:
        dataset: A name, an ``.npz`` file, or a folder of images.
        minutes: Time for everything, reading included, at least half a minute.
        target_accuracy: Validation accuracy in (0, 1] at which the search stops.
        device: "auto" takes CUDA, then MPS, then the CPU.
        seed: Seed of the agent and of all trainings.
        run: The run folder; default: ``runs/auto-...``.
        callbacks: Watch the search, and are notified of each choice.

    Raises:
        NASGymError: the data, the device or the run folder cannot be had, or no child could be
            trained.
        KeyboardInterrupt: it was interrupted; the run folder has what was done.
    """
    started, seconds = time.monotonic(), 60 * minutes
    expected = f"minutes: expected at least {LEAST_MINUTES}, got {minutes}"
    require(minutes >= LEAST_MINUTES, expected)
    callback = Callbacks(callbacks)
    plan = make_plan(str(dataset), seconds, device, callback.on_notice)
    run = run or default_run_folder(plan.env_id, "auto")
    reserve = max(LEAST_RESERVE, RESERVE * seconds)
    left = started + seconds * (1 - FINAL) - reserve - time.monotonic()
    searching = min(plan.search_seconds, left) * (1 - FINALISTS if plan.finalists else 1)
    settings = SearchSettings(
        plan.env_id,
        episodes=None,
        seconds=max(1.0, searching),
        target_accuracy=target_accuracy,
        seed=seed,
        env_arguments=plan.env_arguments,
        workers=plan.workers,
        child_timeout=max(60.0, 0.2 * seconds) if plan.workers else None,
        final=False,
        finalists=plan.finalists,
        finalist_seeds=1,
    )
    found = search(settings, run, callbacks=callbacks)
    if found.stopped_by == "interrupted":
        raise KeyboardInterrupt
    best = found.progress.best_architecture
    if best is None:
        why = found.progress.last_failure or "there was time for none"
        raise InvalidSettings(f"auto: no network could be trained: {why}; give more --minutes")

    deadline = started + seconds - reserve
    with closing(make_environment(plan.env_id, plan.env_arguments)) as env:
        child: Any = env.memory.evaluator
        rest = max(1.0, deadline - time.monotonic())
        arguments, final = final_choice(plan, best, child.settings, child.dataset, rest)
    callback.on_notice(
        f"final training: {final.epochs} epochs of about {final.epoch_seconds:.2g} s each, in the "
        f"{rest:.0f} s that are left for it"
    )
    trained = replace(settings, final=True, final_arguments=arguments)
    watched = (*callbacks, _UntilDeadline(deadline))
    result = search(trained, run, resume=True, callbacks=watched)
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    if result.summary["final"] is None:
        raise InvalidSettings(f"auto: the final training failed: {result.summary['final_failure']}")
    files, notes = _exported(run)
    notes.append(_more_time(result, plan, final, minutes))
    return AutoResult(run, result.summary, plan, time.monotonic() - started, files, notes)


def _exported(run: Path) -> tuple[dict[str, str], list[str]]:
    """Export the model, write the report; return the files that were made, and what was not."""
    files, notes = {"model": str(run / MODEL)}, []
    try:
        exported = export_model(load_model(run / MODEL), "onnx", run / "export")
        files["onnx"] = str(exported.files[0])
    except NASGymError as error:
        notes.append(f"no ONNX: {error}")
    try:
        write_report([run], run / REPORT)
        files["report"] = str(run / REPORT)
    except NASGymError as error:
        notes.append(f"no report: {error}")
    return files, notes


def _more_time(result: SearchResult, plan: Plan, final: Choice, minutes: float) -> str:
    """Return what twice the time would buy, by what the second half of this time bought."""
    if result.summary["stopped_by"] == "target_accuracy":
        return "the search stopped at the target accuracy; without it, the time would have gone on"
    episodes, _ = read_episodes(result.run / EPISODES, {"accuracy": (int, float)})
    accuracies = [each["accuracy"] for each in episodes]
    half = max(1, len(accuracies) // 2)
    gain = max(accuracies) - max(accuracies[:half])
    larger = final.place + 1 < len(SKELETONS[plan.env_id])
    more = f", or about {final.epochs} epochs of a larger network" if larger else ""
    return (
        f"with {2 * minutes:g} minutes: about {2 * len(accuracies)} children instead of "
        f"{len(accuracies)} (the second half of them raised the best single validation accuracy by "
        f"{100 * gain:.1f} points), and about {2 * final.epochs} epochs of final training instead "
        f"of {final.epochs}{more}"
    )
