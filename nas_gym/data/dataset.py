"""`Dataset`: images, labels, and the fixed split. No torch here.

The split is stratified and follows from the data set and a seed, so every search sees the same one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError
from nas_gym.outside.json_text import is_text

Images: TypeAlias = NDArray[np.uint8]
Labels: TypeAlias = NDArray[np.int64]
Indices: TypeAlias = NDArray[np.int64]

TEST_SHARE = 0.2
"""Share of every class that becomes the test split, where a data set has none."""
VALIDATION_SHARE, VALIDATION_MOST = 0.25, 5000
"""Share of the training images that becomes the validation split, and the most images of it; NAS
and NASNet take 5,000."""
SPLIT_SEED = 0
"""The seed of the split, unless another is given."""
MOST_SHARED = 0.1
"""Share of a data set's own test images that may be training images, too."""


class InvalidDataset(NASGymError):
    """A data set is unknown, missing or broken; the message says why, and names the remedy."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images, labels and the fixed split, as NumPy arrays."""

    task: ClassVar[str] = "nas_gym.training.tasks.images:ImageClassification"

    name: str
    images: Images
    """(n, height, width, channels) uint8."""
    labels: Labels
    """(n,) int64, from 0 to the number of classes - 1."""
    classes: tuple[str, ...]
    """The classes' names."""
    flips: bool
    """True if an image's mirror image is of the same class, as with photographs, not digits."""
    train: Indices = field(repr=False)
    validation: Indices = field(repr=False)
    test: Indices = field(repr=False)
    skipped: tuple[str, ...] = ()
    """Files that were not read, by kind, as in "2 .gif"."""
    shared: tuple[str, ...] = ()
    """Images that stand in two of the data set's own splits, as in "2 of the 100 test images"."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """By subject, such as "split": how it was chosen, and why."""
    split_seed: int = SPLIT_SEED
    """Of the parts that it does not have itself; see `nas_gym.data.loading.load_dataset`."""

    def __getstate__(self) -> dict[str, Any]:
        """Return a plain array for a map of a file: pickle can put it where processes share it."""
        return {**vars(self), "images": np.asarray(self.images)}

    @property
    def majority(self) -> float:
        """Accuracy on the test split of always answering the most frequent training class."""
        most_frequent = np.bincount(self.labels[self.train]).argmax()
        return float(np.mean(self.labels[self.test] == most_frequent))

    def summary(self) -> dict[str, Any]:
        """Return the facts that say whether the data set was read as it was meant."""
        height, width, channels = self.images.shape[1:]
        counts = np.bincount(self.labels, minlength=len(self.classes)).tolist()
        return {
            "images": len(self.images),
            "shape": [height, width, channels],
            "split": [len(self.train), len(self.validation), len(self.test)],
            "classes": dict(zip(self.classes, counts, strict=True)),
            "skipped": list(self.skipped),
            "shared": list(self.shared),
            "chosen": {name: text for name, text in self.chosen.items() if name != "memory"},
            "majority": self.majority,
        }

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
    classes: tuple[str, ...]
    validation_images: int = 0
    """Number of images of its own validation split, which follow the training images."""
    test_images: int = 0
    """Number of images of its own test split, which are the last."""
    flips: bool = True
    skipped: tuple[str, ...] = ()
    """Files that were not read, by kind, as in "2 .gif"."""
    chosen: Mapping[str, str] = field(default_factory=dict)
    """As in `Dataset`."""

    def parts(self) -> tuple[Indices, Indices, Indices]:
        """Return the indices of the source's own training, validation and test images."""
        test_from = len(self.labels) - self.test_images
        starts = [test_from - self.validation_images, test_from]
        train, validation, test = np.split(np.arange(len(self.labels), dtype=np.int64), starts)
        return train, validation, test


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
    chosen = {**dataset.chosen, "split": "as it was asked for, of equal shares of every class"}
    return replace(dataset, train=first, validation=second, test=third, chosen=chosen)


def part_of(indices: Indices, labels: Labels, share: float) -> Indices:
    """Return a fixed part of ``indices``: a share, in (0, 1], of every class, at least one image.

    ``labels`` are those of all images of the data set.
    """
    return indices if share == 1 else _stratified(indices, labels, share)[1]


