"""Texts: Penn Treebank's form, a file, a folder, the vocabulary, the split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from nas_gym import InvalidDataset, InvalidSettings
from nas_gym.data.text import Level, TextDataset, load_text

LINES = "the cat sat\nthe dog sat\n"


def in_folder(
    folder: Path, names: tuple[str, str, str] = ("train", "valid", "test")
) -> TextDataset:
    for name, text in zip(names, (LINES * 3, "the cat\n", "a dog\n"), strict=True):
        (folder / f"ptb.{name}.txt").write_text(text)
    return load_text(folder)


def test_words_and_ends_of_lines_are_numbered_by_their_frequency(tmp_path: Path) -> None:
    text = in_folder(tmp_path)
    assert text.vocabulary == ("<unk>", "the", "sat", "<eos>", "cat", "dog")
    assert text.train[:8].tolist() == [1, 4, 2, 3, 1, 5, 2, 3]
    assert text.validation.tolist() == [1, 4, 3]
    assert text.test.tolist() == [0, 5, 3]
    assert text.summary() == {"level": "word", "vocabulary": 6, "split": [24, 3, 3]}


def test_a_vocabulary_of_a_size_has_the_most_frequent_words(tmp_path: Path) -> None:
    in_folder(tmp_path)
    assert load_text(tmp_path, vocabulary=3).vocabulary == ("<unk>", "the", "sat")


def test_ptb_is_in_the_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    in_folder(tmp_path)
    assert load_text("ptb", vocabulary=4).train.max() == 3


def test_a_file_is_cut_at_its_lines_and_read_by_character(tmp_path: Path) -> None:
    file = tmp_path / "some.txt"
    file.write_text(LINES * 20)
    text = load_text(file, "character")
    assert len(text.train) + len(text.validation) + len(text.test) == len(LINES) * 20
    assert set(text.vocabulary) == set(LINES)
    read = "".join(text.vocabulary[number] for number in text.validation)
    assert read.endswith("sat\n")
    assert read.startswith("the")


@pytest.mark.parametrize("text", ["title\n" + "a b c d " * 50, "a b c d " * 9 + "\n" + "a b " * 90])
def test_a_file_of_long_lines_is_cut_near_the_tenths_it_should_be(
    text: str, tmp_path: Path
) -> None:
    """The last end of a line before a cut may be far away."""
    (tmp_path / "some.txt").write_text(text)
    read = load_text(tmp_path / "some.txt")
    parts = np.array([len(read.train), len(read.validation), len(read.test)])
    assert parts / parts.sum() == pytest.approx([0.8, 0.1, 0.1], abs=0.05)
    assert set(read.vocabulary) <= {*"abcd", "title", "<eos>"}  # no part of a word


def test_the_mark_of_windows_at_a_text_s_start_is_no_part_of_its_first_word(tmp_path: Path) -> None:
    (tmp_path / "some.txt").write_text(LINES * 20, encoding="utf-8-sig")
    assert set(load_text(tmp_path / "some.txt").vocabulary) == {*LINES.split(), "<eos>"}


@pytest.mark.parametrize("level", ["word", "character"])
def test_lines_may_end_as_those_of_windows_do(level: Level, tmp_path: Path) -> None:
    """A model of the one text is then one of the other."""
    file, digests = tmp_path / "text.txt", set()
    for end in (b"\n", b"\r\n", b"\r"):
        file.write_bytes((b"a b" + end) * 20)
        digests.add(load_text(file, level).digest)
    assert len(digests) == 1


def test_hidden_files_are_no_parts(tmp_path: Path) -> None:
    """Finder writes ``._train.txt`` beside ``train.txt``."""
    for part in ("train", "valid", "test"):
        (tmp_path / f"{part}.txt").write_text("a b\n")
        (tmp_path / f"._{part}.txt").write_bytes(b"\0")
    assert load_text(tmp_path).train.tolist() == [0, 1, 2]


def test_a_file_that_changed_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "own.txt"
    file.write_text("abc" * 10)
    assert load_text(file, "character").vocabulary == ("a", "b", "c")
    file.write_text("xyz" * 11)
    assert load_text(file, "character").vocabulary == ("x", "y", "z")


def test_the_default_ships_with_python() -> None:
    text = load_text(vocabulary=500)
    assert len(text.vocabulary) == 500
    assert len(text.train) > 50_000
    assert np.mean(text.train == 0) < 0.4
    assert text.digest == load_text(vocabulary=500).digest
    assert text.digest != load_text(vocabulary=400).digest


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    for unknown in ("~nobody/texts", "x" * 5000):
        with pytest.raises(InvalidDataset, match="is no text's name"):
            load_text(unknown)
    with pytest.raises(InvalidDataset, match="valid choices: 'pydoc', 'ptb'"):
        load_text("nothing")
    with pytest.raises(InvalidDataset, match=r"0 files whose names end in train\.txt"):
        load_text(tmp_path)
    with pytest.raises(InvalidDataset, match=r"missing\.txt cannot be read"):
        load_text(tmp_path / "missing.txt")
    (tmp_path / "short.txt").write_text("word")
    with pytest.raises(InvalidDataset, match="has 0 words in its validation part"):
        load_text(tmp_path / "short.txt")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InvalidDataset, match="UTF-8"):
        load_text(tmp_path / "binary.txt")
    with pytest.raises(InvalidSettings, match="level"):
        load_text("pydoc", "sentence")  # type: ignore[arg-type]
