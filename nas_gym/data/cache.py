"""Decoded images on disk: one memory-mapped ``.npy`` for each list of image files.

A folder of the cache is named by a digest of its images' paths, sizes and times of change, and of
what they are scaled to. What is damaged, or was not written here, is decoded again. Nothing is
unpickled. The least recently used folders make room for others, but for those that another process
is writing.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import PIL
from numpy.lib import format as npy

from nas_gym.data.dataset import Images, InvalidDataset
from nas_gym.data.decoding import read_images
from nas_gym.errors import NASGymError, require
from nas_gym.outside.files import PART, is_locked, lock, refuse_links_within, replacing_folder
from nas_gym.outside.json_text import read_json_file

FORM = 1
"""Version of the decoding: raised whenever it gives other pixels for the same file."""
MOST_GIGABYTES = 50.0
"""Size of the whole cache, unless ``NAS_GYM_CACHE_GB`` says another; 0 for none."""
DISK_SHARE = 0.5
"""Share of the disk's free space that the cache may take."""
PIXELS, FACTS = "images.npy", "facts.json"


def cache_folder() -> Path:
    """Return the folder of decoded images: ``NAS_GYM_CACHE`` or ~/.cache/nas_gym/images."""
    return Path(os.environ.get("NAS_GYM_CACHE") or "~/.cache/nas_gym/images").expanduser()


def available_memory() -> int:
    """Return the bytes of memory that programs can still take; 64 GiB where no system says so."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        facts = dict(line.split(":") for line in lines)
        return int(facts["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return 2**36


def decoded_images(paths: Sequence[Path], image_size: int, skipped: Counter[str]) -> Images:
    """Return image files as RGB, (n, image_size, image_size, 3) uint8.

    They are a read-only memory map of the cache where it has room for them, else in memory.
    ``skipped`` counts the files of which a part is not read.

    Raises:
        InvalidDataset: an image cannot be read, or neither cache nor memory has room for all.
        InvalidSettings: ``NAS_GYM_CACHE_GB`` is no number.
    """
    shape, most = (len(paths), image_size, image_size, 3), _most_bytes()
    folder = cache_folder() / digest_of_files(paths, FORM, PIL.__version__, shape)
    found = _read(folder, shape) if most else None
    if found is None and math.prod(shape) <= most:
        with suppress(OSError):  # a full disk, or a folder that cannot be written
            found = _written(folder, paths, shape)
        found = found or _read(folder, shape)  # another process may have written it meanwhile
    if found is None:
        return _in_memory(paths, shape, skipped)
    images, counts = found
    skipped.update(counts)
    return images


def _most_bytes() -> int:
    """Return the size that the cache may have; 0 where its disk cannot be asked."""
    given = os.environ.get("NAS_GYM_CACHE_GB") or str(MOST_GIGABYTES)
    is_number = given.replace(".", "", 1).isdecimal()
    require(is_number, f"NAS_GYM_CACHE_GB: expected a number of gigabytes, got {given[:50]!r}")
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        return min(int(float(given) * 1e9), int(DISK_SHARE * free) + sum(_sizes(folder).values()))
    except OSError:
        return 0


def digest_of_files(paths: Iterable[Path], *facts: object) -> str:
    """Return a digest of files' paths, sizes and times of change, and of facts beside them."""
    state = hashlib.blake2b(repr(facts).encode("utf-8", "surrogateescape"), digest_size=16)
    for path in paths:
        with suppress(OSError, ValueError):  # whoever decodes it says what is wrong
            status = os.stat(path)
            own = (os.path.abspath(path), status.st_size, status.st_mtime_ns)
            state.update(repr(own).encode("utf-8", "surrogateescape"))
    return state.hexdigest()


def _read(folder: Path, shape: tuple[int, ...]) -> tuple[Images, dict[str, int]] | None:
    """Return the map of the images and the counts of a folder, or None if it is not whole."""
    try:
        refuse_links_within(folder)
        facts: Any = read_json_file(folder / FACTS)
        images: Any = npy.open_memmap(folder / PIXELS, mode="r")
        counts = {str(name): int(number) for name, number in facts["skipped"].items()}
        is_whole = images.shape == shape and images.dtype == np.uint8
        if not is_whole or facts["checksum"] != _checksum(images):
            return None
        os.utime(folder)
    except (OSError, ValueError, TypeError, KeyError, AttributeError, NASGymError):
        return None
    return images, counts


def _checksum(images: Images) -> str:
    return hashlib.blake2b(np.ascontiguousarray(images).data, digest_size=16).hexdigest()


def _written(
    folder: Path, paths: Sequence[Path], shape: tuple[int, ...]
) -> tuple[Images, dict[str, int]] | None:
    """Decode the images into a folder of the cache; return what `_read` does.

    Raises:
        OSError: they cannot be written.
    """
    _make_room(folder.parent, math.prod(shape))
    skipped: Counter[str] = Counter()
    state = hashlib.blake2b(digest_size=16)
    with replacing_folder(folder) as part:
        with open(part / PIXELS, "xb") as file:
            lock(file)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            npy.write_array_header_1_0(file, header)
            with closing(read_images(paths, (shape[1], shape[2]), skipped)) as images:
                for pixels in images:
                    file.write(pixels.data)
                    state.update(pixels.data)
        facts = {"checksum": state.hexdigest(), "skipped": skipped}
        (part / FACTS).write_text(json.dumps(facts), encoding="utf-8")
    return npy.open_memmap(folder / PIXELS, mode="r"), dict(skipped)


def _make_room(cache: Path, needed: int) -> None:
    """Remove the folders that were not used for longest, until there is room for so many bytes."""
    sizes, most = _sizes(cache), _most_bytes()
    for folder in sorted(sizes, key=_last_used):
        if sum(sizes.values()) + needed <= most:
            break
        if is_locked(folder / PIXELS):
            continue
        shutil.rmtree(folder, ignore_errors=True)
        del sizes[folder]


def _last_used(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:  # another process removed it
        return 0.0


def _sizes(cache: Path) -> dict[Path, int]:
    """Return the bytes of each folder of the cache, and of those that were not completed.

    Other folders are left alone: a user may point ``NAS_GYM_CACHE`` to a folder that holds more.
    """
    sizes = {}
    for folder in cache.iterdir():
        is_named_so = re.fullmatch(r"[0-9a-f]{32}", folder.name) or folder.name.startswith(PART)
        if is_named_so and folder.is_dir() and not folder.is_symlink():
            files = {}
            with suppress(OSError):  # another process removed it, or completed it
                files = {file.name: file.lstat().st_size for file in folder.iterdir()}
            if PIXELS in files and files.keys() <= {PIXELS, FACTS}:
                sizes[folder] = sum(files.values())
    return sizes


def _in_memory(paths: Sequence[Path], shape: tuple[int, ...], skipped: Counter[str]) -> Images:
    needed, free = math.prod(shape), available_memory()
    if needed > free:
        raise InvalidDataset(
            f"image_size: {shape[0]:,} images of {shape[1]:,} pixels need {needed:,} bytes; the "
            f"memory has {free:,}, and the cache in {cache_folder()} no room; take a smaller size, "
            "a larger NAS_GYM_CACHE_GB, or a folder on a larger disk (NAS_GYM_CACHE)"
        )
    images = np.empty(shape, np.uint8)
    for place, pixels in enumerate(read_images(paths, (shape[1], shape[2]), skipped)):
        images[place] = pixels
    return images
