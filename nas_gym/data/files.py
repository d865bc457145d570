"""Arrays of images and labels from outside: a user's ``.npz``, and torchvision's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data import npz
from nas_gym.data.dataset import Images, InvalidDataset, Labels, Source
from nas_gym.settings import LARGEST

MOST_BYTES = 2**35
"""Bytes of all images of a data set after they are scaled."""
VALIDATION_NAMES = ("val", "valid", "validation")
"""The names that a data set's own validation split may have."""


def channels_last(images: NDArray[Any], name: str) -> Images:
    """Return (n, height, width, channels) of what torchvision holds; SVHN and STL10 differ."""
    if images.ndim == 3:
        return np.asarray(images[..., None], dtype=np.uint8)
    moved = np.moveaxis(images, 1, -1) if name in ("svhn", "stl10") else images
    return np.ascontiguousarray(moved, dtype=np.uint8)


def read_npz(path: Path, flips: bool = True) -> Source:
    """Read images and labels from an ``.npz``; `InvalidDataset` says what is wrong with it."""
    arrays = npz.read_npz(path, "dataset", InvalidDataset)
    names = sorted(name[2:] for name in arrays if name[:2] in ("x_", "y_"))
    if not names:
        raise InvalidDataset(
            f"dataset: {path} has the arrays {', '.join(arrays) or 'none'}; expected x_train and "
            "y_train, and perhaps x_val, y_val, x_test and y_test"
        )
    parts = part_names(names, str(path))
    missing = [
        f"{axis}_{part}" for part in parts for axis in "xy" if f"{axis}_{part}" not in arrays
    ]
    if missing:
        raise InvalidDataset(
            f"dataset: {path} has the arrays {', '.join(arrays)}; "
            f"expected {', '.join(missing)}, too"
        )
    images = [_checked_images(arrays[f"x_{part}"], f"{path}: x_{part}") for part in parts]
    if len({part.shape[1:] for part in images}) > 1:
        named = " and ".join(f"x_{part}" for part in parts)
        raise InvalidDataset(f"dataset: {path}: {named} hold images of unlike shapes")
    labels = [
        _checked_labels(arrays[f"y_{part}"], len(x), f"{path}: y_{part}")
        for part, x in zip(parts, images, strict=True)
    ]
    joined = np.concatenate(labels)
    counts = part_sizes(parts, [len(part) for part in labels])
    classes = _class_names(arrays.get("classes"), joined, path)
    pixels = np.concatenate(images) if len(images) > 1 else images[0]
    return Source(pixels, joined, classes, *counts, flips=flips)


def part_names(names: Collection[str], where: str, remedy: str = "") -> list[str]:
    """Return the names of a data set's parts: "train", then those of validation and test.

    ``remedy`` is the end of an error's message.

    Raises:
        InvalidDataset: there is no "train", a part has two names, or another name is among them.
    """
    validation = [name for name in VALIDATION_NAMES if name in names]
    parts = ["train", *validation, *(["test"] if "test" in names else [])]
    if "train" not in names or len(validation) > 1 or set(names) - set(parts):
        raise InvalidDataset(
            f"dataset: {where} has the parts {', '.join(sorted(set(names))) or 'none'}; expected "
            f"train, and perhaps test and one of {', '.join(VALIDATION_NAMES)}, and nothing else"
            f"{remedy}"
        )
    return parts


def part_sizes(parts: Sequence[str], images: Sequence[int]) -> tuple[int, int]:
    """Return the numbers of validation and of test images; 0 where there is no such part."""
    of_part = dict(zip(parts, images, strict=True))
    return sum(of_part.get(name, 0) for name in VALIDATION_NAMES), of_part.get("test", 0)


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
    return np.ascontiguousarray(images)  # MATLAB's files, and SciPy's reader, have another order


def _checked_labels(labels: NDArray[Any], images: int, where: str) -> Labels:
    if labels.dtype.kind not in "iu" or labels.shape != (images,):
        raise InvalidDataset(
            f"dataset: {where}: expected {images} integers, got {labels.dtype} of shape "
            f"{labels.shape}"
        )
    for wrong in (labels.min(), labels.max()):
        if not 0 <= wrong <= LARGEST:
            raise InvalidDataset(f"dataset: {where}: labels start at 0, got {wrong}")
    return labels.astype(np.int64)


def _class_names(names: NDArray[Any] | None, labels: Labels, path: Path) -> tuple[str, ...]:
    """Return the names of the classes, which are their numbers where a file has none."""
    number = int(labels.max()) + 1
    if names is None:
        if number > len(labels):
            raise InvalidDataset(
                f"dataset: {path}: {len(labels)} images, but labels up to {number - 1}; "
                "number the classes from 0"
            )
        names = np.arange(number)
    if names.ndim != 1 or len(names) < number:
        raise InvalidDataset(
            f"dataset: {path}: {names.size} classes, but labels up to {number - 1}; classes is "
            "a list of names, one for each label"
        )
    try:
        texts = [each.decode() if isinstance(each, bytes) else str(each) for each in names.tolist()]
    except UnicodeDecodeError as error:
        raise InvalidDataset(f"dataset: {path}: classes: {error}; save them as texts") from error
    name, times = Counter(texts).most_common(1)[0]
    if times > 1:
        raise InvalidDataset(
            f"dataset: {path}: {times} classes have the name {name!r}; give each its own"
        )
    return tuple(texts)


def require_room(images: int, image_size: int, channels: int) -> None:
    """Raise `InvalidDataset` for images that fit into no memory once they are scaled."""
    needed = images * image_size**2 * channels
    if needed > MOST_BYTES:
        raise InvalidDataset(
            f"image_size: {images:,} images of {image_size:,} pixels need {needed:,} bytes; "
            f"at most {MOST_BYTES:,} are taken; scale them to a smaller size"
        )
