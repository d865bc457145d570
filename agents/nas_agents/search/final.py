"""The final training of a search: its settings, and how its result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from nas_agents.search.progress import UNFINISHED
from nas_agents.search.reading import SETTINGS, SUMMARY
from nas_agents.search.run_folder import RunFolder
from nas_agents.search.settings import same_json
from nas_gym import Architecture
from nas_gym.data.dataset import Dataset
from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.training.failures import Diverged
from nas_gym.training.final import FinalResult, train_final
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import WeightSharing

WEIGHTS = "best_weights.pt"
OnFinalEpoch = Callable[[int, int], None]


def final_settings(settings: TrainingSettings, given: Mapping[str, Any]) -> TrainingSettings:
    """Return the settings of the final training: a child's, for longer and in a wider network.

    Args:
        settings: A child's.
        given: Fields of these settings, or of the network's, that the user gave. Otherwise the
            final training takes ten times a child's epochs, at least 25, and twice its filters
            (`NetworkSettings.width_setting`), and nothing that makes a child's estimate cheaper.

    Raises:
        InvalidSettings: a name or a value is not valid.
    """
    of_network = asdict(settings.network) if settings.network else {}
    whole = {"data_fraction": 1.0, "early_stopping": None, "inherit_weights": None}
    defaults = {"epochs": max(25, 10 * settings.epochs)}
    if settings.network is not None:
        width = settings.network.width_setting
        defaults |= {width: 2 * of_network[width]} if width in of_network else {}
    for name, value in whole.items():
        other = given.get(name, value)
        why = "a final training takes all images, to the end, with weights of its own"
        require(other == value, f"{name}: it is {value!r} here, got {other!r}; {why}")
    given = {**defaults, **given, **whole}
    for name in given:
        if name not in of_network and not hasattr(settings, name):
            valid = (*of_network, *asdict(settings))
            raise InvalidSettings(f"final: {name!r} is not known; {choices_hint(name, valid)}")
    network = {name: value for name, value in given.items() if name in of_network}
    training = {name: value for name, value in given.items() if name not in of_network}
    if settings.network is not None:
        settings = replace(settings, network=replace(settings.network, **network))
    return replace(settings, **training)


@dataclass(frozen=True)
class FinalTraining:
    """Trains the best architecture of a search to the end, and tests it once."""

    settings: TrainingSettings
    dataset: Dataset
    device: str

    @classmethod
    def of(cls, evaluator: object, given: Mapping[str, Any]) -> FinalTraining | None:
        """Return the final training on a search's data set and device; None if it has none.

        Args:
            evaluator: What trains the search's children.
            given: As in `final_settings`.
        """
        if not isinstance(evaluator, Trainer | WeightSharing):
            return None
        shared = isinstance(evaluator, WeightSharing)
        child = evaluator.child_settings if shared else evaluator.settings
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

    def train(self, architecture: Architecture, on_epoch: OnFinalEpoch) -> FinalResult:
        """Train an architecture, and test it once."""
        epochs = self.settings.epochs
        return train_final(
            architecture, self.dataset, self.settings, self.device,
            lambda epoch: on_epoch(epoch, epochs),
        )  # fmt: skip


@dataclass(frozen=True)
class Finished:
    """Result of the final training, and the summary with it."""

    summary: dict[str, Any]
    final: FinalResult | None = None
    interrupted: bool = False


def finish(
    final: FinalTraining,
    best: Architecture,
    summary: dict[str, Any],
    folder: RunFolder,
    settings: Mapping[str, Any],
    on_epoch: OnFinalEpoch,
) -> Finished:
    """Train the best architecture to the end, and keep the result in the run's folder.

    An earlier result, ``settings.json`` included, stands until the new one is complete, and stays
    where that is interrupted or fails.

    Args:
        final: The final training.
        best: The architecture.
        summary: The summary of the search.
        folder: The run's folder.
        settings: The content of ``settings.json``.
        on_epoch: Called with (epochs done, epochs in all).
    """
    try:
        result = final.train(best, on_epoch)
        summary = {**summary, "final": None, "test_accuracy": None}
        _keep_weights(result, summary, folder, settings)
    except KeyboardInterrupt:
        return Finished(summary, interrupted=True)
    except (Diverged, MemoryError, RuntimeError) as error:
        stands = "; the earlier one stands" if summary["final"] else ""
        failure = f"{type(error).__name__}: {error}{stands}"
        return Finished({**summary, "final_failure": failure})
    record = {
        "test_accuracy": result.test_accuracy,
        "parameters": result.parameters,
        "epochs": result.epochs,
        "seconds": result.seconds,
        "training": asdict(final.settings),
    }
    trained = {"final": record, "test_accuracy": result.test_accuracy, "final_failure": ""}
    return Finished({**summary, **trained}, result)


def _keep_weights(
    result: FinalResult,
    without: Mapping[str, Any],
    folder: RunFolder,
    settings: Mapping[str, Any],
) -> None:
    """Replace the weights of an earlier final training.

    Args:
        result: Of the new one.
        without: The summary without it, which holds if the process dies meanwhile.
        folder: The run's folder.
        settings: The content of ``settings.json``.
    """
    folder.write(SUMMARY, without)
    folder.remove(WEIGHTS)
    folder.write(SETTINGS, settings)
    weights = result.network.state_dict()
    folder.replace(WEIGHTS, lambda part: torch.save(weights, part))
