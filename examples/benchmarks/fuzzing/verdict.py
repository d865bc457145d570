"""How an input ended, and what is wrong with that."""

from __future__ import annotations

import hashlib
import os
import re
import signal
from dataclasses import dataclass
from pathlib import Path

from examples.benchmarks.fuzzing.files import LINK, LINK_TO_FOLDER
from examples.benchmarks.fuzzing.inputs import Input

FINE = (0, 1, 2, 130)
"""Exit codes of a command that ends as it should."""
MAY_CHANGE = re.compile(r"(-wal|-shm|-journal|lock)$")
"""Files that readers may change."""
GROWS = "run/evaluations.db"
"""The store of a run, which keeps what was evaluated even where the search could not go on."""
SUMMARY = "run/summary.json"


@dataclass(frozen=True)
class Outcome:
    """How an input ended."""

    number: int
    input: Input
    seconds: float
    """Of processors; its own and its workers'."""
    wrong: str
    """The kind of failure; "" if it is none."""
    output: str

    def __str__(self) -> str:
        last = (self.output.strip().splitlines() or [""])[-1]
        return f"{self.input.kind}: {str(self.input)[:300]}\n  {last[:200]}"


def outcome_of(
    number: int,
    given: Input,
    folder: Path,
    before: dict[str, str],
    seconds: float,
    code: int | None,
) -> Outcome:
    """Return how an input ended, from its exit code (None: it was killed) and its files."""
    errors = "".join(
        file.read_text(encoding="utf-8", errors="backslashreplace")
        for file in [folder / "err", *sorted((folder / "tmp").glob("nas-gym-*"))]
        if file.is_file()
    )
    wrong = _complaint(given, errors, code) or _harm(given, folder, before, code)
    return Outcome(number, given, seconds, wrong, errors)


def _harm(given: Input, folder: Path, before: dict[str, str], code: int | None) -> str:
    """Return what an input harmed; "" if it is nothing."""
    outside = {each.name: each.read_bytes() for each in (folder / "outside").iterdir()}
    named = {LINK, LINK_TO_FOLDER} & {given.files.get(word) for word in given.command}
    if outside != {"victim": b"not yours"} and not named:  # the command line is trusted
        return f"touched {sorted(outside)} outside"
    after = digests(folder / "in")
    if SUMMARY in before and SUMMARY not in after:
        return f"lost {SUMMARY}"
    if not _only_reads(given, code):
        return ""
    grows = GROWS if given.command[:1] == ["search"] else ""
    harmed = [name for name in before if name != grows and after.get(name) != before[name]]
    return f"harmed {harmed[0]}" if harmed else ""


def _only_reads(given: Input, code: int | None) -> bool:
    """Return whether an input must leave its files as they are."""
    if given.command[:1] == ["search"]:
        return code == 2
    return bool(given.command) and given.command[:2] not in (
        ["store", "merge"],
        ["store", "export"],
    )


def _complaint(given: Input, errors: str, code: int | None) -> str:
    """Return what is wrong with an end; "" if nothing is."""
    if code is None:
        return "hangs"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    if code not in FINE or "Traceback" in errors:
        return f"{_exception(errors)} (exit code {code})"
    lines = errors.splitlines()
    if any("\x1b" in line for line in lines if line.startswith("nas-gym:")):
        return "terminal codes in an error"  # gymnasium's own warnings are coloured
    if code == 2 and given.command and not (lines and lines[-1].startswith("nas-gym: error: ")):
        return f"not one line: {lines[-1] if lines else ''}"
    return ""


def _exception(errors: str) -> str:
    """Return the last exception's type, and where in the project it was raised."""
    frames = re.findall(r'File "[^"]*?((?:nas_gym|nas_agents)/[^"]+)", line (\d+)', errors)
    kinds = re.findall(r"^([\w.]+(?:Error|Exception|Warning|Invalid\w*|Interrupt))\b", errors, re.M)
    place = ":".join(frames[-1]) if frames else "?"
    return f"{kinds[-1] if kinds else 'an unknown end'} at {place}"


def digests_of(given: Input) -> dict[str, str]:
    """Return the digests of an input's files as they were made."""
    return {
        name: hashlib.sha256(content).hexdigest()
        for name, content in given.files.items()
        if isinstance(content, bytes) and not MAY_CHANGE.search(name)
    }


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each file that reading must not change."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and os.access(file, os.R_OK) and not MAY_CHANGE.search(str(file))
    }
