"""`nas_gym.outside.json_text`: files and JSON from outside give a value or one short line."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nas_gym.errors import NASGymError
from nas_gym.outside.json_text import UnreadableText, read_json_file, read_json_text, read_text_file


class OwnError(NASGymError):
    """An error that a caller asks for."""


@pytest.mark.parametrize("value", [None, 1, -2.5e-300, "ä\U0001f600", [[]] * 500, {"a": {"b": 1}}])
def test_sound_json_is_read(value: object) -> None:
    assert read_json_text(json.dumps(value)) == value
    assert read_json_text(json.dumps(value).encode()) == value


def test_the_state_of_a_random_generator_is_read() -> None:
    assert read_json_text(str(2**128)) == 2**128


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Expecting value"),
        ("[" * 100_000, "nested more than 64 deep"),
        ("[" * 3000 + "]" * 3000, "nested more than 64 deep"),
        ("[" * 65 + "]" * 65, "nested more than 64 deep"),
        ('{"a":[' * 40 + "1" + "]}" * 40, "nested more than 64 deep"),
        ("1" * 5000, "an integer of 5,000 digits"),
        ("-" + "1" * 101, "an integer of 102 digits"),
        ("[NaN]", "'NaN' is not a finite number"),
        ("-Infinity", "'-Infinity' is not a finite number"),
        ("1e999", "'1e999' is not a finite number"),
        ('{"a": 1, "b": 2, "a": 3}', "the field 'a' stands twice"),
        (r'"\ud800"', "surrogates not allowed"),
        (b'"\xff"', "can't decode byte 0xff"),
        (17, "expected a text, got int"),
        (" " * 100_001, "100,001 characters; at most 100,000 are read"),
    ],
)
def test_what_is_not_json_gives_one_short_line(text: str, message: str) -> None:
    with pytest.raises(UnreadableText) as error:
        read_json_text(text, "here", limit=100_000)
    line = str(error.value)
    assert line.startswith("here: not JSON: ")
    assert message in line
    assert len(line) < 300


def test_brackets_inside_texts_do_not_count_as_depth() -> None:
    value = ['[{"' * 1000, "\\" * 3, '"']
    assert read_json_text(json.dumps(value)) == value


def test_a_caller_names_its_own_error(tmp_path: Path) -> None:
    with pytest.raises(OwnError):
        read_json_text("{", error=OwnError)
    with pytest.raises(OwnError):
        read_text_file(tmp_path, error=OwnError)


def unreadable(path: Any, limit: int = 100) -> str:
    with pytest.raises(UnreadableText) as error:
        read_text_file(path, limit)
    line = str(error.value)
    assert "cannot be read" in line
    assert len(line) < 400
    return line


def test_a_regular_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    path.write_text('"ä"', encoding="utf-8")
    assert read_text_file(path) == '"ä"'
    assert read_text_file(str(path), limit=4) == '"ä"'
    assert read_json_file(path) == "ä"


def test_what_is_no_regular_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path(os.devnull)):
        assert unreadable(path).endswith("it is not a regular file")


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    path = tmp_path / "text"
    assert unreadable(path).endswith("No such file or directory")
    path.write_bytes(b"x" * 101)
    assert unreadable(path).endswith("it has more than 100 bytes")
    path.write_bytes(b"\xff")
    assert "can't decode byte 0xff" in unreadable(path)
    assert unreadable("x" * 5000).endswith("File name too long")
    assert unreadable("x\0y").endswith("embedded null byte")


def test_a_number_is_no_path() -> None:
    assert "expected str, bytes or os.PathLike object, not int" in unreadable(2**64)
    assert "not int" in unreadable(0)


def test_a_large_limit_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "text"
    path.write_text("text", encoding="utf-8")
    assert read_text_file(path, limit=2**62) == "text"


def test_json_of_a_file_is_named_by_the_file(tmp_path: Path) -> None:
    path = tmp_path / "text.json"
    path.write_text("{", encoding="utf-8")
    with pytest.raises(UnreadableText, match=f"^{path}: not JSON: Expecting"):
        read_json_file(path)
