"""The final training of a search: its settings, and how its result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nas_agents.runs.callbacks import Callback
from nas_agents.runs.progress import UNFINISHED, Progress
from nas_agents.runs.reading import MODEL, SETTINGS, SUMMARY, WORST_IMAGES
from nas_agents.runs.run_folder import RunFolder
from nas_agents.runs.settings import same_json
from nas_agents.runs.summary import SearchResult
from nas_gym import Architecture
from nas_gym.models.training import train_model
from nas_gym.networks import ImageShape, InputShape, measure_cost
from nas_gym.training.checkpoint import OtherTraining
from nas_gym.training.failures import Diverged
from nas_gym.training.final import FinalResult
from nas_gym.training.network_trainer import DeviceTraining
from nas_gym.training.presets import final_settings
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data

OnFinalEpoch = Callable[[int, int], None]
CHECKPOINT = "checkpoint/final.pt"


@dataclass(frozen=True)
class FinalTraining:
    """Trains the best architecture of a search to the end, and tests it once."""

    settings: LearningSettings
    dataset: Data
    device: str
    input_shape: InputShape

    @classmethod
    def of(
        cls, evaluator: object, given: Mapping[str, Any], preset: str | None = None
    ) -> FinalTraining | None:
        """Return the final training on the data set and device of a search; None if it has none.

        ``evaluator`` trains the search's children; for the others, see `final_settings`.
        """
        if not isinstance(evaluator, DeviceTraining):
            return None
        child = getattr(evaluator, "child_settings", evaluator.settings)  # where weights are shared
        shape = evaluator.task.input_shape
        side = min(shape.height, shape.width) if isinstance(shape, ImageShape) else None
        settings = final_settings(child, given, preset, side)
        return cls(settings, evaluator.dataset, str(evaluator.device), shape)

    def excess(self, best: Architecture) -> str:
        """Return a line if the network is beyond the limits of a child's costs; "" if it is not.

        Latency and activations are not measured.
        """
        limits = self.settings.at_most
        if limits is None:
            return ""
        cost = measure_cost(best.canonical(), self.input_shape, self.settings.network)
        exceeded = limits.exceeded(asdict(cost))
        return exceeded and f"final training: its network is beyond at_most ({exceeded})"

    def is_outdated(self, summary: Mapping[str, Any]) -> bool:
        """Return True if the final training was done, but with other settings than these."""
        done = summary["final"]
        return done is not None and not same_json(done.get("training"), asdict(self.settings))

    def is_left(self, summary: Mapping[str, Any]) -> bool:
        """Return True if the search is complete, and its final training, as it is now, is not."""
        if summary["stopped_by"] in UNFINISHED:
            return False
        return summary["final"] is None or self.is_outdated(summary)


def finish(
    progress: Progress,
    summary: dict[str, Any],
    final: FinalTraining | None,
    folder: RunFolder,
    record: Mapping[str, Any],
    callback: Callback,
) -> SearchResult:
    """Train the best architecture to the end, unless that is done, or was not asked for.

    An earlier result, ``settings.json`` included, stands until the new one is complete, and stays
    where that is interrupted or fails. ``record`` is the content of ``settings.json``.
    """
    best, result, stopped_by = progress.best_architecture, None, summary["stopped_by"]
    if best is not None and final is not None and final.is_left(summary):
        settings = final.settings
        if line := final.excess(best):
            callback.on_notice(line)
        try:
            result = _trained(best, final, summary, folder, callback.on_final_epoch)
            folder.write(SETTINGS, record)
            kept = {**result.metrics, "training": asdict(settings)}
            summary = {**summary, "final": kept, "final_failure": ""}
            summary["test_accuracy"] = result.test_accuracy
        except KeyboardInterrupt:
            stopped_by, result = "interrupted", None
        except (Diverged, MemoryError, RuntimeError) as error:
            stands = "; the earlier one stands" if summary["final"] else ""
            summary = {**summary, "final_failure": f"{type(error).__name__}: {error}{stands}"}
            result = None
        if not (stopped_by == "interrupted" and summary["final"]):
            summary |= {"seconds": progress.seconds}
            folder.write(SUMMARY, summary)
        if result is not None:
            (folder.path / CHECKPOINT).unlink(missing_ok=True)
        summary = {**summary, "stopped_by": stopped_by}  # in the folder, why the search ended
    return SearchResult(folder.path, stopped_by, progress, result, summary)


def _trained(
    best: Architecture,
    final: FinalTraining,
    summary: Mapping[str, Any],
    folder: RunFolder,
    on_epoch: OnFinalEpoch,
) -> FinalResult:
    """Train the best architecture to the end, from a checkpoint if it is of this training.

    The new model replaces that of an earlier final training, which stands if there is no room for
    both. The summary says meanwhile that there was none, should the process die; and the earlier
    model's wrong answers go with it.
    """
    without = {**summary, "final": None, "test_accuracy": None}

    def forget() -> None:
        folder.write(SUMMARY, without)
        (folder.path / WORST_IMAGES).unlink(missing_ok=True)

    def train() -> FinalResult:
        return train_model(
            *(best, final.dataset, final.settings, folder.path / MODEL, final.device),
            on_epoch=lambda epoch: on_epoch(epoch, final.settings.epochs),
            checkpoint=folder.path / CHECKPOINT,
            before_replacing=forget,
        )

    with folder.written():
        try:
            return train()
        except OtherTraining:
            (folder.path / CHECKPOINT).unlink()
            return train()
