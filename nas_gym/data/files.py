"""Data sets from a user's files: an ``.npz``, or a folder of images by class."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.data import npz
from nas_gym.data.dataset import Images, InvalidDataset, Labels, Source
from nas_gym.settings import LARGEST

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_BYTES = 2**35
"""Bytes of all images of a data set after they are scaled."""
FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats of images that are read."""
VALIDATION_NAMES = ("val", "valid", "validation")
"""The names that a data set's own validation split may have."""
MOST_GREY = 2**16 - 1
"""The white of an image of 16 bits."""
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
    parts = _parts(sorted(name[2:] for name in arrays if name[:2] in ("x_", "y_")), str(path))
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
    counts = _counts(parts, [len(part) for part in labels])
    return Source(np.concatenate(images), joined, tuple(map(str, classes)), *counts, flips=flips)


def _parts(names: Collection[str], where: str) -> list[str]:
    """Return the names of a data set's parts: "train", then those of validation and test.

    Raises:
        InvalidDataset: there is no "train", a part has two names, or another name is among them.
    """
    validation = [name for name in VALIDATION_NAMES if name in names]
    parts = ["train", *validation, *(["test"] if "test" in names else [])]
    if "train" not in names or len(validation) > 1 or set(names) - set(parts):
        raise InvalidDataset(
            f"dataset: {where} has the parts {', '.join(sorted(set(names))) or 'none'}; expected "
            f"train, and perhaps test and one of {', '.join(VALIDATION_NAMES)}, and nothing else"
        )
    return parts


def _counts(parts: Sequence[str], images: Sequence[int]) -> tuple[int, int]:
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
    """Read a folder with one sub-folder a class, or with ``train``, ``val`` and ``test`` of them.

    Transparent pixels are shown on white, and an image is turned as its EXIF orientation says. A
    folder that holds nothing but one folder of classes stands for that one, as archives unpack.
    """
    skipped: Counter[str] = Counter()
    try:
        folder = _unwrapped(folder)
        folders = _folders(folder)
        of_name = {entry.name.lower(): entry for entry in folders}
        has_parts = bool({"train", "test", *VALIDATION_NAMES} & of_name.keys())
        if has_parts and len(of_name) < len(folders):
            raise OSError("names of its sub-folders differ in nothing but case")
        parts = _parts(of_name, f"the folder {folder}") if has_parts else [""]
        listings = [_images_by_class(of_name.get(part, folder), skipped) for part in parts]
    except OSError as error:
        raise InvalidDataset(
            f"dataset: {folder} is no folder of images with one sub-folder a class: {error}"
        ) from error
    classes = tuple(listings[0])
    for part, listing in zip(parts, listings, strict=True):
        if tuple(listing) != classes:
            raise InvalidDataset(
                f"dataset: {folder}: train has the classes {', '.join(classes)}, "
                f"{part} has {', '.join(listing)}"
            )

    counts = [[len(paths) for paths in listing.values()] for listing in listings]
    require_room(sum(map(sum, counts)), image_size, 3)
    paths = [path for listing in listings for paths in listing.values() for path in paths]
    size = (image_size, image_size)
    images = np.stack([read_image(path, size, skipped=skipped) for path in paths])
    labels = [np.repeat(np.arange(len(classes), dtype=np.int64), count) for count in counts]
    own = _counts(parts, [sum(count) for count in counts])
    unread = tuple(f"{number} {suffix}" for suffix, number in sorted(skipped.items()) if number)
    return Source(images, np.concatenate(labels), classes, *own, skipped=unread)


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    """Return True for files and folders that a system or an editor made beside the images."""
    return name.startswith(".") or name == "__MACOSX"


