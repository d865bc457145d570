"""Does any malformed input end in a traceback, a hang or a kill? Thousands of them, from a seed.

    python examples/benchmarks/fuzz.py --inputs 5000 --seed 0
    python examples/benchmarks/fuzz.py --seed 0 --only 1234

The second line repeats one input, the one that the first line reports as ``--seed 0 --only 1234``,
and shows its files and all that it prints; an input follows from its seed and its number alone.

Command lines, files and Python calls (`fuzzing`) run one by one, each in a process of its own
whose memory, files and time are limited; it is forked from this one, in which everything is
imported, and has the rights of a plain user. An input fails if it ends otherwise than with exit
code 0, 1, 2 or 130 and at most one line that says what is wrong, hangs, changes a file that it only
had to read, loses a finished search's summary, or touches the folder ``outside``, to which links
and a stranger's settings lead. It hangs if it takes over 20 s of processors, its workers' included,
or waits for over 20 s; a busy machine makes no hang of an input that goes on. The failures are
printed by kind, and the exit code is 1 if there is one.

Linux only. 5,000 inputs take some twenty minutes on two cores.
"""

from __future__ import annotations

import argparse
import ctypes
import hashlib
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import gymnasium as gym
import numpy as np
import torch

import nas_gym
from nas_agents.catalogue.environments import registered_search_spaces
from nas_agents.catalogue.registry import AGENTS
from nas_agents.cli.main import main as nas_gym_command
from nas_agents.search.run import search
from nas_agents.search.settings import SearchSettings
from nas_gym.architecture import published_architectures
from nas_gym.errors import NASGymError
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.families.nasbench201.digits_bench import digits_bench_table
from nas_gym.store.store import Store

sys.path.insert(0, str(Path(__file__).parents[2]))
from examples.benchmarks.fuzzing.files import (
    FIFO,
    FOLDER,
    HARD_LINK,
    LINK,
    LINK_TO_FOLDER,
    LOCKED,
    Content,
    Files,
    Samples,
)
from examples.benchmarks.fuzzing.inputs import Input, make_input

TIMEOUT = 20.0
SLOWEST = 3
"""Seconds that a busy machine takes for one of its processors, at most."""
MEMORY = 3 * 2**30
FILE_SIZE = 2**28
FINE = (0, 1, 2, 130)
MISUSE = re.compile("unexpected keyword|positional argument|required keyword|multiple values")
"""A TypeError of a call that Python itself refuses."""
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


# Samples -----------------------------------------------------------------------------------------


SMALL = {"filters": 2, "data_fraction": 0.1}
SEARCHES: list[tuple[str, str, dict[str, Any]]] = [
    ("random", "nas_gym/DigitsBench-v0", {}),
    ("random", "nas_gym/NASNet-v0", {**SMALL, "blocks": 1, "epochs": 2, "early_stopping": {}}),
    ("ppo", "nas_gym/DigitsBench-v0", {}),
    ("enas", "nas_gym/ENASMicro-v0", {**SMALL, "cells": 1}),
]
"""Agents, environments and their arguments; the first trains nothing."""


def make_samples(folder: Path, searches: int = len(SEARCHES)) -> Samples:
    """Return valid architectures, a store, and runs of the first `SEARCHES`, made in ``folder``."""
    spaces = registered_search_spaces()
    rng = np.random.default_rng(0)
    architectures = [space.decode(space.sample(rng)) for space in spaces.values()]
    with Store(folder / "samples.db") as store:
        for seed, architecture in enumerate(architectures[:3]):
            store.add(architecture, Evaluation("ok", 0.5, (0.4, 0.5), 1.5, seed, "settings"), "run")
    return Samples(
        [
            _searched(*search, folder / str(number))
            for number, search in enumerate(SEARCHES[:searches])
        ],
        (folder / "samples.db").read_bytes(),
        [architecture.to_dict() for architecture in architectures],
        list(published_architectures()),
        list(spaces),
        list(AGENTS),
    )


def _searched(agent: str, env_id: str, arguments: dict[str, Any], run: Path) -> Files:
    """Return the files of a run, which is searched for in this process."""
    short = {"epochs": 1, "filters": 2} if "early_stopping" in arguments else {}
    how: dict[str, Any] = {"env_arguments": arguments, "final_arguments": short}
    search(SearchSettings(env_id, agent, episodes=3, final=bool(short), **how), run)
    files = (file for file in run.rglob("*") if file.is_file())
    return {str(file.relative_to(run)): file.read_bytes() for file in files}


