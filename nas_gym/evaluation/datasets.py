"""Labelled images by name, from an .npz, or from a folder; with one fixed split. No torch here.

A data set is held as numpy arrays: images (n, height, width, channels) uint8, labels (n,) int64,
and the indices of its training, validation and test images. The split is stratified and depends on
the data set alone, so every search, run and process sees the same one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sys
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError, choices_hint

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int64]

TEST_SHARE = 0.2
"""Of a data set without a test split of its own, the share of every class that is set aside."""
VALIDATION_SHARE, VALIDATION_MOST = 0.25, 5000
"""Of the training images, what is set aside for validation; 5,000 is NAS's and NASNet's number."""
SPLIT_SEED = 0
FOLDER_IMAGE_SIZE = 32


class InvalidDataset(NASGymError):
    """A data set is unknown, missing, or broken; the message says what, and what would do."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, labels and the fixed split."""

    name: str
    images: Images
    """(n, height, width, channels) uint8."""
    labels: Labels
    """(n,) int64, from 0 to the number of classes - 1."""
    classes: tuple[str, ...]
    """The classes' names."""
    flips: bool
    """Whether an image's mirror image is of the same class, as with photographs, not digits."""
    train: Indices = field(repr=False)
    validation: Indices = field(repr=False)
    test: Indices = field(repr=False)

    @cached_property
    def digest(self) -> str:
        """A digest of everything that training sees."""
        state = hashlib.blake2b(digest_size=16)
        for array in (self.images, self.labels, self.train, self.validation, self.test):
            state.update(repr(array.shape).encode())
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


@dataclass(frozen=True)
class _Source:
    """Images and labels as they were found, before they are split."""

    images: Images
    labels: Labels
    test_from: int | None
    """The index of the first test image; None if the source has no test split of its own."""
    classes: tuple[str, ...]
    flips: bool = True


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


def resplit(dataset: Dataset, train: int, validation: int, test: int) -> Dataset:
    """The same images with smaller or larger parts, for a benchmark's record.

    More validation images tell children apart more finely; fewer training images train faster. As
    near as whole images allow, every part has every class's share; images in no part are unused.

    Args:
        dataset: The images; how they are split does not matter.
        train: How many images to train on.
        validation: How many to validate on.
        test: How many to test on.

    Raises:
        InvalidDataset: a part would be empty, or there are not so many images.
    """
    images, parts = len(dataset.labels), (train, validation, test)
    if min(parts) < 1 or sum(parts) > images:
        raise InvalidDataset(
            f"dataset: {dataset.name!r} has {images} images; they cannot be split into {train} to "
            f"train, {validation} to validate and {test} to test on"
        )
    # Shuffled images, every class spread evenly over the order: a prefix has every class's share.
    shuffled = np.random.default_rng(SPLIT_SEED).permutation(images)
    labels = dataset.labels[shuffled]
    place = np.empty(images)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
    order = shuffled[np.argsort(place, kind="stable")].astype(np.int64)
    first, second, third, _ = (np.sort(part) for part in np.split(order, np.cumsum(parts)))
    return replace(dataset, train=first, validation=second, test=third)


def part_of(indices: Indices, labels: Labels, share: float) -> Indices:
    """A fixed part of ``indices``, with ``share`` of every class and at least one image of each.

    Args:
        indices: Which images there are, (n,).
        labels: Of all images of the data set.
        share: In (0, 1]; 1 takes all.
    """
    return indices if share == 1 else _stratified(indices, labels, share)[1]


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
        source = _npz(path)
    elif path.is_dir():
        source = _image_folder(path, image_size or FOLDER_IMAGE_SIZE)
    else:
        raise InvalidDataset(
            f"dataset: {dataset!r} is no data set's name, no .npz file and no folder; "
            f"{choices_hint(dataset, NAMES)}, a path ending in .npz, or a folder of images"
        )
    if image_size is not None and source.images.shape[1:3] != (image_size, image_size):
        source = _resized(source, image_size)
    return _split(dataset, source)


