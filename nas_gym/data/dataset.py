"""`Dataset`: images, labels, and the fixed split. No torch here.

The split is stratified and follows from the data set alone, so every search sees the same one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int64]

TEST_SHARE = 0.2
"""Share of every class that becomes the test split, where a data set has none."""
VALIDATION_SHARE, VALIDATION_MOST = 0.25, 5000
"""Share of the training images that becomes the validation split, and the most images of it; NAS
and NASNet take 5,000."""
SPLIT_SEED = 0


class InvalidDataset(NASGymError):
    """A data set is unknown, missing or broken; the message says why, and names the remedy."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, labels and the fixed split, as NumPy arrays."""

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
        """Digest of everything that training sees."""
        state = hashlib.blake2b(digest_size=16)
        for array in (self.images, self.labels, self.train, self.validation, self.test):
            state.update(repr(array.shape).encode())
            state.update(np.ascontiguousarray(array).data)
        return state.hexdigest()


@dataclass(frozen=True)
class Source:
    """Images and labels before they are split."""

    images: Images
    labels: Labels
    test_from: int | None
    """Index of the first test image; None if the source has no test split."""
    classes: tuple[str, ...]
    flips: bool = True


def resplit(dataset: Dataset, train: int, validation: int, test: int) -> Dataset:
    """Return the same images with a split of other sizes, for a recorded benchmark.

    More validation images distinguish children more finely; fewer training images train faster.
    Every part has every class's share, as near as whole images allow; the other images are unused.
    The data set's own split does not matter.

    Raises:
        InvalidDataset: a part would be empty, or the data set has fewer images.
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
    """Return a fixed part of ``indices``: a share, in (0, 1], of every class, at least one image.

    ``labels`` are those of all images of the data set.
    """
    return indices if share == 1 else _stratified(indices, labels, share)[1]


def split_of(name: str, source: Source) -> Dataset:
    """Return the data set with its fixed stratified split; it needs enough images of each class."""
    everything = np.arange(len(source.labels), dtype=np.int64)
    counts = np.bincount(source.labels[: source.test_from], minlength=len(source.classes))
    if np.count_nonzero(counts) < 2:
        raise InvalidDataset(
            f"dataset: {name!r} has images of 1 class; a classifier needs at least two"
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
    facts = (source.images, source.labels, source.classes, source.flips)
    return Dataset(name, *facts, train, validation, test)


def _stratified(indices: Indices, labels: Labels, share: float) -> tuple[Indices, Indices]:
    """Return two parts of ``indices``; the second has ``share`` of every class, at least one."""
    rng = np.random.default_rng(SPLIT_SEED)
    first, second = [], []
    for label in np.unique(labels[indices]):
        members = rng.permutation(indices[labels[indices] == label])
        taken = max(1, round(len(members) * share))
        second.append(members[:taken])
        first.append(members[taken:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))
