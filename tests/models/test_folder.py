"""Model folders: what is saved is loaded, and a stranger's is refused in one line."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from nas_gym import InvalidModel, InvalidSettings
from nas_gym.models import Model, load_image_model, save_model
from nas_gym.models.training import train_model
from nas_gym.outside.files import replacing_folder
from tests.models.tiny import FAMILIES, SMALLEST, images, smallest


@pytest.fixture(scope="module")
def model() -> Model:
    return smallest("nasnet")


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    (tmp_path / "model").mkdir()
    save_model(model, tmp_path / "model")
    return tmp_path / "model"


def test_a_training_replaces_no_folder_that_holds_something(folder: Path, tmp_path: Path) -> None:
    nothing: Any = None  # it is refused before anything is trained
    for taken, says in ((folder, "a model already"), (tmp_path, r"other files \(model\)")):
        with pytest.raises(InvalidSettings, match=f"holds {says}; name another"):
            train_model(nothing, nothing, nothing, taken)
    assert (folder / "model.json").exists()


def test_the_smallest_models_are_of_all_families() -> None:
    assert SMALLEST.keys() == FAMILIES.keys() - {"compression"}  # whose models begin as others


@pytest.mark.parametrize("family", SMALLEST)
def test_every_family_is_loaded_as_it_was_saved(family: str, tmp_path: Path) -> None:
    saved, some = smallest(family), images(3)
    save_model(saved, tmp_path)
    state = torch.random.get_rng_state()
    loaded = load_image_model(tmp_path)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not loaded.training
    assert (loaded.architecture, loaded.facts) == (saved.architecture, saved.facts)
    found, expected = loaded.predict(some), saved.predict(some)
    torch.testing.assert_close(found.probabilities, expected.probabilities)
    assert found.classes == expected.classes


def test_images_are_taken_as_torchvision_gives_them(model: Model) -> None:
    some = images(3)
    classes, probabilities = model.predict(some)
    with torch.inference_mode():
        logits = model.network((some / 255 - model.mean) / model.std)
    torch.testing.assert_close(probabilities, logits.softmax(dim=1))
    assert classes == [f"class {number}" for number in logits.argmax(dim=1).tolist()]
    for same in (some / 255, (some / 255).double()):
        torch.testing.assert_close(model.predict(same).probabilities, probabilities)
    one = model.predict(some[0])
    assert one.classes == classes[:1]


def test_a_model_that_is_trained_further_predicts_as_it_will_be_used() -> None:
    model, some = smallest("nasbench201"), images(3)
    probabilities = model.predict(some).probabilities
    model.network.train()
    frozen = next(each for each in model.modules() if isinstance(each, nn.BatchNorm2d)).eval()
    torch.testing.assert_close(model.predict(some).probabilities, probabilities)
    assert (model.training, model.network.training, frozen.training) == (False, True, False)


def test_a_model_is_on_its_networks_device() -> None:
    model = smallest("nasbench201")
    moved = Model(model.network.to("meta"), model.architecture, model.facts)
    assert moved.mean.is_meta
    assert moved.std.is_meta


@pytest.mark.parametrize(
    "wrong", [torch.zeros(1, 3, 8, 8), torch.zeros(0, 3, 16, 12), torch.zeros(1, 3, 16, 12).long()]
)
def test_other_images_are_refused(wrong: torch.Tensor, model: Model) -> None:
    with pytest.raises(InvalidSettings, match=r"images: expected \(B, 3, 16, 12\), uint8 or float"):
        model.predict(wrong)


def changed(**changes: Any) -> Any:
    def change(folder: Path) -> None:
        facts = json.loads((folder / "model.json").read_text())
        (folder / "model.json").write_text(json.dumps({**facts, **changes}))

    return change


def another_weight(name: str, tensor: torch.Tensor | None) -> Any:
    def change(folder: Path) -> None:
        weights = load_file(folder / "weights.safetensors")
        weights |= {} if tensor is None else {name: tensor}
        weights = weights if tensor is not None else {n: t for n, t in weights.items() if n != name}
        save_file(weights, folder / "weights.safetensors")

    return change


def linked(name: str) -> Any:
    def change(folder: Path) -> None:
        (folder / name).rename(folder.parent / "outside")
        (folder / name).symlink_to(folder.parent / "outside")

    return change


def longer(folder: Path) -> None:
    with open(folder / "weights.safetensors", "r+b") as file:
        file.truncate(2**40)


def cut(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


BIAS = "classifier.bias"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda folder: (folder / "model.json").unlink(), "has no model.json: it is no model"),
        (lambda folder: (folder / "weights.safetensors").unlink(), "No such file"),
        (lambda folder: (folder / "architecture.json").write_text("{"), "architecture.json.*JSON"),
        (lambda folder: (folder / "model.json").write_text("[]"), "model.json.*an object with"),
        (changed(version=2), "model.json.*version.*expected a number less than or equal to 1"),
        (changed(classes=["a"]), "model.json: content: classes: one name each"),
        (changed(extra=1), "model.json: content: 'extra' is not known"),
        (changed(normalization={"mean": [0.5] * 3, "std": [0, 1, 1]}), "std.0: expected a number"),
        (changed(normalization={"mean": [0.5], "std": [1]}), "normalization: one number a chan"),
        (changed(image={"channels": 3, "height": 16, "width": 12, "classes": 2**40}), "classes"),
        (changed(network={"filters": 4, "cells": 10**9}), "model.json: network: cells"),
        (changed(network={"wings": 4}), "model.json: network: 'wings' is not known"),
        (changed(network={"filters": 5, "cells": 1}), "weights.* expected .*, got .*undamaged"),
        (another_weight(BIAS, None), f"tensors are not this architecture's: {BIAS}"),
        (another_weight("x", torch.zeros(1)), "tensors are not this architecture's: x"),
        (another_weight(BIAS, torch.zeros(5)), r"expected \[4\], got \[5\]"),
        (another_weight(BIAS, torch.zeros(4).half()), "finite numbers of torch.float32"),
        (another_weight(BIAS, torch.full((4,), torch.nan)), "finite numbers"),
        (longer, "more than the .* bytes of this architecture's weights"),
        (cut, "weights.safetensors cannot be read"),
        (linked("weights.safetensors"), "weights.safetensors is no regular file; put a copy"),
        (linked("architecture.json"), "architecture.json is no regular file"),
        (linked("model.json"), "model.json is no regular file"),
    ],
)
def test_a_damaged_folder_is_refused_in_one_line(damage: Any, says: str, folder: Path) -> None:
    damage(folder)
    with pytest.raises(InvalidModel, match=says) as raised:
        load_image_model(folder)
    assert "\n" not in str(raised.value)


def test_facts_may_be_as_long_as_a_large_vocabulary(folder: Path) -> None:
    changed(metrics={"words": "x" * 2**24})(folder)
    assert len(load_image_model(folder).facts.metrics["words"]) == 2**24


def test_a_folder_of_another_kind_names_the_remedy(folder: Path) -> None:
    (folder / "architecture.json").write_text('{"kind": "mine", "version": 1}')
    with pytest.raises(InvalidModel, match=r"'mine' is not known.*import the module"):
        load_image_model(folder)


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder"
    path.mkdir()
    (path / "old").touch()
    with suppress(KeyError), replacing_folder(path) as part:
        (part / "new").touch()
        raise KeyError
    assert (os.listdir(tmp_path), os.listdir(path)) == (["folder"], ["old"])
    with replacing_folder(path) as part:
        (part / "new").touch()
    assert (os.listdir(tmp_path), os.listdir(path)) == (["folder"], ["new"])


def test_a_link_in_place_of_a_folder_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").touch()
    (tmp_path / "folder").symlink_to(tmp_path / "outside")
    with replacing_folder(tmp_path / "folder") as part:
        (part / "new").touch()
    assert os.listdir(tmp_path / "outside") == ["mine"]
    assert os.listdir(tmp_path / "folder") == ["new"]
