"""Tuning of a final training: the best of its trials is taken, and trials are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nas_agents.search.final import FinalTraining
from nas_agents.search.tuning import tuned
from nas_gym import InvalidSettings, load_dataset
from nas_gym.data.dataset import resplit
from nas_gym.networks import ImageShape
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.settings import LearningSettings, TrainingSettings
from tests.training.test_trainer import NETWORK, small

pytest.importorskip("optuna")
Trials = list[tuple[int, float | None, dict[str, Any]]]


@pytest.fixture
def final() -> FinalTraining:
    digits = resplit(load_dataset("digits"), 100, 50, 10)
    settings = TrainingSettings(replace(NETWORK, filters=2), epochs=4, batch_size=32)
    return FinalTraining(settings, digits, "cpu", ImageShape(1, 8, 8, 10))


def worth(epoch: int, settings: LearningSettings) -> float:
    """A made-up accuracy, which is better for longer trainings and small batches."""
    return epoch * settings.epochs / (17 * settings.batch_size)


@pytest.fixture
def trials(monkeypatch: pytest.MonkeyPatch) -> Trials:
    """Trials without a training."""

    def fit(trainer: NetworkTrainer, _: object) -> Any:
        return (worth(epoch, trainer.settings) for epoch in range(1, trainer.settings.epochs + 1))

    monkeypatch.setattr(NetworkTrainer, "fit", fit)
    return []


def test_the_best_trial_is_taken(final: FinalTraining, trials: Trials, tmp_path: Path) -> None:
    def keep(number: int, accuracy: float | None, settings: Mapping[str, Any]) -> None:
        trials.append((number, accuracy, dict(settings)))

    before = tuned(small(), final, 3, tmp_path, keep)
    assert len(trials) == 3
    first = trials[0][2]
    assert {name: first[name] for name in ("learning_rate", "epochs", "crop_padding")} == {
        **{"learning_rate": 0.1, "epochs": 4, "crop_padding": 1}
    }
    after = tuned(small(), final, 20, tmp_path, keep)  # goes on with those that are kept
    assert [number for number, *_ in trials] == list(range(1, 21))
    finished = [trial for trial in trials if trial[1] is not None]
    assert 0 < len(finished) < 20  # others were stopped
    best = max(finished, key=lambda trial: trial[1] or 0.0)[2]
    for name, value in best.items():
        assert getattr(after.settings, name) == value
    assert worth(4, after.settings) >= worth(4, before.settings) > 0


def test_an_interrupted_call_goes_on_with_the_settings_as_they_are_and_new_ones(
    final: FinalTraining, trials: Trials, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def keep(_: int, accuracy: float | None, settings: Mapping[str, Any]) -> None:
        trials.append((len(trials), accuracy, dict(settings)))

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(NetworkTrainer, "fit", interrupt)
        with pytest.raises(KeyboardInterrupt):
            tuned(small(), final, 3, tmp_path)
    tuned(small(), final, 3, tmp_path, keep)
    assert len(trials) == 3
    first = trials[0][2]
    assert (first["learning_rate"], first["epochs"]) == (0.1, 4)
    tuned(small(), final, 5, tmp_path, keep)
    assert len({settings["learning_rate"] for *_, settings in trials}) == 5  # none is repeated


def test_trials_of_other_settings_do_not_count(
    final: FinalTraining, trials: Trials, tmp_path: Path
) -> None:
    def keep(number: int, _: float | None, settings: Mapping[str, Any]) -> None:
        trials.append((number, None, dict(settings)))

    tuned(small(), final, 2, tmp_path)
    longer = replace(final, settings=replace(final.settings, epochs=8))
    tuned(small(), longer, 2, tmp_path, keep)
    assert [number for number, *_ in trials] == [1, 2]
    assert trials[0][2]["epochs"] == 8


def test_a_training_without_weight_decay_is_tuned(
    final: FinalTraining, trials: Trials, tmp_path: Path
) -> None:
    given = replace(final, settings=replace(final.settings, weight_decay=0.0))
    tuned(small(), given, 2, tmp_path, lambda n, _, tried: trials.append((n, None, dict(tried))))
    assert trials[0][2]["weight_decay"] == 0.0 < trials[1][2]["weight_decay"] < 1e-4


def test_long_trainings_are_compared_once_at_each_share(
    final: FinalTraining, trials: Trials, tmp_path: Path
) -> None:
    long = replace(final, settings=replace(final.settings, epochs=100))
    tuned(
        small(), long, 2, tmp_path, lambda n, value, tried: trials.append((n, value, dict(tried)))
    )
    assert trials[0][1] == worth(100, long.settings)


def test_what_takes_the_place_of_padding_is_kept(
    final: FinalTraining, trials: Trials, tmp_path: Path
) -> None:
    settings: Any = replace(final.settings, resized_crop=0.5)  # type: ignore[call-arg]
    best: Any = tuned(small(), replace(final, settings=settings), 5, tmp_path).settings
    assert (best.resized_crop, best.crop_padding or 0) == (0.5, 0)


def test_a_learning_rate_of_0_is_refused(final: FinalTraining, tmp_path: Path) -> None:
    still = replace(final, settings=replace(final.settings, learning_rate=0.0))
    with pytest.raises(InvalidSettings, match="tune: learning_rate: expected more than 0"):
        tuned(small(), still, 1, tmp_path)


def test_a_trial_trains_and_is_validated(final: FinalTraining, tmp_path: Path) -> None:
    settings = TrainingSettings(NETWORK, epochs=1, batch_size=32)
    result = tuned(small(), replace(final, settings=settings), 1, tmp_path)
    assert result.settings == replace(settings, crop_padding=1)


def test_texts_are_refused(final: FinalTraining, tmp_path: Path) -> None:
    other: Any = object()
    with pytest.raises(InvalidSettings, match="tune: it tunes trainings on images alone"):
        tuned(small(), replace(final, dataset=other), 1, tmp_path)
