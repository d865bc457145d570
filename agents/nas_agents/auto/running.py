"""Runs the plan of `nas-gym auto` within its time: search, finalists, final training, export."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nas_agents.auto.plan import (
    FINAL,
    FINAL_EPOCHS,
    FINALISTS,
    KNOWN,
    LEAST_RESERVE,
    MOST_RESERVE,
    RESERVE,
    SKELETONS,
    Choice,
    Plan,
    final_choice,
    make_plan,
)
from nas_agents.auto.record import AUTO, Interrupted, Record, resumed
from nas_agents.auto.speed import Pace
from nas_agents.catalogue.environments import make_environment
from nas_agents.report import write_report
from nas_agents.runs.callbacks import Callback, Callbacks
from nas_agents.runs.reading import EPISODES, MODEL, REPORT, read_episodes
from nas_agents.runs.run_folder import default_run_folder
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_agents.search.run import search
from nas_gym import Architecture
from nas_gym.errors import InvalidSettings, NASGymError, require
from nas_gym.models import Model, load_image_model
from nas_gym.models.exporting import export_model
from nas_gym.training.final import EndAfter, StopTraining

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
        return load_image_model(self.run / MODEL, self.plan.data["device"])

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
            "test_images": sum(map(sum, self.summary["final"]["confusion"])),
            "epochs": self.summary["final"]["epochs"],
            "parameters": self.summary["final"]["parameters"],
            "plan": self.plan.to_dict(),
            "notes": self.notes,
        }


class _UntilDeadline(Callbacks):
    """Passes all on, and fits the epochs of the final training to the time that is left.

    The last five epochs say how many more there is time for, fewer or more than planned, and how
    long what follows will take.

    Args:
        callbacks: They are passed all on.
        deadline: The value of ``time.monotonic()`` at which the training has to end, by how busy
            the machine is; see `Pace`.
    """

    def __init__(self, callbacks: Sequence[Callback], deadline: Callable[[float], float]) -> None:
        super().__init__(callbacks)
        self.deadline = deadline
        self.paces = deque([Pace()], maxlen=5)
        self.ends: int | None = None

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        before, self.ends = self.ends, self._fitting(epoch, self.ends or epochs)
        super().on_final_epoch(epoch, self.ends)
        if self.ends == epoch:
            raise StopTraining
        if self.ends != before:
            raise EndAfter(self.ends)

    def _fitting(self, epoch: int, ends: int) -> int:
        first, now = self.paces[0], time.monotonic()
        took, busy = (now - first.wall) / len(self.paces), first.busy
        self.paces.append(Pace())
        if epoch >= ends or took <= 0:
            return ends
        left = int((self.deadline(busy) - now) / took)
        return max(epoch, min(max(ends, FINAL_EPOCHS[1]), epoch + left))


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
        device: "auto" takes CUDA, then MPS, then the CPU.
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
    callback, begun = Callbacks(callbacks), time.monotonic() if begun is None else begun
    facts: dict[str, Any] = {"dataset": str(dataset), "minutes": minutes, "seed": seed}
    facts["target_accuracy"] = target_accuracy
    if resume:
        plan, record = resumed(run, facts, begun)
    else:
        plan = make_plan(str(dataset), 60 * minutes, device, callback.on_notice)
        facts |= {"plan": plan.to_dict(), "searching": _search_seconds(plan, begun, 60 * minutes)}
        record = Record(run or default_run_folder(plan.env_id, "auto"), begun, facts)
    settings = _settings(plan, record.facts["searching"], 60 * minutes, target_accuracy, seed)
    try:
        result, final = _trained(plan, record, settings, resume, callbacks)
    except KeyboardInterrupt:
        if not (record.run / AUTO).exists():
            raise
        record.write()
        raise Interrupted(record.run) from None
    files, notes = _exported(record.run)
    notes.append(_more_time(result, plan, final, minutes))
    spent = time.monotonic() - record.started
    return AutoResult(record.run, result.summary, plan, spent, files, notes)


def _trained(
    plan: Plan,
    record: Record,
    settings: SearchSettings,
    resume: bool,
    callbacks: Sequence[Callback],
) -> tuple[SearchResult, Choice]:
    """Search, and train the best network; return the result, and the final training's choice."""
    run, seconds = record.run, 60 * float(record.facts["minutes"])
    found = search(settings, run, resume, callbacks=(*callbacks, record))
    if found.stopped_by == "interrupted":
        raise KeyboardInterrupt
    best = found.progress.best_architecture
    if best is None:
        why = found.progress.last_failure or "there was time for none"
        raise InvalidSettings(f"auto: no network could be trained: {why}; give more --minutes")

    def deadline(busy: float) -> float:
        others = busy if plan.data["device"] == "cpu" else 1.0
        return record.started + seconds - _reserve(others, seconds)

    final = _final(plan, best, record, deadline(plan.busy), Callbacks(callbacks))
    trained = replace(settings, final=True, final_arguments=record.facts["final"])
    watched = _UntilDeadline((*callbacks, record), deadline)
    result = search(trained, run, resume=True, callbacks=[watched])
    if result.stopped_by == "interrupted":
        raise KeyboardInterrupt
    if result.summary["final"] is None:
        raise InvalidSettings(f"auto: the final training failed: {result.summary['final_failure']}")
    return result, final


