"""Ends of commands that go wrong: one line each, and an exit code."""

from __future__ import annotations

import contextlib
import io
import os
import re
import runpy
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from nas_agents.cli.main import app
from nas_agents.cli.terminal.errors import OneLineErrors, report_error
from nas_agents.cli.terminal.output import print_table, say


def result_of(function: Callable[[], object]) -> Result:
    """Return the result of a command that calls ``function``."""
    program = OneLineErrors(commands={"fails": click.Command("fails", callback=function)})
    return CliRunner().invoke(program, ["fails"])


def ends_with(error: BaseException) -> Result:
    """Return the result of a command of the package that raises ``error``."""
    program: dict[str, Any] = {"__name__": "nas_agents.cli.broken", "error": error}
    exec("def fails():\n    raise error", program)
    return result_of(program["fails"])


def test_a_warning_is_one_line() -> None:
    def warns() -> None:
        warnings.warn("the image a\x1b[1mb.png:\nan odd profile", stacklevel=1)

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        result = result_of(warns)
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "nas-gym: warning: the image a\\x1b[1mb.png: an odd profile\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["shw"], "No such command 'shw'"),
        (["store"], "Missing command"),
        (["show"], "Missing argument"),
        (["show", "NASNet-A", "--cels", "3"], "No such option"),
        (["show", "NASNet-A", "--cells", "[/red]"], "'--cells'"),
        (["search", "a", "b"], "unexpected extra argument"),
    ],
)
def test_a_mistake_in_a_command_line_is_one_line(arguments: list[str], says: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("nas-gym: error: ")
    assert says in result.stderr
    assert "--help`" in result.stderr


def test_no_command_shows_help() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 0
    assert "compare" in result.stdout


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("[/red]\nx"), RecursionError(), MemoryError(), EOFError(), OSError(2, "")],
)
def test_a_bug_is_one_line_and_a_file(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = ends_with(error)
    [file] = tmp_path.iterdir()
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (70, "", 1)
    assert result.stderr.startswith("nas-gym: a bug in nas-gym: ")
    assert type(error).__name__ in result.stderr
    assert str(file) in result.stderr
    text = file.read_text(encoding="utf-8")
    assert text.startswith("nas-gym fails\n")
    assert "Traceback (most recent call last)" in text


def test_an_error_in_code_of_one_s_own_is_no_bug_of_the_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def on_start() -> None:
        Path("/").joinpath(7)  # type: ignore[arg-type]

    result = result_of(on_start)
    [file] = tmp_path.iterdir()
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert re.match(r"nas-gym: error: test_errors\.py, line \d+, on_start: TypeErr", result.stderr)
    assert result.stderr.endswith(f"; its traceback is in {file}\n")


def test_a_module_of_one_s_own_that_is_no_python_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    module = tmp_path / "mine.py"
    module.write_text("x = 1\ndef broken(:\n")
    result = result_of(lambda: runpy.run_path(str(module)))
    assert result.exit_code == 2
    assert "error: mine.py, line 2, which is no Python: SyntaxError" in result.stderr


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@host/db",
        "postgresql://me@host/db?password=hunter2&connect_timeout=1",
        "store=postgresql+psycopg://me:hunter2@host:5432/db",
    ],
)
def test_a_bug_s_report_has_no_password(url: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path))
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors):
            report_error(ValueError(f"no answer from {url}"), ["search", "x", "--store", url])
    [file] = tmp_path.iterdir()
    text = errors.getvalue() + file.read_text(encoding="utf-8")
    assert "hunter2" not in text
    assert text.count("***") >= 3
    assert "host" in text


def test_a_bug_is_one_line_without_room_for_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/proc/nothing")
    result = ends_with(ZeroDivisionError())
    assert (result.exit_code, result.stderr.count("\n")) == (70, 1)


def test_an_interrupt_is_130() -> None:
    assert ends_with(KeyboardInterrupt()).exit_code == 130


def test_a_full_disk_is_one_line() -> None:
    result = ends_with(OSError(28, "No space left on device"))
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "cannot be written: No space left" in result.stderr


def test_a_reader_that_has_had_enough_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as output:
        monkeypatch.setattr(sys, "stdout", output)
        with pytest.raises(SystemExit) as end:
            app(["presets"])
    assert end.value.code == 1
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "output", [say, lambda text: print_table(("head",), [[text]])], ids=["say", "print_table"]
)
def test_text_from_outside_is_neither_markup_nor_codes(
    output: Callable[[str], None], capsys: pytest.CaptureFixture[str]
) -> None:
    output("[/red] :smile: \x1b[31m\udc80 é")
    assert r"[/red] :smile: \x1b[31m\udc80 é" in capsys.readouterr().out


WRONG = ("", "x", "-1", "1e999", "nan", "9" * 400, "[/red]", "\udc80", "x" * 300)
"""Values that some option or other does not take."""
Typed = tuple[tuple[str, ...], click.Command]
ENDS = ("-h", "--help", "--version")
"""Options after which nothing else is read."""


def commands_of(group: click.Group, words: tuple[str, ...] = ()) -> Iterator[Typed]:
    """Yield a group and each command in it, with the words that name it."""
    yield words, group
    context = click.Context(group)
    for each in group.list_commands(context):
        _, command, _ = group.resolve_command(context, [each])
        if isinstance(command, click.Group):
            yield from commands_of(command, (*words, each))
        elif command is not None:
            yield (*words, each), command


def test_help_says_of_each_command_what_its_own_help_says() -> None:
    for words, command in commands_of(app):
        if len(words) == 1:
            listed = app.commands[words[0]].get_short_help_str(200)
            assert listed == command.get_short_help_str(200).rstrip(".") + "."


def mistakes(command: click.Command) -> Iterator[list[str]]:
    """Yield what can be typed after a command: each option with each wrong value, and others."""
    yield from ([], ["--nothing"], ["--nothing=1"], ["-z"], ["--"], ["--="], ["x"] * 20)
    for option in (o for each in command.params for o in (*each.opts, *each.secondary_opts)):
        if option.startswith("-") and option not in ENDS:
            yield from ([option], [f"{option}x"], [f"{option}="], [option, option])
            yield from ([option, value] for value in WRONG)
            yield from (["a", "b", "c", f"{option}={value}"] for value in WRONG)


def test_whatever_is_typed_a_mistake_is_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = set()
    for words, command in commands_of(app):
        if not isinstance(command, click.Group):
            monkeypatch.setattr(command, "callback", lambda **_: None)
        for typed in mistakes(command):
            with pytest.raises(SystemExit) as end:
                app.main([*words, *typed])
            output, errors = capsys.readouterr()
            if not end.value.code:
                continue
            assert (end.value.code, output, errors.count("\n")) == (2, "", 1), (words, typed)
            assert errors.startswith("nas-gym: error: "), errors
            seen.add(errors)
    assert len(seen) > 300