def _digits() -> _Source:
    """scikit-learn's copy of UCI's handwritten digits: 1,797 images of 8x8, 17 grey levels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    grey = np.rint(images.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    return _Source(grey, labels.astype(np.int64), None, tuple("0123456789"), flips=False)


def _named(name: str) -> _Source:
    """One of torchvision's: ``<name>.npz`` in the data folder, or torchvision's own files."""
    folder = data_folder()
    if (folder / f"{name}.npz").is_file():
        return _npz(folder / f"{name}.npz", flips=_TORCHVISION[name][3])

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
    images = [_channels_last(np.asarray(part.data), name) for part in parts]
    labels = [np.asarray(getattr(part, "targets", getattr(part, "labels", None))) for part in parts]
    classes = getattr(parts[0], "classes", None) or range(int(labels[0].max()) + 1)
    return _Source(
        np.concatenate(images),
        np.concatenate(labels).astype(np.int64),
        len(labels[0]),
        tuple(map(str, classes)),
        flips,
    )


def _channels_last(images: NDArray[Any], name: str) -> Images:
    """(n, height, width, channels) from what torchvision's classes hold: SVHN and STL10 differ."""
    if images.ndim == 3:
        return np.asarray(images[..., None], dtype=np.uint8)
    moved = np.moveaxis(images, 1, -1) if name in ("svhn", "stl10") else images
    return np.ascontiguousarray(moved, dtype=np.uint8)


def _npz(path: Path, flips: bool = True) -> _Source:
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            names = getattr(loaded, "files", [])  # a single array, of an .npy, has none
            arrays = {name: loaded[name] for name in names}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise InvalidDataset(f"dataset: {path} cannot be read: {error}") from error
    missing = [name for name in ("x_train", "y_train") if name not in arrays]
    if missing or ("x_test" in arrays) != ("y_test" in arrays):
        raise InvalidDataset(
            f"dataset: {path} has the arrays {', '.join(arrays) or 'none'}; expected x_train "
            "and y_train, and both or none of x_test and y_test"
        )
    parts = [part for part in ("train", "test") if f"x_{part}" in arrays]
    images = [_checked_images(arrays[f"x_{part}"], f"{path}: x_{part}") for part in parts]
    if len({part.shape[1:] for part in images}) > 1:
        raise InvalidDataset(f"dataset: {path}: x_train and x_test hold images of unlike shapes")
    labels = [
        _checked_labels(arrays[f"y_{part}"], len(x), f"{path}: y_{part}")
        for part, x in zip(parts, images, strict=True)
    ]
    joined = np.concatenate(labels)
    number = int(joined.max()) + 1
    if "classes" not in arrays and number > len(joined):
        raise InvalidDataset(
            f"dataset: {path}: {len(joined)} images, but labels up to {number - 1}; "
            "number the classes from 0"
        )
    classes = arrays["classes"] if "classes" in arrays else np.arange(number)
    if classes.ndim != 1 or len(classes) < number:
        raise InvalidDataset(
            f"dataset: {path}: {classes.size} classes, but labels up to {number - 1}; classes is "
            "a list of names, one for each label"
        )
    test_from = len(labels[0]) if len(parts) == 2 else None
    return _Source(np.concatenate(images), joined, test_from, tuple(map(str, classes)), flips)


def _checked_images(images: NDArray[Any], where: str) -> Images:
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape:
        raise InvalidDataset(
            f"dataset: {where}: expected uint8 images of shape (n, height, width) or "
            f"(n, height, width, channels), got {images.dtype} of shape {images.shape}"
        )
    images = images[..., None] if images.ndim == 3 else images
    if images.shape[-1] > 4:
        raise InvalidDataset(
            f"dataset: {where}: {images.shape[-1]} channels; expected the channels last, 1 to 4"
        )
    return images


