"""What a stranger's folder holds, as links, has no other file written."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.run_folder import RunFolder
from nas_gym.outside import files
from nas_gym.outside.files import PART, open_appending, replacing, replacing_folder


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


@pytest.mark.parametrize("linked", [False, True])
def test_a_folder_is_replaced_as_one(linked: bool, tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    elsewhere.mkdir()
    if linked:
        folder.symlink_to(elsewhere)
    else:
        folder.mkdir()
    for text in ("new", "newer"):
        with replacing_folder(folder) as part:
            (part / "weights").write_text(text)
        assert ((folder / "weights").read_text(), folder.is_symlink()) == (text, False)
    with suppress(KeyError), replacing_folder(folder) as part:
        raise KeyError
    assert (folder / "weights").read_text() == "newer"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "model"]
    assert os.listdir(elsewhere) == []


def test_a_folder_that_cannot_be_moved_leaves_the_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    with replacing_folder(folder) as part:
        (part / "weights").write_text("old")
    replace = Path.replace

    def failing(self: Path, target: Path) -> Path:
        if target == folder and (self / "weights").read_text() == "new":
            raise OSError("no space left")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(OSError, match="no space"), replacing_folder(folder) as part:
        (part / "weights").write_text("new")
    assert (folder / "weights").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_a_file_that_becomes_a_link_while_it_is_opened_is_refused(
    outside: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "refuse_links", lambda path: None)
    (tmp_path / "other").hardlink_to(outside)
    with pytest.raises(OSError, match="has another name elsewhere"):
        open_appending(outside)


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
