"""The result of `nas-gym auto`: what was made, and what more time would buy."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nas_agents.auto import rules
from nas_agents.auto.final import Clock
from nas_agents.auto.plan import Choice, Plan
from nas_agents.report import Report
from nas_agents.runs.reading import EPISODES, MODEL, read_episodes
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import NASGymError, counted, require
from nas_gym.models import Model, load_image_model
from nas_gym.models.exporting import export_model


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
            "test_images": len(self.plan.dataset().test),
            "epochs": self.summary["final"]["epochs"],
            "parameters": self.summary["final"]["parameters"],
            "plan": self.plan.to_dict(),
            "notes": self.notes,
        }


def write_files(
    result: SearchResult, plan: Plan, clock: Clock, busy: float
) -> tuple[dict[str, str], list[str]]:
    """Write the report, and the model as ONNX.

    Returns:
        Paths of the files that were made, and why others were not, a line each.
    """
    files, notes, report = {"model": str(result.run / MODEL)}, [], Report()
    report.on_dataset(plan.dataset())
    report.on_end(result)
    try:
        files["onnx"] = str(onnx_of(result.run, clock, busy))
    except (NASGymError, OSError) as error:
        notes.append(f"no ONNX: {error}")
    if report.file is None:
        return files, [*notes, report.said]
    return {**files, "report": str(report.file)}, notes


def onnx_of(run: Path, clock: Clock, busy: float) -> Path:
    """Export a run's model to ONNX.

    Raises:
        InvalidSettings: there is no time for it on a machine so busy, or it cannot be exported.
    """
    takes, left = rules.ONNX * (busy if clock.on_cpu else 1.0), max(0.0, clock.left)
    again = f"nas-gym export {shlex.quote(str(run))} --format onnx makes it"
    require(left >= takes, f"{left:.0f} s were left, and it takes about {takes:.0f}; {again}")
    return export_model(load_image_model(run / MODEL), "onnx", run / "export").files[0]


def more_time(result: SearchResult, plan: Plan, final: Choice) -> str:
    """Return what twice the time would buy, by what the second half of this time bought."""
    if result.summary["stopped_by"] == "target_accuracy":
        return "the search stopped at the target accuracy; without it, the time would have gone on"
    epochs = result.summary["final"]["epochs"]
    larger = final.place + 1 < len(rules.SKELETONS[plan.env_id])
    more = f", or about {counted(epochs, 'epoch')} of a larger network" if larger else ""
    longer = f"about {2 * epochs} epochs of final training instead of {epochs}{more}"
    if not plan.search_seconds:
        return f"with more minutes: a search, or {longer}"
    episodes = read_episodes(result.run / EPISODES, {"accuracy": (int, float)})
    accuracies = [each["accuracy"] for each in episodes]
    half = max(1, len(accuracies) // 2)
    gain = max(accuracies) - max(accuracies[:half])
    return (
        f"in twice the time: about {2 * len(accuracies)} children instead of "
        f"{len(accuracies)} (the second half of them raised the best single validation accuracy by "
        f"{100 * gain:.1f} points), and {longer}"
    )