def _checked_labels(labels: NDArray[Any], images: int, where: str) -> Labels:
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise InvalidDataset(
            f"dataset: {where}: expected {images} integers, got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    if labels.min() < 0:
        raise InvalidDataset(f"dataset: {where}: labels start at 0, got {labels.min()}")
    return labels.astype(np.int64)


def _image_folder(folder: Path, image_size: int) -> _Source:
    """One sub-folder a class; or ``train`` and ``test`` that hold them."""
    from torchvision.datasets import ImageFolder

    has_test = (folder / "train").is_dir() and (folder / "test").is_dir()
    parts = [folder / "train", folder / "test"] if has_test else [folder]
    try:
        listings = [ImageFolder(str(part)) for part in parts]
    except (FileNotFoundError, OSError) as error:
        raise InvalidDataset(
            f"dataset: {folder} is no folder of images with one sub-folder a class: {error}"
        ) from error
    classes = listings[0].classes
    if listings[-1].classes != classes:
        raise InvalidDataset(
            f"dataset: {folder}: train has the classes {', '.join(classes)}, "
            f"test has {', '.join(listings[-1].classes)}"
        )
    samples = [sample for listing in listings for sample in listing.samples]
    images = np.stack([_read_image(Path(path), image_size) for path, _ in samples])
    labels = np.array([label for _, label in samples], dtype=np.int64)
    return _Source(images, labels, len(listings[0]) if has_test else None, tuple(classes))


def _read_image(path: Path, size: int) -> Images:
    """An RGB image, cropped to a square around its centre and scaled: (size, size, 3)."""
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidDataset(
            f"dataset: the image {path} cannot be read ({error}); mend or remove it"
        ) from error
    return np.asarray(fitted)


def _resized(source: _Source, size: int) -> _Source:
    """The same images, scaled."""
    from PIL import Image, ImageOps

    images = np.empty((*source.images.shape[:1], size, size, source.images.shape[-1]), np.uint8)
    for place, channel in np.ndindex(len(images), images.shape[-1]):
        plane = Image.fromarray(source.images[place, :, :, channel])
        fitted = ImageOps.fit(plane, (size, size), Image.Resampling.BILINEAR)
        images[place, :, :, channel] = np.asarray(fitted)
    return _Source(images, source.labels, source.test_from, source.classes, source.flips)


def _split(name: str, source: _Source) -> Dataset:
    """The fixed stratified split: a test part where the source has none, and a validation part."""
    everything = np.arange(len(source.labels), dtype=np.int64)
    counts = np.bincount(source.labels[: source.test_from], minlength=len(source.classes))
    if np.count_nonzero(counts) < 2:
        raise InvalidDataset(
            f"dataset: {name!r} has images of {np.count_nonzero(counts)} class; "
            "a classifier needs at least two"
        )
    least = 2 if source.test_from is not None else 3
    scarce = [source.classes[label] for label in np.flatnonzero((counts > 0) & (counts < least))]
    if scarce:
        raise InvalidDataset(
            f"dataset: {name!r} has fewer than {least} images of the class "
            f"{', '.join(map(repr, scarce))}; the split needs {least} of each"
        )
    if source.test_from is None:
        rest, test = _stratified(everything, source.labels, TEST_SHARE)
    else:
        rest, test = everything[: source.test_from], everything[source.test_from :]
    share = min(VALIDATION_SHARE, VALIDATION_MOST / len(rest))
    train, validation = _stratified(rest, source.labels, share)
    return Dataset(
        name, source.images, source.labels, source.classes, source.flips, train, validation, test
    )


def _stratified(indices: Indices, labels: Labels, share: float) -> tuple[Indices, Indices]:
    """Two parts of ``indices``: the second has ``share`` of every class, and at least one image."""
    rng = np.random.default_rng(SPLIT_SEED)
    first, second = [], []
    for label in np.unique(labels[indices]):
        members = rng.permutation(indices[labels[indices] == label])
        taken = max(1, round(len(members) * share))
        second.append(members[:taken])
        first.append(members[taken:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))
