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
from nas_gym.outside.json_text import as_text

PARTS = ("train", "test", *VALIDATION_NAMES)
OTHER_NAMES = {"training": "train", "testing": "test"}
"""Other names of parts, which count as such where no folder beside them is a class."""


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
    doubt: str = ""
    """Says why the folders may have been meant otherwise."""

    def read(self, image_size: int) -> Source:
        """Decode the images, or take them from the cache; see `decoded_images`."""
        skipped = self.skipped.copy()
        images = decoded_images(self.paths, image_size, skipped)
        chosen = {"size": f"{image_size}x{image_size}", "memory": _where(images)}
        chosen |= {"folders": self.doubt} if self.doubt else {}
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

    A folder that holds nothing but another folder stands for that one, as archives unpack. The
    validation and the test part need not have all classes.

    Raises:
        InvalidDataset: it is no such folder, or a class has no training images.
    """
    skipped: Counter[str] = Counter()
    try:
        folder = _unwrapped(folder, skipped)
        of_part = _parts_of(folder)
        if of_part:
            _count_loose(folder, "the parts", skipped)
        rename = "; if one of these is a class, rename its folder"
        parts = part_names(of_part, f"the folder {folder}", rename) if of_part else [""]
        listings = [_images_by_class(of_part.get(part, folder), skipped) for part in parts]
        doubt = "" if of_part else _doubt(folder)
    except OSError as error:
        raise InvalidDataset(
            f"dataset: {folder} is no folder of images with one sub-folder a class: {error}"
        ) from error
    classes = tuple(listings[0])
    for part, listing in zip(parts, listings, strict=True):
        unknown = [name for name in listing if name not in classes]
        if unknown:
            raise InvalidDataset(
                f"dataset: {folder}: train has the classes {', '.join(classes)}, {part} has "
                f"{', '.join(unknown)}, too, of which there is nothing to train on"
            )
    counts = [[len(listing.get(name, ())) for name in classes] for listing in listings]
    paths = [path for listing in listings for paths in listing.values() for path in paths]
    labels = [np.repeat(np.arange(len(classes), dtype=np.int64), count) for count in counts]
    own = part_sizes(parts, [sum(count) for count in counts])
    return Listing(paths, np.concatenate(labels), classes, *own, skipped, doubt)


def _parts_of(folder: Path) -> dict[str, Path]:
    """Return the folders of the data set's own parts by their lower-case names; {} for none."""
    folders = _folders(folder)
    names = [entry.name.lower() for entry in folders]
    if all(name in (*PARTS, *OTHER_NAMES) for name in names):
        names = [OTHER_NAMES.get(name, name) for name in names]
    of_name = dict(zip(names, folders, strict=True))
    if not of_name.keys() & set(PARTS):
        return {}
    if len(of_name) < len(folders):
        raise OSError("two of its sub-folders are the same part; their names differ in case only")
    return of_name


def _doubt(folder: Path) -> str:
    """Return a line on classes that look like parts: each holds the same folders, or is empty."""
    names = {entry.name: tuple(each.name for each in _folders(entry)) for entry in _folders(folder)}
    inner = set(names.values())
    if len(names) < 2 or len(inner) > 1 or len(min(inner)) < 2:
        return ""
    return (
        f"each of the classes {', '.join(names)} holds the folders {', '.join(min(inner))}; if "
        "these are the classes, name the others train, val and test"
    )


def _folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _hidden(entry.name))


def _hidden(name: str) -> bool:
    """Return True for files and folders that a system or an editor made beside the images."""
    return name.startswith(".") or name == "__MACOSX"


def _unwrapped(folder: Path, skipped: Counter[str]) -> Path:
    """Return the folder of the classes, or of the parts, in a folder that holds no other one.

    Images beside it are counted.
    """
    inner = _folders(folder)
    is_part = bool(inner) and inner[0].name.lower() in PARTS
    if len(inner) != 1 or is_part or not _folders(inner[0]):
        return folder
    images = (entry for entry in inner[0].iterdir() if entry.suffix.lower() in SUFFIXES)
    if any(images) and not _parts_of(inner[0]):
        return folder
    _count_loose(folder, "the only folder", skipped)
    return _unwrapped(inner[0], skipped)


def _count_loose(folder: Path, beside: str, skipped: Counter[str]) -> None:
    """Count the images that lie beside folders that are read."""
    loose = [entry.suffix.lower() for entry in folder.iterdir() if not entry.is_dir()]
    skipped.update(f"{suffix} beside {beside}" for suffix in loose if suffix in SUFFIXES)


def image_files(folder: Path) -> list[Path]:
    """Return the images in a folder, at any depth, in the order of their names.

    Links to folders are followed, since classes may be such links; no folder is entered twice.
    """
    files = _files_within(folder, Counter(), follow_links=True)
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
    _count_loose(folder, "the classes", skipped)
    listing: dict[str, list[Path]] = {}
    for found in classes:
        files = list(_files_within(found, skipped))
        listing[found.name] = sorted(path for path in files if path.suffix.lower() in SUFFIXES)
        others = (path for path in files if path.suffix.lower() not in SUFFIXES)
        skipped.update(as_text(path.suffix.lower() or path.name) for path in others)
    empty = [name for name, paths in listing.items() if not paths]
    if empty:
        raise OSError(
            f"there is no image in {', '.join(empty)}; names of images end in {', '.join(SUFFIXES)}"
        )
    return listing


def _files_within(
    folder: Path, skipped: Counter[str], follow_links: bool = False
) -> Iterator[Path]:
    """Yield the files at any depth, and count those that are hidden, and links not followed."""
    entered: set[str] = set()
    for root, folders, files in os.walk(folder, followlinks=follow_links):
        real = os.path.realpath(root)
        if real in entered:
            folders.clear()
            continue
        entered.add(real)
        folders[:] = sorted(name for name in folders if not _hidden(name))
        if not follow_links:
            links = sum(os.path.islink(os.path.join(root, name)) for name in folders)
            skipped.update({"links to folders": links})
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
