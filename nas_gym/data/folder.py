"""Folders of images by class: which files are of which class, and of which part."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nas_gym.data.cache import available_memory, cache_folder, decoded_images
from nas_gym.data.dataset import Images, InvalidDataset, Labels, Source
from nas_gym.data.decoding import SUFFIXES
from nas_gym.data.files import VALIDATION_NAMES, part_names, part_sizes


@dataclass(frozen=True)
class Listing:
    """Image files and their labels: of training, then of validation, then of test."""

    paths: list[Path]
    labels: Labels
    """(n,) int64, from 0 on."""
    classes: tuple[str, ...]
    validation_images: int
    """Number of images of its own validation split; 0 for none."""
    test_images: int
    """Number of images of its own test split; 0 for none."""
    skipped: Counter[str]
    """Files that are no images, by kind."""

    def read(self, image_size: int) -> Source:
        """Decode the images, or take them from the cache; see `decoded_images`."""
        skipped = self.skipped.copy()
        images = decoded_images(self.paths, image_size, skipped)
        chosen = {"size": f"{image_size}x{image_size}", "memory": _where(images)}
        unread = tuple(f"{number} {kind}" for kind, number in sorted(skipped.items()) if number)
        own = (self.validation_images, self.test_images)
        return Source(images, self.labels, self.classes, *own, skipped=unread, chosen=chosen)


def _where(images: Images) -> str:
    """Return where decoded images are, and why."""
    size, free = f"{images.nbytes / 1e6:,.1f} MB", available_memory()
    if not isinstance(images, np.memmap):
        return f"{size} in memory, since the cache in {cache_folder()} has no room"
    if images.nbytes <= free / 2:
        return f"{size}, mapped from the cache in {cache_folder()}"
    return (
        f"{size}, of {free / 1e6:,.0f} MB that are free: batches are read from the cache in "
        f"{cache_folder()}"
    )


def list_folder(folder: Path) -> Listing:
    """List a folder with one sub-folder a class, or with ``train``, ``val`` and ``test`` of them.

    A folder that holds nothing but one folder of classes stands for that one, as archives unpack.

    Raises:
        InvalidDataset: it is no such folder, or its parts have other classes than each other.
    """
    skipped: Counter[str] = Counter()
    try:
        folder = _unwrapped(folder)
        folders = _folders(folder)
        of_name = {entry.name.lower(): entry for entry in folders}
        has_parts = bool({"train", "test", *VALIDATION_NAMES} & of_name.keys())
        if has_parts and len(of_name) < len(folders):
            raise OSError("names of its sub-folders differ in nothing but case")
        parts = part_names(of_name, f"the folder {folder}") if has_parts else [""]
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
    paths = [path for listing in listings for paths in listing.values() for path in paths]
    labels = [np.repeat(np.arange(len(classes), dtype=np.int64), count) for count in counts]
    own = part_sizes(parts, [sum(count) for count in counts])
    return Listing(paths, np.concatenate(labels), classes, *own, skipped)


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
