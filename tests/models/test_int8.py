"""INT8 by torch's own quantization: every family, and what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_gym import InvalidSettings, load_dataset
from nas_gym.data.dataset import Dataset
from nas_gym.models import Model, save_model
from nas_gym.models.folder import model_of
from nas_gym.models.int8 import export_int8
from nas_gym.networks import ImageShape, default_settings
from nas_gym.training.final import FinalResult
from nas_gym.training.settings import TrainingSettings
from tests.agents.command import nas_gym
from tests.models.tiny import SHAPE, architecture_of, images, smallest, tiny_model


def dataset_for(classes: tuple[str, ...], labels: list[str]) -> Dataset:
    """A data set of random images, with labels by name."""
    pixels = images(len(labels)).permute(0, 2, 3, 1).numpy()
    numbers = np.array([classes.index(label) for label in labels])
    train, validation, test = np.split(np.arange(len(labels)), [8, len(labels) - 1])
    return Dataset("random", pixels, numbers, classes, False, train, validation, test)


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
@pytest.mark.parametrize("family", ["nas", "nasnet", "enas-macro", "mnasnet", "nasbench201"])
def test_families_are_quantized(family: str, tmp_path: Path) -> None:
    model = smallest(family)
    dataset = dataset_for(model.classes, model.predict(images(24)).classes)
    quantized = export_int8(model, dataset, tmp_path)
    assert (quantized.images, quantized.accuracy) == (15, 1.0)
    loaded = torch.jit.load(tmp_path / "model_int8.pt")
    found = loaded(images(24) / 255).argmax(dim=1).numpy() == dataset.labels
    assert quantized.int8_accuracy == pytest.approx(found[8:-1].mean())
    names = " ".join(str(node) for node in loaded.inlined_graph.nodes())
    assert "quantized::conv2d" in names


@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_network_that_leaves_one_pixel_is_quantized(tmp_path: Path) -> None:
    """Two reductions make 1x1 of 4x4."""
    shape = ImageShape(3, 4, 4, 4)
    model = tiny_model(architecture_of("nasbench201"), shape, cells=1, filters=4)
    dataset = dataset_for(model.classes, list(model.classes) * 3)
    assert export_int8(model, replace(dataset, images=dataset.images[:, :4, :4]), tmp_path).files


def test_another_data_set_is_refused(tmp_path: Path) -> None:
    model = smallest("nasbench201")
    other = dataset_for(("a", "b"), ["a", "b"] * 6)
    with pytest.raises(InvalidSettings, match=r"has 2 classes.* trained on 4 classes"):
        export_int8(model, other, tmp_path)
    assert SHAPE.classes == 4


def test_the_command_takes_the_data_set_of_the_training(tmp_path: Path) -> None:
    model = tiny_model(architecture_of("nasbench201"), ImageShape(1, 8, 8, 10), cells=1, filters=4)
    object.__setattr__(model.facts, "classes", tuple("0123456789"))
    model.facts.data["name"] = "digits"
    (tmp_path / "model").mkdir()
    save_model(model, tmp_path / "model")
    command = ["export", str(tmp_path), "--format", "int8", "--out", str(tmp_path / "out")]
    (record,) = json.loads(nas_gym(*command, "--json").stdout)
    assert record["images"] == 359
    assert 0 <= record["int8_accuracy"] <= 1
    model.facts.data["split_seed"] = "x"
    save_model(model, tmp_path / "model")
    result = nas_gym(*command)
    assert (result.exit_code, "split_seed: expected" in result.stderr) == (2, True)
    model.facts.data["name"] = str(tmp_path)  # a path in a file is not followed
    save_model(model, tmp_path / "model")
    result = nas_gym(*command)
    assert (result.exit_code, "int8 needs the data set" in result.stderr) == (2, True)


def test_both_accuracies_are_on_the_split_of_the_training(tmp_path: Path) -> None:
    default, other = load_dataset("digits"), load_dataset("digits", split_seed=1)
    small = {"cells": 1, "filters": 4}
    shape = ImageShape(1, 8, 8, 10)
    made = tiny_model(architecture_of("nasbench201", 2), shape, seed=2, **small)  # of two answers
    settings = TrainingSettings(replace(default_settings(made.architecture), **small))
    result = FinalResult(
        made.network,
        made.architecture,
        *(settings, 1, 1, 1.0, 0.5),
        statistics=(np.array([100.0]), np.array([80.0])),
    )
    model = model_of(result, other)
    assert isinstance(model, Model)
    assert model.facts.data["split_seed"] == 1

    def accuracy(dataset: Dataset) -> float:
        chosen = dataset.images[dataset.validation]
        found = model.predict(torch.from_numpy(chosen).permute(0, 3, 1, 2)).classes
        return float(np.mean(dataset.labels[dataset.validation] == np.array(found, dtype=int)))

    save_model(model, tmp_path)
    arguments = ["export", str(tmp_path), "--format", "int8", "--out", str(tmp_path), "--json"]
    (record,) = json.loads(nas_gym(*arguments).stdout)
    assert record["accuracy"] == pytest.approx(accuracy(other))
    assert accuracy(other) != accuracy(default)
