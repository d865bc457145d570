"""What a stranger's folder holds, as links, has no other file written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.run_folder import RunFolder
from nas_gym.outside.files import PART, open_appending, replacing


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    file = tmp_path / "outside"
    file.write_text("mine")
    return file


def test_a_file_is_replaced_as_one(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    file.write_text("old")
    with replacing(file) as part:
        part.write_text("new")
        assert (part.suffix, part.parent, file.read_text()) == (".json", tmp_path, "old")
    with suppress(KeyError), replacing(file) as part:
        part.write_text("half")
        raise KeyError
    assert file.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.json"]


def test_a_link_is_replaced_and_not_followed(outside: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(outside)
    with replacing(link) as part:
        part.write_text("new")
    assert (outside.read_text(), link.read_text(), link.is_symlink()) == ("mine", "new", False)


@pytest.mark.parametrize("how", ["symlink", "link", "pipe", "folder"])
def test_nothing_is_appended_to_what_is_no_file_of_its_own(
    how: str, outside: Path, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    if how == "symlink":
        file.symlink_to(outside)
    elif how == "link":
        os.link(outside, file)
    elif how == "pipe":
        os.mkfifo(file)
    else:
        file.mkdir()
    with pytest.raises(OSError, match="file"):
        open_appending(file)
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["lock", "episodes.jsonl", "curves.jsonl", "checkpoint", "tensorboard/x", "part-a.json"]
)
@pytest.mark.parametrize("resume", [False, True])
def test_a_run_folder_with_a_link_is_refused(
    name: str, resume: bool, outside: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    (run / name).parent.mkdir(parents=True)
    (run / name).symlink_to(outside)
    before = sorted(run.rglob("*"))
    with pytest.raises(InvalidRunFolder):
        RunFolder(run, resume=resume)
    assert outside.read_text() == "mine"
    assert sorted(run.rglob("*")) == before


def test_what_a_dead_process_left_is_removed(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    (folder.path / f"{PART}x.json").write_text("half")
    folder.start()
    folder.close()
    assert not list(folder.path.glob(f"{PART}*"))
