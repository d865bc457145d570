"""``nas-gym predict``: images are read as the training reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from nas_gym import load_dataset
from nas_gym.models import Model, save_model
from nas_gym.networks import ImageShape
from tests.agents.command import nas_gym
from tests.models.tiny import architecture_of, tiny_model

ORIENTATION = 274


def made(folder: Path, shape: ImageShape) -> Model:
    model = tiny_model(architecture_of("nasbench201"), shape, cells=1, filters=4)
    folder.mkdir(parents=True)
    save_model(model, folder)
    return model


def save_images(folder: Path) -> list[Path]:
    """Two classes, two images each, of unlike sizes and modes, one of them turned by its EXIF."""
    rng = np.random.default_rng(0)
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    for name, mode, size in (("a", "RGBA", (9, 12)), ("b", "L", (20, 8))):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            bands = len(Image.new(mode, (1, 1)).getbands())
            pixels = rng.integers(0, 256, (*size, bands), dtype=np.uint8).squeeze()
            Image.fromarray(pixels, mode).save(folder / name / f"{number}.png", exif=exif)
    return sorted(folder.rglob("*.png"))


def test_images_are_read_as_those_of_the_training(tmp_path: Path) -> None:
    files = save_images(tmp_path / "images")
    dataset = load_dataset(tmp_path / "images", image_size=6)
    model = made(tmp_path / "run" / "model", ImageShape(3, 6, 6, 2))
    expected = model.predict(torch.tensor(dataset.images).permute(0, 3, 1, 2))
    for folder in (tmp_path / "run", tmp_path / "run" / "model"):
        result = nas_gym("predict", folder, tmp_path / "images", "--json", "--device", "cpu")
        records = json.loads(result.stdout)
        assert [record["file"] for record in records] == list(map(str, files))
        assert [record["class"] for record in records] == expected.classes
        shares = [record["probability"] for record in records]
        assert shares == pytest.approx(expected.probabilities.amax(dim=1).tolist(), abs=1e-5)


def test_an_image_that_cannot_be_read_hides_no_other(tmp_path: Path) -> None:
    made(tmp_path / "model", ImageShape(1, 8, 5, 3))
    for name in ("x.png", "z.png"):
        Image.new("RGB", (30, 20), "red").save(tmp_path / name)
    (tmp_path / "y.png").write_text("no image")
    names = [tmp_path / name for name in ("x.png", "y.png", "z.png")]
    result = nas_gym("predict", tmp_path / "model", *names, "--top", 2)
    assert result.exit_code == 1
    first, second = result.stdout.splitlines()
    assert first.startswith(f"{names[0]}  class ")
    assert second == first.replace("x.png", "z.png")
    assert first.count("%") == 2
    assert f"the image {names[1]} cannot be read" in result.stderr
    assert nas_gym("predict", tmp_path / "model", names[0]).exit_code == 0


@pytest.mark.parametrize(
    ("images", "says"),
    [("nowhere.png", "nowhere.png does not exist"), ("empty", "empty has no image")],
)
def test_what_holds_no_image_is_named(images: str, says: str, tmp_path: Path) -> None:
    made(tmp_path / "model", ImageShape(3, 8, 8, 2))
    (tmp_path / "empty").mkdir()
    result = nas_gym("predict", tmp_path / "model", tmp_path / images)
    assert (result.exit_code, says in result.stderr) == (2, True)
    result = nas_gym("predict", tmp_path / "empty", tmp_path / images)
    assert "it is no model folder" in result.stderr


def test_images_that_no_file_holds_are_refused(tmp_path: Path) -> None:
    model = tiny_model(architecture_of("nasbench201"), ImageShape(2, 8, 8, 2), cells=1, filters=4)
    (tmp_path / "model").mkdir()
    save_model(model, tmp_path / "model")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png")
    result = nas_gym("predict", tmp_path / "model", tmp_path / "x.png")
    assert "image files are read as grey or RGB, the model takes 2" in result.stderr
