"""Image files to pixels: one at a time, or many in parallel. No torch here."""

from __future__ import annotations

import threading
import warnings
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from nas_gym.data.dataset import Images, InvalidDataset
from nas_gym.data.npz import open_regular
from nas_gym.outside.processes import available_cpus

if TYPE_CHECKING:
    from PIL.Image import Image

FORMATS = ("BMP", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
"""Pillow's names of the formats of images that are read."""
SUFFIXES = (".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
MOST_GREY = 2**16 - 1
"""The white of an image of 16 bits."""
AHEAD = 64
"""Images that are decoded before they are asked for."""
MOST_NAMED = 10
"""Number of images that cannot be read after which the reading ends."""
_T = TypeVar("_T")
_R = TypeVar("_R")
_reading = threading.local()  # .path: the image that this thread decodes, for Pillow's warnings


class BrokenImage(InvalidDataset):
    """An image that cannot be read."""

    def __init__(self, path: Path, reason: object) -> None:
        super().__init__(f"dataset: the image {path} cannot be read ({reason}); mend or remove it")
        self.path, self.reason = path, reason


def tried_images(
    paths: Sequence[Path], size: tuple[int, int], channels: int = 3
) -> Iterator[Images | BrokenImage]:
    """Yield images, cropped around their centres and scaled: (height, width, channels) uint8.

    In place of one that cannot be read, it is the error that names it. Threads decode them. Of an
    animation, it is the first frame. A JPEG much larger than ``size`` is decoded at a smaller
    scale, of at least twice the size, as Pillow's ``thumbnail`` does.

    Args:
        paths: Regular files in one of `FORMATS`.
        size: Height and width; the crop is the largest part of the image in their proportion.
        channels: 3 for RGB, 1 for grey.
    """
    with _warnings_with_paths():
        for found in _in_threads(lambda path: _tried(path, size, channels), paths):
            yield found if isinstance(found, BrokenImage) else found[0]


def read_images(
    paths: Sequence[Path], size: tuple[int, int], skipped: Counter[str]
) -> Generator[Images, None, None]:
    """Yield images as RGB, in their order: (height, width, 3) uint8; threads decode them.

    Args:
        paths: As in `tried_images`.
        size: As in `tried_images`.
        skipped: Counts animations, by suffix.

    Raises:
        InvalidDataset: images cannot be read; the message names up to `MOST_NAMED`, after all
            others were yielded.
    """
    decoded = _in_threads(lambda path: _tried(path, size, 3), paths)
    shown = _with_progress(decoded, len(paths))
    broken: list[BrokenImage] = []
    with _warnings_with_paths():
        for path, found in zip(paths, shown, strict=True):
            if isinstance(found, BrokenImage):
                broken.append(found)
                if len(broken) == MOST_NAMED:
                    break
                continue
            pixels, is_animated = found
            if is_animated:
                skipped[f"{path.suffix.lower()}: all but the first frame"] += 1
            yield pixels
    if broken:
        raise _all_in_one(broken)


def _tried(path: Path, size: tuple[int, int], channels: int) -> tuple[Images, bool] | BrokenImage:
    try:
        return _decoded(path, size, channels)
    except BrokenImage as error:
        return error


def _all_in_one(broken: Sequence[BrokenImage]) -> InvalidDataset:
    """Return one error for several images that cannot be read."""
    if len(broken) == 1:
        return broken[0]
    number = f"{len(broken)}{' or more' if len(broken) == MOST_NAMED else ''}"
    each = "; ".join(f"{image.path} ({image.reason})" for image in broken)
    return InvalidDataset(f"dataset: {number} images cannot be read; mend or remove them: {each}")


def _in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> Iterator[_R]:
    """Yield the results in order; threads are at most `AHEAD` items ahead of the reader.

    Pillow lets other threads run while it decodes and scales.
    """
    pool = ThreadPoolExecutor(available_cpus())
    pending: deque[Future[_R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) > AHEAD:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _with_progress(images: Iterable[_T], number: int) -> Iterable[_T]:
    from tqdm import tqdm

    return tqdm(images, "reading images", number, leave=False, disable=None)


@contextmanager
def _warnings_with_paths() -> Iterator[None]:
    """Repeat warnings at the end with the path of their image; one of a bomb is an error.

    It holds for all threads: filters of warnings are the process's.
    """
    from PIL.Image import DecompressionBombWarning

    caught: list[str] = []

    def note(message: Warning | str, *_: object, **__: object) -> None:
        caught.append(f"dataset: the image {getattr(_reading, 'path', 'unknown')}: {message}")

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.simplefilter("error", DecompressionBombWarning)
        warnings.showwarning = note
        yield
    for line in caught:
        warnings.warn(line, stacklevel=4)


def _decoded(path: Path, size: tuple[int, int], channels: int) -> tuple[Images, bool]:
    """Return an image as `tried_images` does, and whether it is an animation."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    _reading.path = path
    try:
        with open_regular(path) as file, Image.open(file, formats=FORMATS) as image:
            if image.mode == "F" or (image.mode == "I" and image.format == "TIFF"):
                raise ValueError(f"mode {image.mode} has no known range; save 8 or 16 bits")
            is_animated = getattr(image, "n_frames", 1) > 1
            image.draft(None, (2 * max(size), 2 * max(size)))
            upright = _in_colors(ImageOps.exif_transpose(image))
            seen = upright if channels == 3 else upright.convert("L")
            fitted = ImageOps.fit(seen, size[::-1], Image.Resampling.BILINEAR)
    except Exception as error:  # a broken image can raise anything
        is_none = isinstance(error, UnidentifiedImageError)
        says = f"it is no {', '.join(FORMATS)} image" if is_none else error
        raise BrokenImage(path, getattr(error, "strerror", None) or says) from error
    return np.asarray(fitted).reshape(*size, channels), is_animated


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
