"""Test images that the final model is wrong about, and surest of."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from nas_agents.runs.reading import NUMBER, WORST_IMAGES, broken, read_json, wrong_with
from nas_gym.data.dataset import Dataset
from nas_gym.models.folder import model_of
from nas_gym.models.model import Model
from nas_gym.training.final import FinalResult

SHOWN, JUDGED, SIDE = 12, 2_000, 96
"""Number of images shown, number of test images judged at most, and pixels of a side shown."""
NEEDED = {"class": (str,), "predicted": (str,), "probability": NUMBER, "png": (str,)}


def worst_images(final: FinalResult, dataset: Dataset) -> list[dict[str, Any]]:
    """Return the images of wrong answers that the model gives the highest probability."""
    model = model_of(final, dataset)
    assert isinstance(model, Model)
    if not len(dataset.test):
        return []
    last = len(dataset.test) - 1  # of images that may be in the order of their classes
    test = dataset.test[np.linspace(0, last, min(JUDGED, last + 1)).round().astype(np.int64)]
    images = torch.from_numpy(np.ascontiguousarray(dataset.images[test])).permute(0, 3, 1, 2)
    probabilities = model.predict(images).probabilities
    surest, answers = (each.numpy() for each in probabilities.max(dim=1))
    wrong = np.flatnonzero(answers != dataset.labels[test])
    ranked = wrong[np.argsort(-surest[wrong], kind="stable")][:SHOWN]
    return [
        {
            "class": dataset.classes[dataset.labels[test[index]]],
            "predicted": dataset.classes[answers[index]],
            "probability": float(surest[index]),
            "png": png_of(dataset.images[test[index]]),
        }
        for index in ranked.tolist()
    ]


def png_of(pixels: Any) -> str:
    """Return an image, (H, W, C) uint8, as the text of a small PNG in base 64."""
    picture = Image.fromarray(np.asarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels))
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def read_worst_images(run: Path) -> list[dict[str, Any]]:
    """Return the images that a run's folder holds.

    Raises:
        InvalidRunFolder: the file is broken.
    """
    found = read_json(run / WORST_IMAGES)
    if found is None:
        return []
    for each in found if isinstance(found, list) else [found]:
        wrong = wrong_with(each, NEEDED)
        if wrong:
            raise broken(run / WORST_IMAGES, wrong)
    return list(found)