def _unwrapped(folder: Path) -> Path:
    """Return the folder of the classes, or of the parts, in a folder that holds nothing else."""
    inner = _folders(folder)
    is_part = bool(inner) and inner[0].name.lower() in ("train", "test", *VALIDATION_NAMES)
    if len(inner) != 1 or is_part or len(_folders(inner[0])) < 2:
        return folder
    images = (entry for entry in inner[0].iterdir() if entry.suffix.lower() in SUFFIXES)
    return folder if any(images) else _unwrapped(inner[0])


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder, at any depth, in the order of their names."""
    files = _files_within(folder, Counter())
    return sorted(path for path in files if path.suffix.lower() in SUFFIXES)


def _images_by_class(folder: Path, skipped: Counter[str]) -> dict[str, list[Path]]:
    """Return the images of each class in the order of their names, and count other files.

    Images that lie beside the classes' folders are of no class, and count as other files. Hidden
    files and folders count as such. Links to folders are not followed inside a class.

    Raises:
        OSError: a class has no image, or is a link to a folder that holds another class.
    """
    classes = _folders(folder)
    if not classes:
        raise OSError(f"{folder} has no sub-folder")
    _require_apart(classes)
    loose = [entry.suffix.lower() for entry in folder.iterdir() if not entry.is_dir()]
    skipped.update(f"{suffix} beside the classes" for suffix in loose if suffix in SUFFIXES)
    listing: dict[str, list[Path]] = {}
    for found in classes:
        files = list(_files_within(found, skipped))
        listing[found.name] = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
        others = (path for path in files if path.suffix.lower() not in SUFFIXES)
        skipped.update(path.suffix.lower() or path.name for path in others)
    empty = [name for name, paths in listing.items() if not paths]
    if empty:
        raise OSError(
            f"there is no image in {', '.join(empty)}; names of images end in {', '.join(SUFFIXES)}"
        )
    return listing


def _files_within(folder: Path, skipped: Counter[str]) -> Iterator[Path]:
    """Yield the files at any depth, and count those that are hidden."""
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _hidden(name)]
        shown = [name for name in files if not _hidden(name)]
        skipped.update({"hidden": len(files) - len(shown)})
        yield from (Path(root, name) for name in shown)


def _require_apart(classes: Sequence[Path]) -> None:
    """Raise `OSError` if the folder of one class is, or holds, that of another one."""
    of_real: dict[Path, str] = {}
    for found in classes:
        other = of_real.setdefault(found.resolve(), found.name)
        if other != found.name:
            raise OSError(f"{found.name} holds the images of {other}, too; remove the link")
    for real, name in of_real.items():
        holder = next((of_real[parent] for parent in real.parents if parent in of_real), None)
        if holder is not None:
            raise OSError(f"{holder} holds the images of {name}, too; remove the link")


def read_image(
    path: Path, size: tuple[int, int], channels: int = 3, skipped: Counter[str] | None = None
) -> Images:
    """Return an image, cropped around its centre and scaled: (height, width, channels) uint8.

    Of an animation, it is the first frame.

    Args:
        path: A regular file in one of `FORMATS`.
        size: Height and width; the crop is the largest part of the image in their proportion.
        channels: 3 for RGB, 1 for grey.
        skipped: Counts animations, by suffix.

    Raises:
        InvalidDataset: the image cannot be read; the message names it.
    """
    from PIL import Image, ImageOps

    try:
        with npz.open_regular(path) as file, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=FORMATS) as image:
                unbounded = image.mode == "F" or (image.mode == "I" and image.format == "TIFF")
                if unbounded:
                    raise ValueError(f"mode {image.mode} has no known range; save 8 or 16 bits")
                animated = getattr(image, "n_frames", 1) > 1
                upright = _in_colors(ImageOps.exif_transpose(image))
                seen = upright if channels == 3 else upright.convert("L")
                fitted = ImageOps.fit(seen, size[::-1], Image.Resampling.BILINEAR)
    except Exception as error:  # a broken image can raise anything
        raise InvalidDataset(
            f"dataset: the image {path} cannot be read ({error}); mend or remove it"
        ) from error
    for warning in caught:
        warnings.warn(f"dataset: the image {path}: {warning.message}", stacklevel=2)
    if animated and skipped is not None:
        skipped[f"{path.suffix.lower()}: all but the first frame"] += 1
    return np.asarray(fitted).reshape(*size, channels)


def _in_colors(image: Image) -> Image:
    """Return an image as RGB, with 8 bits of each; what is transparent becomes white."""
    from PIL import Image

    if image.mode.startswith("I"):  # 16 bits
        grey = np.asarray(image).clip(0, MOST_GREY) * (255 / MOST_GREY)
        return Image.fromarray(grey.round().astype(np.uint8)).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    white = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
