"""The size to which image files are scaled."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from nas_agents.auto import rules
from nas_gym.data.decoding import FORMATS
from nas_gym.data.folder import list_folder
from nas_gym.data.loading import NAMES, is_folder, path_of
from nas_gym.data.npz import open_regular
from nas_gym.data.table import list_table


def image_size_of(dataset: str) -> tuple[int | None, str]:
    """Return the size to which images are scaled, None for as they are, and why.

    Of image files, it is the largest of `rules.SIZES` that is at most the median of the shorter
    sides of 200 images.
    """
    if dataset not in NAMES and is_folder(dataset):
        files = list_folder(path_of(dataset)).paths
    elif dataset.endswith((".csv", ".tsv")):
        files = list_table(path_of(dataset)).paths
    else:
        return None, "image size: as in the data"
    chosen = np.random.default_rng(0).permutation(len(files))[:200]
    sides = [side for side in (_shorter_side(files[place]) for place in chosen) if side]
    middle = int(median(sides)) if sides else rules.SIZES[0]
    size = max((each for each in rules.SIZES if each <= middle), default=rules.SIZES[0])
    return size, f"image size: {size} pixels; half of the images have a shorter side of {middle}"


def _shorter_side(path: Path) -> int | None:
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            return min(image.size)
    except Exception:  # a broken image can raise anything; the reading of the data names it
        return None
