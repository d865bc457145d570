"""Loads a `Dataset` by name, from an ``.npz``, or from a folder. No torch here."""

from __future__ import annotations

import contextlib
import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.data.cache import digest_of_files
from nas_gym.data.dataset import SPLIT_SEED, Dataset, InvalidDataset, Source, split_of
from nas_gym.data.files import channels_last, read_npz, require_room
from nas_gym.data.folder import Listing, list_folder
from nas_gym.data.table import list_table
from nas_gym.errors import choices_hint
from nas_gym.outside.json_text import is_text, short_name
from nas_gym.settings import Seed, Size, validated

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

FILES_SIZE = 32
"""Height and width of images from files, unless another is asked for."""
NAMES = ("digits", *_TORCHVISION)
"""The data sets that are known by name."""


def data_folder() -> Path:
    """Return the folder of data sets and tables: ``NAS_GYM_DATA`` or ~/.cache/nas_gym."""
    return Path(os.environ.get("NAS_GYM_DATA") or "~/.cache/nas_gym").expanduser()


@validated
def load_dataset(
    dataset: str | Path, image_size: Size | None = None, split_seed: Seed = SPLIT_SEED
) -> Dataset:
    """Load a data set by name, from an ``.npz`` file, or from image files in folders or a list.

    A process reads a data set once, and again where its files changed.

    Args:
        dataset: One of `NAMES`; or the path of an ``.npz`` with ``x_train`` (n, height, width[,
            channels]) uint8, ``y_train`` (n,) integers from 0 on and, where it has splits of its
            own, ``x_val``, ``y_val``, ``x_test`` and ``y_test``; or of a folder with one
            sub-folder of images a class, or with ``train/`` and perhaps ``val/`` and ``test/``
            that hold such sub-folders. ``val`` may also be ``valid`` or ``validation``. Or of a
            ``.csv`` of paths and labels; see `nas_gym.data.table.list_table`. Image files are kept
            decoded in a cache; see `nas_gym.data.cache`.
        image_size: Height and width to which images are scaled; default: as they are, and 32 for
            image files.
        split_seed: Draws the parts that the data set does not have itself. Whoever has settled
            anything with a test accuracy in view takes another one for the test that counts.

    Raises:
        InvalidSettings: an argument has another type, or the size is out of its range.
        InvalidDataset: the data set is unknown, cannot be had, or is broken.
    """
    name = os.fspath(dataset)
    listing = _listing(name)  # a walk through a folder, made once
    key = (name, image_size, split_seed, _state(name, listing))
    if key not in _LOADED:
        _LOADED[key] = _load(name, image_size, split_seed, listing)
    return _LOADED[key]


_LOADED: dict[tuple[str, int | None, int, str], Dataset] = {}


def path_of(dataset: str) -> Path:
    """Return the path that a user gave; `InvalidDataset` if it is no text, which files can name."""
    if not is_text(dataset):
        raise InvalidDataset(f"dataset: {dataset!r} is no text in UTF-8; rename the file or folder")
    return Path(os.path.expanduser(dataset))  # Path.expanduser raises for an unknown user


def is_folder(dataset: str) -> bool:
    """Return True if a user gave the path of a folder."""
    return bool(dataset) and os.path.isdir(path_of(dataset))  # Path.is_dir raises for long names


def _listing(dataset: str) -> Listing | None:
    """Return the image files of a folder or a list; None for another data set."""
    if dataset in NAMES or dataset.endswith(".npz"):
        return None
    if is_folder(dataset):
        return list_folder(path_of(dataset))
    return list_table(path_of(dataset)) if dataset.endswith((".csv", ".tsv")) else None


def _state(dataset: str, listing: Listing | None) -> str:
    """Return what changes when another data set stands under a name, or its files change."""
    path = data_folder() / f"{dataset}.npz" if dataset in NAMES else path_of(dataset)
    return digest_of_files([path, *(listing.paths if listing else ())], os.path.abspath(path))


def _load(
    dataset: str, image_size: int | None, split_seed: int, listing: Listing | None
) -> Dataset:
    if dataset == "digits":
        source = _digits()
    elif dataset in _TORCHVISION:
        source = _named(dataset)
    elif dataset.endswith(".npz"):
        source = read_npz(path_of(dataset))
    elif listing is not None:
        source = _from_files(listing, image_size)
    else:
        name = short_name(dataset)
        raise InvalidDataset(
            f"dataset: {name!r} is no data set's name, no .npz or .csv file and no folder; "
            f"{choices_hint(name, NAMES)}, a path ending in .npz or .csv, or a folder of images"
        )
    if image_size is not None and source.images.shape[1:3] != (image_size, image_size):
        source = _resized(source, image_size)
    return split_of(dataset, source, split_seed)


def _from_files(listing: Listing, image_size: int | None) -> Source:
    source, why = listing.read(image_size or FILES_SIZE), "as image_size says"
    if image_size is None:
        why = "the default for image files, which is fast; image_size takes another"
    return replace(source, chosen={**source.chosen, "size": f"{source.chosen['size']}, {why}"})


def _digits() -> Source:
    """Load scikit-learn's copy of UCI's digits: 1,797 images of 8x8 in 17 grey levels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return Source(grey, labels.astype(np.int64), tuple("0123456789"), flips=False)


def _named(name: str) -> Source:
    """Load ``<name>.npz`` from the data folder, or torchvision's own files."""
    folder = data_folder()
    if (folder / f"{name}.npz").is_file():
        return read_npz(folder / f"{name}.npz", flips=_TORCHVISION[name][3])

    import torchvision.datasets

    class_name, train_part, test_part, flips = _TORCHVISION[name]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            load: Any = getattr(torchvision.datasets, class_name)
            parts = [load(str(folder), download=True, **part) for part in (train_part, test_part)]
    except (OSError, RuntimeError) as error:
        raise InvalidDataset(
            f"dataset: {name!r} is not in {folder}, and cannot be downloaded ({error}); put "
            f"{name}.npz or torchvision's files there, or point NAS_GYM_DATA to where they are"
        ) from error
    images = [channels_last(np.asarray(part.data), name) for part in parts]
    labels = [np.asarray(getattr(part, "targets", getattr(part, "labels", None))) for part in parts]
    classes = map(str, getattr(parts[0], "classes", None) or range(int(labels[0].max()) + 1))
    joined = np.concatenate(labels).astype(np.int64)
    tests = len(labels[1])
    return Source(np.concatenate(images), joined, tuple(classes), 0, tests, flips)


def _resized(source: Source, size: int) -> Source:
    """Return the same images, scaled."""
    from PIL import Image, ImageOps

    number, channels = len(source.images), source.images.shape[-1]
    require_room(number, size, channels)
    images = np.empty((number, size, size, channels), np.uint8)
    for place, channel in np.ndindex(number, channels):
        plane = Image.fromarray(source.images[place, :, :, channel])
        fitted = ImageOps.fit(plane, (size, size), Image.Resampling.BILINEAR)
        images[place, :, :, channel] = np.asarray(fitted)
    return replace(source, images=images)