def _reserve(busy: float, seconds: float) -> float:
    """Return the time for export and report, which a busy machine lengthens."""
    usual = max(LEAST_RESERVE, RESERVE * seconds)
    return min(usual * busy, max(usual, MOST_RESERVE * seconds))


def _search_seconds(plan: Plan, started: float, seconds: float) -> float:
    """Return the time of the search, without its finalists."""
    left = started + seconds * (1 - FINAL) - _reserve(plan.busy, seconds) - time.monotonic()
    share = 1 - FINALISTS if plan.finalists else 1
    return max(1.0, min(plan.search_seconds, left) * share)


def _settings(
    plan: Plan, searching: float, seconds: float, target_accuracy: float | None, seed: int
) -> SearchSettings:
    """Return the settings of the search."""
    return SearchSettings(
        plan.env_id,
        episodes=None if plan.search_seconds else 1,
        seconds=searching if plan.search_seconds else None,
        target_accuracy=target_accuracy,
        seed=seed,
        agent="model-based",
        agent_arguments={"first": [KNOWN[plan.env_id]]},
        env_arguments=plan.env_arguments,
        workers=plan.workers,
        child_timeout=max(60.0, 0.2 * seconds) if plan.workers else None,
        final=False,
        finalists=plan.finalists,
        finalist_seeds=1,
    )


def _final(
    plan: Plan, best: Architecture, record: Record, deadline: float, callback: Callback
) -> Choice:
    """Return the choice of the final training, whose arguments are kept in the record."""
    if "final" in record.facts:  # it was begun
        return Choice(**record.facts["choice"])
    with closing(make_environment(plan.env_id, plan.env_arguments)) as env:
        child: Any = env.memory.evaluator
        rest = max(1.0, deadline - time.monotonic())
        arguments, final = final_choice(plan, best, child.settings, child.dataset, rest)
    record.facts |= {"final": arguments, "choice": asdict(final)}
    record.write()
    callback.on_notice(
        f"final training: {final.epochs} epochs of about {final.epoch_seconds:.2g} s each, in the "
        f"{rest:.0f} s that are left for it"
    )
    return final


def _exported(run: Path) -> tuple[dict[str, str], list[str]]:
    """Export the model, write the report; return the files that were made, and what was not."""
    files, notes = {"model": str(run / MODEL)}, []
    try:
        exported = export_model(load_image_model(run / MODEL), "onnx", run / "export")
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
    epochs = result.summary["final"]["epochs"]
    larger = final.place + 1 < len(SKELETONS[plan.env_id])
    more = f", or about {epochs} epochs of a larger network" if larger else ""
    longer = f"about {2 * epochs} epochs of final training instead of {epochs}{more}"
    if not plan.search_seconds:
        return f"with more minutes: a search, or {longer}"
    episodes, _ = read_episodes(result.run / EPISODES, {"accuracy": (int, float)})
    accuracies = [each["accuracy"] for each in episodes]
    half = max(1, len(accuracies) // 2)
    gain = max(accuracies) - max(accuracies[:half])
    return (
        f"with {2 * minutes:g} minutes: about {2 * len(accuracies)} children instead of "
        f"{len(accuracies)} (the second half of them raised the best single validation accuracy by "
        f"{100 * gain:.1f} points), and {longer}"
    )
