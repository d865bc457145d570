"""The example of a task of one's own: what a record, a reward and the final training make of it."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from examples.own_task import DenseNet, Diabetes
from nas_gym import CustomSearchSpace, InvalidSettings, NASEnv, Trainer, train_model
from nas_gym.rewards import reward_by_name
from nas_gym.training.final import train_final
from nas_gym.training.settings import LearningSettings

CHILD = DenseNet({"depth": "1", "units": "4", "activation": "tanh"})
SETTINGS = LearningSettings(epochs=3, batch_size=32, learning_rate=0.02)


def test_a_child_is_measured_by_the_tasks_metric() -> None:
    """Predicting the mean has an error of 0.77; less is better, and the score says so."""
    trainer = Trainer(Diabetes(), SETTINGS, "cpu")
    evaluation = trainer.evaluate_one(CHILD)
    assert (evaluation.status, evaluation.message) == ("ok", "")
    assert evaluation.metric == "root_mean_squared_error"
    assert evaluation.value is not None
    assert 0.4 < evaluation.value < 0.7
    assert evaluation.accuracy == pytest.approx(1 / (1 + evaluation.value))
    assert evaluation.curve[0] < evaluation.accuracy
    assert (evaluation.parameters, evaluation.multiply_adds) == (11 * 4 + 5, 10 * 4 + 4)
    again = pickle.loads(pickle.dumps(trainer)).evaluate_one(CHILD)  # as workers have it
    assert again.curve == evaluation.curve


def test_an_environment_takes_any_reward_of_the_record() -> None:
    trainer = Trainer(Diabetes(), SETTINGS, "cpu")
    env = NASEnv(CustomSearchSpace(DenseNet), trainer, reward=lambda each: -(each.value or 9))
    env.reset()
    for _ in range(3):
        _, reward, _, _, info = env.step(0)
    assert reward == -info["evaluation"]["value"]
    with pytest.raises(InvalidSettings, match="measured by root_mean_squared_error"):
        reward_by_name("perplexity")(trainer.evaluate_one(CHILD))


def test_the_final_training_tests_by_it() -> None:
    result = train_final(CHILD, Diabetes(), SETTINGS, "cpu")
    assert result.metric == "root_mean_squared_error"
    assert result.test_value is not None
    assert result.test_accuracy == pytest.approx(1 / (1 + result.test_value))


def test_a_model_that_was_not_tested_is_kept(tmp_path: Path) -> None:
    dataset = Diabetes()
    dataset.test = dataset.test[:0]
    train_model(CHILD, dataset, SETTINGS, tmp_path / "model", "cpu")
    metrics = json.loads((tmp_path / "model" / "model.json").read_text())["metrics"]
    assert (metrics["test_accuracy"], metrics["test_value"], metrics["epochs"]) == (None, None, 3)
    assert (tmp_path / "model" / "weights.safetensors").exists()
