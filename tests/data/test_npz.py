"""Bad files: each is one error of one line, without a hang and without the memory it asks for."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_gym.data.dataset import InvalidDataset
from nas_gym.data.loading import load_dataset
from nas_gym.tables.columns import InvalidTable, read_arrays

DATA = bytes(12)


def npy(shape: str = "(12,)", descr: str = "'|u1'", data: bytes = DATA, version: int = 1) -> bytes:
    """An array whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    length = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


def archive(path: Path, *members: bytes, method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as file:
        for number, member in enumerate(members):
            file.writestr(["x_train.npy", "y_train.npy"][number], member)


def writes(*members: bytes, method: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    return lambda path: archive(path, *members, method=method)


def encrypted(path: Path) -> None:
    archive(path, npy())
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def of_unknown_compression(path: Path) -> None:
    archive(path, npy())
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 10] = 99
    path.write_bytes(content)


def twice(path: Path) -> None:
    archive(path, npy(), npy())
    path.write_bytes(path.read_bytes().replace(b"y_train", b"x_train"))


def bomb(path: Path) -> None:
    archive(path, npy())
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = struct.pack("<I", 2**32 - 2)
    path.write_bytes(content)


def text_array(path: Path) -> None:
    file = io.BytesIO()
    np.save(file, np.array(["a"], dtype=object), allow_pickle=True)
    archive(path, file.getvalue())


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (encrypted, "encrypted"),
        (of_unknown_compression, "compressed by method 99"),
        (writes(npy(), method=zipfile.ZIP_LZMA), "compressed by method 14"),
        (twice, "'x_train' twice"),
        (bomb, "claim to hold 4,294,967,294 bytes"),
        (text_array, "a pickle, which could run code"),
        (writes(npy("(10_000_000_000_000,)")), "claims to be uint8 of shape"),
        (writes(npy("(-12,)")), "claims to be"),
        (writes(npy("(" + "1," * 60 + "12)")), "claims to be"),
        (writes(npy("(10**12,)")), "cannot be read"),
        (writes(npy("(12,)", "'<U0'")), "expected numbers or texts"),
        (writes(npy("(12,)", "[('a', '|u1')]")), "expected numbers or texts"),
        (writes(npy("(" * 3000)), "cannot be read"),
        (writes(npy("(" + "9" * 5000 + ",)")), "cannot be read"),
        (writes(npy(version=3)), "has version"),
        (writes(b"garbage"), "cannot be read"),
        (writes(b""), "cannot be read"),
        (os.mkfifo, "not a regular file"),
        (os.mkdir, "not a regular file"),
        (lambda path: path.symlink_to("/dev/zero"), "not a regular file"),
        (lambda path: None, "No such file"),
    ],
)
def test_a_bad_npz_is_one_line_for_data_sets_and_for_tables(
    write: Callable[[Path], None], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "images.npz"
    write(path)
    with pytest.raises(InvalidDataset, match=f"^dataset: .*{message}") as error:
        load_dataset(str(path))
    with pytest.raises(InvalidTable, match=f"^table: .*{message}"):
        read_arrays(path, ["x_train"])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 5000 + ".npz", "a\0b", "a\0.npz", "~a/b", ""])
def test_a_name_that_no_file_can_have_is_one_line(name: str) -> None:
    with pytest.raises(InvalidDataset) as error:
        load_dataset(name)
    assert len(str(error.value)) < 1_000


def test_labels_beyond_all_bounds_are_refused(tmp_path: Path) -> None:
    path, labels = tmp_path / "images.npz", np.arange(8).astype(np.uint64)
    labels[3] = 2**63 + 1
    np.savez(path, x_train=np.zeros((8, 2, 2), np.uint8), y_train=labels)
    with pytest.raises(InvalidDataset, match="labels start at 0, got 9223372036854775809"):
        load_dataset(str(path))


def huge(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path, "PNG")


def postscript(path: Path) -> None:
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n")


@pytest.mark.parametrize(
    "write", [huge, postscript, os.mkfifo, lambda path: path.write_bytes(b"\0" * 99)]
)
def test_a_bad_image_is_named(write: Callable[[Path], None], tmp_path: Path) -> None:
    (tmp_path / "cat").mkdir()
    path = tmp_path / "cat" / "0.png"
    write(path)
    with pytest.raises(InvalidDataset, match=r"0\.png cannot be read"):
        load_dataset(str(tmp_path))


def test_images_that_need_all_memory_are_refused() -> None:
    with pytest.raises(InvalidDataset, match="1,797 images of 60,000 pixels need 6,469,"):
        load_dataset("digits", 60_000)
