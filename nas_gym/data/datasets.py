"""Labelled images by name, from an .npz, or from a folder; with one fixed split. No torch here.

A data set is held as numpy arrays: images (n, height, width, channels) uint8, labels (n,) int64,
and the indices of its training, validation and test images. The split is stratified and depends on
the data set alone, so every search, run and process sees the same one.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.data.dataset import Dataset, InvalidDataset, Source, split_of
from nas_gym.data.files import FOLDER_IMAGE_SIZE, channels_last, read_folder, read_npz
from nas_gym.errors import choices_hint

_TORCHVISION: dict[str, tuple[str, dict[str, Any], dict[str, Any], bool]] = {
    "cifar10": ("CIFAR10", {"train": True}, {"train": False}, True),
    "cifar100": ("CIFAR100", {"train": True}, {"train": False}, True),
    "fashion-mnist": ("FashionMNIST", {"train": True}, {"train": False}, True),
    "kmnist": ("KMNIST", {"train": True}, {"train": False}, False),
    "mnist": ("MNIST", {"train": True}, {"train": False}, False),
    "stl10": ("STL10", {"split": "train"}, {"split": "test"}, True),
    "svhn": ("SVHN", {"split": "train"}, {"split": "test"}, False),
    "usps": ("USPS", {"train": True}, {"train": False}, False),
}
"""torchvision's class, its arguments for the training and the test part, and ``flips``."""


NAMES = ("digits", *_TORCHVISION)
"""The data sets that are known by name."""


def data_folder() -> Path:
    """Where data sets are looked up and downloaded to: ``NAS_GYM_DATA`` or ~/.cache/nas_gym."""
    return Path(os.environ.get("NAS_GYM_DATA") or "~/.cache/nas_gym").expanduser()


def load_dataset(dataset: str, image_size: int | None = None) -> Dataset:
    """A data set by name, from an ``.npz`` file, or from a folder of images.

    Args:
        dataset: One of `NAMES`; or the path of an ``.npz`` with ``x_train`` (n, height, width[,
            channels]) uint8, ``y_train`` (n,) integers and, if there is a test split, ``x_test``
            and ``y_test``; or of a folder with one sub-folder of images a class, or with
            ``train/`` and ``test/`` that hold such sub-folders.
        image_size: Height and width to which images are scaled; default: as they are, and 32 for
            a folder of images.

    Raises:
        InvalidDataset: it is unknown, cannot be had, or is broken.
    """
    if not isinstance(dataset, str) or not dataset:
        raise InvalidDataset(
            f"dataset: expected a name or a path, got {dataset!r}; {choices_hint('', NAMES)}"
        )
    if image_size is not None and (type(image_size) is not int or image_size < 1):
        raise InvalidDataset(f"image_size: expected an integer of at least 1, got {image_size!r}")
    return _loaded(dataset, image_size)


@cache
def _loaded(dataset: str, image_size: int | None) -> Dataset:
    path = Path(dataset).expanduser()
    if dataset == "digits":
        source = _digits()
    elif dataset in _TORCHVISION:
        source = _named(dataset)
    elif dataset.endswith(".npz"):
        source = read_npz(path)
    elif path.is_dir():
        source = read_folder(path, image_size or FOLDER_IMAGE_SIZE)
    else:
        raise InvalidDataset(
            f"dataset: {dataset!r} is no data set's name, no .npz file and no folder; "
            f"{choices_hint(dataset, NAMES)}, a path ending in .npz, or a folder of images"
        )
    if image_size is not None and source.images.shape[1:3] != (image_size, image_size):
        source = _resized(source, image_size)
    return split_of(dataset, source)


def _digits() -> Source:
    """scikit-learn's copy of UCI's handwritten digits: 1,797 images of 8x8, 17 grey levels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return Source(grey, labels.astype(np.int64), None, tuple("0123456789"), flips=False)


def _named(name: str) -> Source:
    """One of torchvision's: ``<name>.npz`` in the data folder, or torchvision's own files."""
    folder = data_folder()
    if (folder / f"{name}.npz").is_file():
        return read_npz(folder / f"{name}.npz", flips=_TORCHVISION[name][3])

    import torchvision.datasets

    class_name, train_part, test_part, flips = _TORCHVISION[name]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            load: Callable[..., Any] = getattr(torchvision.datasets, class_name)
            parts = [load(str(folder), download=True, **part) for part in (train_part, test_part)]
    except (OSError, RuntimeError) as error:
        raise InvalidDataset(
            f"dataset: {name!r} is not in {folder}, and cannot be downloaded ({error}); put "
            f"{name}.npz or torchvision's files there, or point NAS_GYM_DATA to where they are"
        ) from error
    images = [channels_last(np.asarray(part.data), name) for part in parts]
    labels = [np.asarray(getattr(part, "targets", getattr(part, "labels", None))) for part in parts]
    classes = getattr(parts[0], "classes", None) or range(int(labels[0].max()) + 1)
    return Source(
        np.concatenate(images),
        np.concatenate(labels).astype(np.int64),
        len(labels[0]),
        tuple(map(str, classes)),
        flips,
    )


def _resized(source: Source, size: int) -> Source:
    """The same images, scaled."""
    from PIL import Image, ImageOps

    images = np.empty((*source.images.shape[:1], size, size, source.images.shape[-1]), np.uint8)
    for place, channel in np.ndindex(len(images), images.shape[-1]):
        plane = Image.fromarray(source.images[place, :, :, channel])
        fitted = ImageOps.fit(plane, (size, size), Image.Resampling.BILINEAR)
        images[place, :, :, channel] = np.asarray(fitted)
    return Source(images, source.labels, source.test_from, source.classes, source.flips)
