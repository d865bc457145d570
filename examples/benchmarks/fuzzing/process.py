"""One input in a process of its own, whose memory, files, time and rights are limited."""

from __future__ import annotations

import ctypes
import os
import re
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import gymnasium as gym
import numpy as np

import nas_gym
from examples.benchmarks.fuzzing.files import (
    FIFO,
    FOLDER,
    HARD_LINK,
    LINK,
    LINK_TO_FOLDER,
    LOCKED,
    Content,
    Files,
)
from examples.benchmarks.fuzzing.inputs import Input
from nas_agents.cli.main import main as nas_gym_command
from nas_gym.errors import NASGymError
from nas_gym.families.nasbench201.tiny_bench import tiny_bench_table
from nas_gym.store.store import Store

TIMEOUT = 20.0
"""Seconds of processors after which an input hangs."""
MEMORY = 3 * 2**30
FILE_SIZE = 2**28
MISUSE = re.compile("unexpected keyword|positional argument|required keyword|multiple values")
"""A TypeError of a call that Python itself refuses."""


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
            exec(given.code, names())
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


def names() -> dict[str, object]:
    """Return the names that calls use."""

    def deep() -> list[object]:
        nested: list[object] = []
        for _ in range(3_000):
            nested = [nested]
        return nested

    def text(name: str) -> str:
        with suppress(OSError):
            if Path(name).is_file():  # a pipe would have no end
                return Path(name).read_text(encoding="utf-8", errors="replace")
        return ""

    known = {name: getattr(nas_gym, name) for name in nas_gym.__all__}
    known |= {"gym": gym, "np": np, "nas_gym": nas_gym, "Store": Store, "deep": deep, "text": text}
    return {**known, "space": nas_gym.NASBench201SearchSpace(), "evaluator": tiny_bench_table()}
