"""How a command ends that goes wrong: one line on standard error, and an exit code."""

from __future__ import annotations

import os
import re
import shlex
import sys
import sysconfig
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from contextlib import suppress
from errno import EDQUOT, EFBIG, EIO, ENAMETOOLONG, ENOSPC, EPIPE
from typing import Any, NoReturn

import click

from nas_agents.cli.terminal.output import (
    EXIT_BUG,
    EXIT_INTERRUPTED,
    EXIT_PIPE,
    EXIT_WRONG,
    complain,
    one_line,
)

SECRET = re.compile(r"(?:(?<=:)(?!//)[^:@/]+(?=@)|(?<=password=)[^&]+)")
"""A password in a URL, in its place or among its options."""
FULL = (ENOSPC, EDQUOT, EFBIG, EIO)
"""What an output that takes no more fails with."""


class OneLineErrors(click.Group):
    """Commands whose mistakes end in one line: a user's with exit code 2, a bug with 70."""

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        words = list(sys.argv[1:] if args is None else args) or ["--help"]
        warnings.showwarning = _warn
        try:
            code = super().main(words, "nas-gym", standalone_mode=False)
            sys.stdout.flush()
        except (KeyboardInterrupt, click.Abort):
            code = EXIT_INTERRUPTED
        except click.ClickException as error:
            code = _wrong(_usage(error))
        except Exception as error:
            code = _failed(error, words)
        sys.exit(code)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except EOFError as error:  # click would take it for the end of the keyboard's input
            raise RuntimeError(f"EOFError: {error}") from error


def _warn(message: Warning | str, *_: object, **__: object) -> None:
    """Print a warning, which may name a stranger's file, on one line."""
    from nas_agents.cli.terminal.progress import note

    note(f"nas-gym: warning: {one_line(message)}")


def _failed(error: Exception, words: Sequence[str]) -> int:
    """Print what went wrong; return the exit code."""
    from nas_gym.errors import NASGymError

    if isinstance(error, NASGymError):
        return _wrong(str(error))
    if isinstance(error, OSError):
        return _failed_file(error, words)
    return report_error(error, words)


def _wrong(message: str) -> int:
    """Print a user's mistake; return the exit code."""
    complain(f"error: {message}")
    return EXIT_WRONG


def _usage(error: click.ClickException) -> str:
    """Return what is wrong with a command line, and where help is."""
    context = getattr(error, "ctx", None)
    command = "nas-gym" if context is None else context.command_path
    return f"{error.format_message()} (see `{command} --help`)"


def _failed_file(error: OSError, words: Sequence[str]) -> int:
    """Return the exit code where a file could not be named or written."""
    if error.errno == ENAMETOOLONG:
        return _wrong(f"a file's name of {len(str(error.filename)):,} characters is too long")
    if error.errno not in (*FULL, EPIPE):
        return report_error(error, words)
    with suppress(OSError):  # Python writes the rest of standard output when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if error.errno == EPIPE:  # the reader, `head` for instance, has had enough
        return EXIT_PIPE
    return _wrong(f"output: it cannot be written: {error.strerror}")


def report_error(error: BaseException, words: Sequence[str]) -> int:
    """Write the traceback into a temporary file, and say where it is; return the exit code.

    It is the mistake of the user's own code, a callback's for instance, if the error passed it.
    """
    own = _own_code(error)
    whose = f"error: {own}" if own else "a bug in nas-gym"
    remedy = "its traceback is in {}" if own else "please report it with {}, its traceback"
    report = f"nas-gym {shlex.join(words)}\n\n{''.join(traceback.format_exception(error))}"
    text = without_secrets(report, words)
    summary = without_secrets(f"{whose}: {type(error).__name__}: {error}", words)[:300]
    how: Any = {"encoding": "utf-8", "errors": "backslashreplace"}
    try:
        with tempfile.NamedTemporaryFile(
            "w", prefix="nas-gym-", suffix=".txt", delete=False, **how
        ) as file:
            file.write(text)
        complain(f"{summary}; {remedy.format(file.name)}")
    except OSError as failure:
        complain(f"{summary}; its traceback cannot be written: {failure.strerror}")
    return EXIT_WRONG if own else EXIT_BUG


def _own_code(error: BaseException) -> str:
    """Return the last place in the user's own code that an error passed, or "".

    No user wrote this package's files, Python's, and those of installed packages.
    """
    import nas_agents
    import nas_gym

    folders = [os.path.dirname(str(each.__file__)) for each in (nas_gym, nas_agents)]
    folders = [re.escape(each + os.sep) for each in (*folders, sysconfig.get_path("stdlib"))]
    others = re.compile("|".join([*folders, ".*(site|dist)-packages"]))
    passed = [
        (frame.f_code.co_filename, line, frame.f_code.co_name)
        for frame, line in traceback.walk_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError):
        passed.append((str(error.filename), error.lineno or 0, "which is no Python"))
    for file, line, name in reversed(passed):
        if os.path.isfile(file) and not others.match(file):
            return f"{os.path.basename(file)}, line {line}, {name}"
    return ""


def without_secrets(text: str, words: Sequence[str]) -> str:
    """Return a text without the passwords of the URLs that the user typed."""
    for word in words:
        for secret in SECRET.findall(word) if "://" in word else ():
            text = text.replace(secret, "***")
    return text
