"""Data sets from a user's files: an ``.npz``, or a folder of images by class."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.dataset import Images, InvalidDataset, Labels, Source

FOLDER_IMAGE_SIZE = 32


def channels_last(images: NDArray[Any], name: str) -> Images:
    """(n, height, width, channels) from what torchvision's classes hold: SVHN and STL10 differ."""
    if images.ndim == 3:
        return np.asarray(images[..., None], dtype=np.uint8)
    moved = np.moveaxis(images, 1, -1) if name in ("svhn", "stl10") else images
    return np.ascontiguousarray(moved, dtype=np.uint8)


def read_npz(path: Path, flips: bool = True) -> Source:
    """Read images and labels from an ``.npz``."""
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
    return Source(np.concatenate(images), joined, test_from, tuple(map(str, classes)), flips)


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


def read_folder(folder: Path, image_size: int) -> Source:
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
    return Source(images, labels, len(listings[0]) if has_test else None, tuple(classes))


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