def split_of(name: str, source: Source, seed: int = SPLIT_SEED) -> Dataset:
    """Return the data set with its split: its own parts, and fixed stratified ones for the others.

    Raises:
        InvalidDataset: a class has too few training images or a name that is no text, or the test
            split is no fair test.
    """
    rest, validation, test = source.parts()
    _require_texts(name, source.classes)
    _require_every_class(name, source, rest)
    shared = _shared_images(name, source)
    if not source.test_images:
        rest, test = _stratified(rest, source.labels, TEST_SHARE, seed)
    train = rest
    if not source.validation_images:
        share = min(VALIDATION_SHARE, VALIDATION_MOST / len(rest))
        train, validation = _stratified(rest, source.labels, share, seed)
    facts = (source.images, source.labels, source.classes, source.flips)
    chosen = {**source.chosen, "split": _how_split(source, seed)}
    return Dataset(name, *facts, train, validation, test, source.skipped, shared, chosen, seed)


def _how_split(source: Source, seed: int) -> str:
    """Return where the validation and the test split are from, and why."""
    drawn = []
    if not source.test_images:
        drawn.append(f"{TEST_SHARE:.0%} of each class to test")
    if not source.validation_images:
        rest = "training images" if source.test_images else "rest"
        drawn.append(
            f"{VALIDATION_SHARE:.0%} of the {rest}, at most {VALIDATION_MOST:,}, to validate"
        )
    if not drawn:
        return "the data set's own"
    others = ["validation"] * bool(source.validation_images) + ["test"] * bool(source.test_images)
    own = f"; its {others[0]} split is its own" if others else ", since it has no split of its own"
    return f"{' and '.join(drawn)}, drawn with split_seed={seed}{own}"


def _require_texts(name: str, classes: Sequence[str]) -> None:
    """Raise `InvalidDataset` for a class that no file of a model or a run can name."""
    wrong = [each for each in classes if not is_text(each)]
    if wrong:
        raise InvalidDataset(
            f"dataset: {name!r} has the class {wrong[0]!r}, whose name is no text in UTF-8; rename "
            "it"
        )


def _require_every_class(name: str, source: Source, train: Indices) -> None:
    """Raise `InvalidDataset` unless every class has training images enough to be split."""
    counts = np.bincount(source.labels[train], minlength=len(source.classes))
    if len(counts) < 2:
        raise InvalidDataset(
            f"dataset: {name!r} has images of 1 class; a classifier needs at least two"
        )
    least = 3 - bool(source.test_images) - bool(source.validation_images)
    scarce = [source.classes[label] for label in np.flatnonzero(counts < least)]
    if scarce:
        raise InvalidDataset(
            f"dataset: {name!r} has fewer than {least} training images of the class "
            f"{', '.join(map(repr, scarce))}; the split needs {least} of each (without names of "
            "classes, labels are numbered from 0 without a gap)"
        )


def _shared_images(name: str, source: Source) -> tuple[str, ...]:
    """Return how many images of the source's own parts stand in two of them, if any do.

    Raises:
        InvalidDataset: they are many.
    """
    known: dict[str, set[bytes]] = {}
    found: list[str] = []
    for part, indices in zip(("training", "validation", "test"), source.parts(), strict=True):
        if len(indices) == len(source.labels):
            return ()  # there is one part only
        own = [hashlib.blake2b(source.images[place], digest_size=16).digest() for place in indices]
        for other, images in known.items():
            shared = sum(image in images for image in own)
            says = f"{shared} of the {len(own)} {part} images are {other} images, too"
            if shared > MOST_SHARED * len(own):
                raise InvalidDataset(
                    f"dataset: {name!r}: {says}, so an accuracy on them says nothing; take them "
                    "out of one part"
                )
            found += [says] if shared else []
        known[part] = set(own)
    return tuple(found)


def _stratified(
    indices: Indices, labels: Labels, share: float, seed: int = SPLIT_SEED
) -> tuple[Indices, Indices]:
    """Return two parts of ``indices``; the second has ``share`` of every class, at least one."""
    rng = np.random.default_rng(seed)
    first, second = [], []
    for label in np.unique(labels[indices]):
        members = rng.permutation(indices[labels[indices] == label])
        taken = max(1, round(len(members) * share))
        second.append(members[:taken])
        first.append(members[taken:])
    return np.sort(np.concatenate(first)), np.sort(np.concatenate(second))
