"""CSVs of paths and labels: what is read, and what is refused by its line."""

from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from nas_gym.data.dataset import InvalidDataset
from nas_gym.data.loading import load_dataset
from nas_gym.data.table import list_table

COLORS = {"cat": (200, 0), "dog": (0, 200)}
"""Red and green of each class; blue differs from image to image."""


def listed(folder: Path, header: str, line: str, number: int = 10) -> Path:
    """Write images of one colour a class, and the CSV of them: ``line`` is formatted for each."""
    (folder / "images").mkdir()
    lines = [header]
    for place in range(number):
        label = list(COLORS)[place % 2]
        path = f"images/{place}.png"
        Image.new("RGB", (9, 5 + place), (*COLORS[label], place)).save(folder / path)
        split = ("train", "train", "val", "test")[place // 2 % 4]
        lines.append(line.format(path=path, label=label, split=split, number=9 + place % 2))
    file = folder / "labels.csv"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label", "{path},{label}"),
        ("id;Class;FileName", "7;{label};{path}"),
        ("\ufeffimage\tcategory", "{path}\t{label}"),
        ('"path","label"', '"{path}","{label}"'),
    ],
)
def test_columns_are_known_by_their_names(header: str, line: str, tmp_path: Path) -> None:
    dataset = load_dataset(listed(tmp_path, header, line), 4)
    assert dataset.classes == ("cat", "dog")
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [6, 2, 2]
    for image, label in zip(dataset.images, dataset.labels, strict=True):
        assert (image[..., :2] == COLORS[dataset.classes[label]]).all()


def test_a_split_of_its_own_is_kept(tmp_path: Path) -> None:
    dataset = load_dataset(listed(tmp_path, "path,label,split", "{path},{label},{split}", 16), 4)
    assert [len(part) for part in (dataset.train, dataset.validation, dataset.test)] == [8, 4, 4]
    assert dataset.chosen["split"] == "the data set's own"
    for image, label in zip(dataset.images, dataset.labels, strict=True):
        assert (image[..., :2] == COLORS[dataset.classes[label]]).all()
    names = [path.name for path in list_table(tmp_path / "labels.csv").paths]
    assert names[-4:] == ["6.png", "7.png", "14.png", "15.png"]


def test_labels_that_are_numbers_are_sorted_as_such(tmp_path: Path) -> None:
    assert list_table(listed(tmp_path, "path,label", "{path},{number}")).classes == ("9", "10")


def test_a_path_may_be_absolute(tmp_path: Path) -> None:
    file = listed(tmp_path, "path,label", f"{tmp_path}/{{path}},{{label}}")
    moved = tmp_path / "elsewhere.csv"
    file.rename(moved)
    np.testing.assert_array_equal(load_dataset(moved, 4).images.shape, (10, 4, 4, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "its columns are none"),
        ("path,label\n", "no line below its header"),
        ("path,name\na.png,b\n", "its columns are 'path', 'name'; exactly one of label, class"),
        ("path,file,label\n", "exactly one of path, file"),
        ("path,label\na.png,\n", "line 2: 'label' is empty"),
        ("path,label\na.png\n", "line 2: 'label' is empty"),
        ("path,label\na.png,cat, small\n", "line 2: it has more cells than the header; put a cell"),
        ("path,label\na.png,x\na.png,y\n", r"line 3: .*a\.png is in line 2, too"),
        ("path,label,split\na.png,x,tset\n", "line 2: split 'tset'; did you mean 'test'"),
        ('path,label\n"a.png,x\n', "unexpected end of data"),
        (b"path,label\n\xff.png,x\n", "codec can't decode .*; save it as UTF-8"),
        ("path,label\na\0.png,x\nb.png,y\n", "embedded null byte"),
        ("path,label\nnone.png,x\nother.png,y\n", r"none\.png \(No such file"),
    ],
)
def test_a_wrong_list_is_refused_by_its_line(
    content: str | bytes, message: str, tmp_path: Path
) -> None:
    file = tmp_path / "labels.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InvalidDataset, match=f"^dataset: .*{re.escape(str(tmp_path))}.*{message}"):
        load_dataset(file)


def test_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "labels.csv")
    with pytest.raises(InvalidDataset, match="not a regular file"):
        load_dataset(tmp_path / "labels.csv")