# One input ---------------------------------------------------------------------------------------


def write_files(folder: Path, files: Files) -> None:
    """Make an input's files, and beside them a folder that it must not touch."""
    outside = folder.parent / "outside"
    outside.mkdir()
    (outside / "victim").write_bytes(b"not yours")
    for name, content in files.items():
        file = folder / name
        with suppress(FileExistsError, NotADirectoryError):
            file.parent.mkdir(parents=True, exist_ok=True)
            _write_file(file, content, outside)


def _write_file(file: Path, content: Content, outside: Path) -> None:
    """Make one file, or what stands in its place."""
    if content == FIFO:
        os.mkfifo(file)
    elif content == FOLDER:
        file.mkdir(exist_ok=True)
    elif content == LOCKED:
        file.touch()
        file.chmod(0)
    elif content in (LINK, LINK_TO_FOLDER):
        _remove(file)
        file.symlink_to(outside / "victim" if content == LINK else outside)
    elif content == HARD_LINK:
        _remove(file)
        os.link(outside / "victim", file)
    elif isinstance(content, bytes):
        file.write_bytes(content)


def _remove(file: Path) -> None:
    if file.is_dir() and not file.is_symlink():
        shutil.rmtree(file)
    file.unlink(missing_ok=True)


def digests(folder: Path) -> dict[str, str]:
    """Return a digest of each file that reading must not change."""
    return {
        str(file.relative_to(folder)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file() and os.access(file, os.R_OK) and not MAY_CHANGE.search(str(file))
    }


def start(given: Input, folder: Path) -> int:
    """Start the process of an input; return its id."""
    for name in ("in", "tmp", "data"):
        (folder / name).mkdir(parents=True)
    write_files(folder / "in", given.files)
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid == 0:
        _run_child(given, folder)
    return pid


def _run_child(given: Input, folder: Path) -> NoReturn:
    """Do what an input says in this process, which ends."""
    code = 99
    try:
        os.setsid()
        os.chdir(folder / "in")
        os.environ |= {"NAS_GYM_DATA": str(folder / "data"), "TMPDIR": str(folder / "tmp")}
        tempfile.tempdir = str(folder / "tmp")
        streams = ("/dev/null", given.output or str(folder / "out"), str(folder / "err"))
        for number, name in enumerate(streams):
            flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
            os.dup2(os.open(name, flags, 0o600), number)
        sys.stdout = os.fdopen(1, "w")
        sys.stderr = os.fdopen(2, "w", buffering=1)
        warnings.simplefilter("default")  # pytest makes them errors
        sys.path.insert(0, str(folder / "in"))
        _limit()
        code = _perform(given)
    except BaseException:
        traceback.print_exc()
        code = 70
    finally:
        with suppress(Exception):
            sys.stderr.flush()
            sys.stdout.flush()
        os._exit(code)


def _limit() -> None:
    """Limit this process's memory, files, time and rights."""
    # Without capabilities (capset of version 3), root may do what the owner of its files may do.
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
    memory = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CPU, (int(TIMEOUT), int(TIMEOUT) + 5))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _perform(given: Input) -> int:
    """Run a command or a call; return the exit code that it has, or would have."""
    try:
        if given.command:
            sys.argv = ["nas-gym", *given.command]
            nas_gym_command()
        else:
            exec(given.code, _names())
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except (NASGymError, gym.error.Error) as error:
        print(f"nas-gym: error: {' '.join(ascii(str(error)).split())}", file=sys.stderr)
        return 2
    except TypeError as error:
        if MISUSE.search(str(error)):
            return 2
        raise
    return 0


def _names() -> dict[str, object]:
    """Return the names that calls use."""

    def deep() -> list[object]:
        nested: list[object] = []
        for _ in range(3_000):
            nested = [nested]
        return nested

    names = {name: getattr(nas_gym, name) for name in nas_gym.__all__}
    names |= {"gym": gym, "np": np, "nas_gym": nas_gym, "Store": Store, "deep": deep}
    return {**names, "space": nas_gym.NASBench201SearchSpace(), "evaluator": digits_bench_table()}


# All of them -------------------------------------------------------------------------------------


