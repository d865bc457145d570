"""The final training of a search: its settings, and how its result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from nas_agents.search.progress import UNFINISHED, Progress
from nas_agents.search.reading import MODEL, SETTINGS, SUMMARY
from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import same_json
from nas_agents.search.summary import SearchResult
from nas_gym.errors import require
from nas_gym.json_text import short
from nas_gym.models.folder import model_of, save_model
from nas_gym.models.model import Model, Trained
from nas_gym.settings import require_known
from nas_gym.training.failures import Diverged
from nas_gym.training.final import train_final
from nas_gym.training.settings import LearningSettings
from nas_gym.training.task import Data
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing

Settings = TypeVar("Settings", bound=LearningSettings)
OnFinalEpoch = Callable[[int, int], None]


def final_settings(settings: Settings, given: Mapping[str, Any]) -> Settings:
    """Return the settings of the final training: a child's, for longer and in a wider network.

    Args:
        settings: A child's.
        given: Fields of these settings, or of the network's, that the user gave. Otherwise the
            final training takes ten times a child's epochs, at least 25, and twice its filters
            (`NetworkSettings.width_setting`), and nothing that makes a child's estimate cheaper.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    child = settings.network
    of_network = asdict(child) if child else {}
    defaults = {"epochs": max(25, 10 * settings.epochs)}
    if child is not None and child.width_setting in of_network:
        defaults[child.width_setting] = 2 * of_network[child.width_setting]
    whole = {"data_fraction": 1.0, "early_stopping": None, "inherit_weights": None}
    why = "a final training takes all data, to the end, with weights of its own"
    for name, value in whole.items():
        other = given.get(name, value)
        require(other == value, f"{name}: it is {value!r} here, got {short(other)}; {why}")
    given = {**defaults, **given, **whole}
    require_known(given, (*of_network, *asdict(settings)), "final: ")
    network = {name: value for name, value in given.items() if name in of_network}
    training = {name: value for name, value in given.items() if name not in of_network}
    return replace(settings, **{"network": child and replace(child, **network), **training})


@dataclass(frozen=True)
class FinalTraining:
    """Trains the best architecture of a search to the end, and tests it once."""

    settings: LearningSettings
    dataset: Data
    device: str

    @classmethod
    def of(cls, evaluator: object, given: Mapping[str, Any]) -> FinalTraining | None:
        """Return the final training on the data set and device of a search; None if it has none.

        Args:
            evaluator: What trains the search's children.
            given: As in `final_settings`.
        """
        if isinstance(evaluator, WeightSharing):
            child = evaluator.child_settings
        elif isinstance(evaluator, Trainer):
            child = evaluator.settings
        else:
            return None
        return cls(final_settings(child, given), evaluator.dataset, str(evaluator.device))

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
    on_epoch: OnFinalEpoch,
) -> SearchResult:
    """Train the best architecture to the end, unless that is done, or was not asked for.

    An earlier result, ``settings.json`` included, stands until the new one is complete, and stays
    where that is interrupted or fails.

    Args:
        progress: The progress of the search at its end.
        summary: Its summary.
        final: The final training, if it was asked for.
        folder: The run's folder.
        record: The content of ``settings.json``.
        on_epoch: Called with (epochs done, epochs in all).
    """
    best, result, stopped_by = progress.best_architecture, None, summary["stopped_by"]
    if best is not None and final is not None and final.is_left(summary):
        settings = final.settings
        try:
            result = train_final(
                *(best, final.dataset, settings, final.device),
                on_epoch=lambda epoch: on_epoch(epoch, settings.epochs),
            )
            without = {**summary, "final": None, "test_accuracy": None}
            _keep_model(model_of(result, final.dataset), without, folder, record)
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
            summary |= {"stopped_by": stopped_by, "seconds": progress.seconds}
            folder.write(SUMMARY, summary)
    before = progress.resumed == progress.episodes > 0
    return SearchResult(folder.path, stopped_by, progress, result, summary, before)


def _keep_model(
    model: Model | Trained, without: Mapping[str, Any], folder: RunFolder, record: Mapping[str, Any]
) -> None:
    """Replace the model of an earlier final training, which stands if there is no room for both.

    Args:
        model: The new one.
        without: The summary without a final training, which holds if the process dies meanwhile.
        folder: The run's folder.
        record: The content of ``settings.json``.
    """
    with folder.replacing_folder(MODEL) as part:
        save_model(model, part)
        folder.write(SUMMARY, without)
    folder.write(SETTINGS, record)
