"""Data sets from a user's files: an ``.npz``, or a folder of images by class."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data import npz
from nas_gym.data.dataset import Images, InvalidDataset, Labels, Source
from nas_gym.settings import LARGEST

MOST_BYTES = 2**35
"""Bytes of all images of a data set after they are scaled."""
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats of images that are read."""
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")


def channels_last(images: NDArray[Any], name: str) -> Images:
    """Return (n, height, width, channels) of what torchvision holds; SVHN and STL10 differ."""
    if images.ndim == 3:
        return np.asarray(images[..., None], dtype=np.uint8)
    moved = np.moveaxis(images, 1, -1) if name in ("svhn", "stl10") else images
    return np.ascontiguousarray(moved, dtype=np.uint8)


def read_npz(path: Path, flips: bool = True) -> Source:
    """Read images and labels from an ``.npz``; `InvalidDataset` says what is wrong with it."""
    arrays = npz.read_npz(path, "dataset", InvalidDataset)
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
    classes = arrays.get("classes", np.arange(number))
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
    for wrong in (labels.min(), labels.max()):
        if not 0 <= wrong <= LARGEST:
            raise InvalidDataset(f"dataset: {where}: labels start at 0, got {wrong}")
    return labels.astype(np.int64)


def require_room(images: int, image_size: int, channels: int) -> None:
    """Raise `InvalidDataset` for images that fit into no memory once they are scaled."""
    needed = images * image_size**2 * channels
    if needed > MOST_BYTES:
        raise InvalidDataset(
            f"image_size: {images:,} images of {image_size:,} pixels need {needed:,} bytes; "
            f"at most {MOST_BYTES:,} are taken; scale them to a smaller size"
        )


def read_folder(folder: Path, image_size: int) -> Source:
    """Read a folder with one sub-folder a class; or with ``train`` and ``test`` that hold them."""
    has_test = (folder / "train").is_dir() and (folder / "test").is_dir()
    parts = [folder / "train", folder / "test"] if has_test else [folder]
    try:
        listings = [_images_by_class(part) for part in parts]
    except OSError as error:
        raise InvalidDataset(
            f"dataset: {folder} is no folder of images with one sub-folder a class: {error}"
        ) from error
    classes = tuple(listings[0])
    if tuple(listings[-1]) != classes:
        raise InvalidDataset(
            f"dataset: {folder}: train has the classes {', '.join(classes)}, "
            f"test has {', '.join(listings[-1])}"
        )

    counts = [[len(paths) for paths in listing.values()] for listing in listings]
    require_room(sum(map(sum, counts)), image_size, 3)
    paths = [path for listing in listings for paths in listing.values() for path in paths]
    images = np.stack([_read_image(path, image_size) for path in paths])
    labels = [np.repeat(np.arange(len(classes), dtype=np.int64), count) for count in counts]
    return Source(images, np.concatenate(labels), sum(counts[0]) if has_test else None, classes)


def _images_by_class(folder: Path) -> dict[str, list[Path]]:
    """Return the images of each class in the order of their names; `OSError` if one has none."""
    listing = {
        found.name: sorted(path for path in found.rglob("*") if path.suffix.lower() in SUFFIXES)
        for found in sorted(entry for entry in folder.iterdir() if entry.is_dir())
    }
    if not listing:
        raise OSError(f"{folder} has no sub-folder")
    empty = [name for name, paths in listing.items() if not paths]
    if empty:
        raise OSError(
            f"there is no image in {', '.join(empty)}; names of images end in {', '.join(SUFFIXES)}"
        )
    return listing


def _read_image(path: Path, size: int) -> Images:
    """Return an RGB image, cropped to a square around its centre and scaled: (size, size, 3)."""
    from PIL import Image, ImageOps

    try:
        with npz.open_regular(path) as file, warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                fitted = ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BILINEAR)
    except Exception as error:  # a broken image can raise anything
        raise InvalidDataset(
            f"dataset: the image {path} cannot be read ({error}); mend or remove it"
        ) from error
    return np.asarray(fitted)