def run_inputs(
    inputs: Iterable[tuple[int, Input]], folder: Path, jobs: int = 1, timeout: float = TIMEOUT
) -> Iterator[Outcome]:
    """Yield the outcome of each input, ``jobs`` of which run at a time."""
    waiting = iter(inputs)
    running: dict[int, tuple[int, Input, Path, dict[str, str], float]] = {}
    while True:
        while len(running) < jobs and (following := next(waiting, None)) is not None:
            number, given = following
            own = folder / f"{number}"
            pid = start(given, own)
            running[pid] = (number, given, own, digests_of(given), time.monotonic())
        if not running:
            return
        for pid, (number, given, own, before, began) in list(running.items()):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended == 0 and not _hangs(pid, time.monotonic() - began, timeout):
                continue
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)  # workers that it left behind, too
            if ended == 0:
                os.kill(pid, signal.SIGKILL)  # it may have no group yet
                _, _, usage = os.wait4(pid, 0)
            del running[pid]
            code = None if ended == 0 else os.waitstatus_to_exitcode(status)
            yield _outcome(number, given, own, before, usage.ru_utime + usage.ru_stime, code)
            shutil.rmtree(own, ignore_errors=True)
        time.sleep(0.002)


def _hangs(group: int, elapsed: float, timeout: float) -> bool:
    """Return whether processes that started ``elapsed`` seconds ago hang; see above."""
    if elapsed < timeout:
        return False
    used = 0
    for file in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended
            fields = file.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            used += sum(map(int, fields[11:15])) if int(fields[2]) == group else 0
    processors = used / os.sysconf("SC_CLK_TCK")
    return processors >= timeout or elapsed - SLOWEST * processors >= timeout


def digests_of(given: Input) -> dict[str, str]:
    """Return the digests of an input's files as they were made."""
    return {
        name: hashlib.sha256(content).hexdigest()
        for name, content in given.files.items()
        if isinstance(content, bytes) and not MAY_CHANGE.search(name)
    }


def _outcome(
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
    if outside != {"victim": b"not yours"}:
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


def report(outcomes: list[Outcome], seed: int) -> None:
    """Print the time that each kind of input took, then the failures, with the shortest of each."""
    seconds: dict[str, list[float]] = defaultdict(list)
    by_kind: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        seconds[outcome.input.kind.partition(": ")[0]].append(outcome.seconds)
        if outcome.wrong:
            by_kind[outcome.wrong].append(outcome)
    for kind, times in sorted(seconds.items(), key=lambda item: -sum(item[1])):
        print(f"{sum(times):8.1f} s of processors for {len(times):5,} x {kind}")
    for wrong, alike in sorted(by_kind.items(), key=lambda item: -len(item[1])):
        shortest = min(alike, key=lambda outcome: len(str(outcome.input)))
        print(f"- {len(alike)} x {wrong}\n  {shortest}\n  --seed {seed} --only {shortest.number}")
    failures = sum(map(len, by_kind.values()))
    print(f"{len(outcomes)} inputs, {failures} failures of {len(by_kind)} kinds")


def prepare() -> None:
    """Limit this process, which others are forked from, to one thread and no accelerator."""
    os.environ |= {"CUDA_VISIBLE_DEVICES": "", "SDL_VIDEODRIVER": "dummy"}
    torch.set_num_threads(1)
    _names()


def main() -> None:
    """Try all inputs, and print the failures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--inputs", type=int, default=5000)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--timeout", type=float, default=TIMEOUT, help="seconds until one hangs")
    parser.add_argument("--only", type=int, help="repeat this input alone, and show its output")
    given = parser.parse_args()
    prepare()
    last = given.first + given.inputs
    numbers = [given.only] if given.only is not None else [*range(given.first, last)]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        samples = make_samples(folder)
        inputs = ((number, make_input(given.seed, number, samples)) for number in numbers)
        outcomes = []
        for outcome in run_inputs(inputs, folder / "inputs", given.jobs, given.timeout):
            outcomes.append(outcome)
            if outcome.wrong:
                print(f"{outcome.number}: {outcome.wrong}\n  {outcome}", flush=True)
            if given.only is not None:
                print(outcome.input, outcome.input.files, outcome.output, sep="\n")
            if len(outcomes) % 250 == 0:
                print(f"{len(outcomes)} inputs", file=sys.stderr, flush=True)
        report(outcomes, given.seed)
    if any(outcome.wrong for outcome in outcomes):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
