"""Children that do to their worker what their architecture says; for the tests of pools."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.training.trainer import Trainer
from nas_gym.workers.pool import Pool


@dataclass(frozen=True)
class Script(Architecture, kind="test-script"):
    """What the child does, and with what."""

    act: str
    value: str = ""

    def body(self) -> dict[str, Any]:
        return {"act": self.act, "value": self.value}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Script:
        return cls(**body)


@dataclass
class ScriptedEvaluator:
    """A `ChildEvaluator`; its message says what the worker is like."""

    images: NDArray[np.uint8] = field(default_factory=lambda: np.ones(2**20, np.uint8))
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    fingerprint: str = "scripted"
    trainer: Trainer | None = None
    """Trains architectures that are no scripts."""

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return repeat

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self.evaluate_one(architecture) for architecture in architectures]

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        if not isinstance(architecture, Script):
            assert self.trainer is not None
            return self.trainer.evaluate_one(architecture, repeat)
        message = getattr(self, "_" + architecture.act)(architecture.value) or ""
        seconds = float(architecture.value) if architecture.act == "clock" else 0.0
        accuracy = float(self.images.mean()) / 2
        return Evaluation("ok", accuracy, (), seconds, repeat, self.fingerprint, message=message)

    def _describe(self, value: str) -> str:
        """The process, its threads, its GPUs, and whether the images lie in a block for all."""
        time.sleep(float(value or 0))
        maps = Path("/proc/self/maps").read_text(encoding="utf-8").splitlines()
        place = self.images.ctypes.data
        [line] = [line for line in maps if _within(place, line.split()[0])]
        gpus = os.environ.get("CUDA_VISIBLE_DEVICES", "all")
        shared = "memfd:nas_gym" in line or "plasma" in line
        return f"{os.getpid()} {torch.get_num_threads()} {gpus} {shared}"

    def _blot(self, value: str) -> None:
        self.images[:] = 0

    def _sleep(self, value: str) -> None:
        time.sleep(float(value))

    def _clock(self, value: str) -> str:
        """When it began; it takes no time, but says that it took ``value`` seconds."""
        return str(time.monotonic())

    def _raise(self, value: str) -> None:
        raise SystemExit(value)

    def _allocate(self, value: str) -> None:
        raise MemoryError

    def _exit(self, value: str) -> None:
        os._exit(int(value))

    def _segfault(self, value: str) -> None:
        sys.stderr.flush()
        ctypes.string_at(0)

    def _kill(self, value: str) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    def _kill_once(self, value: str) -> str:
        """Dies if it is the first to come, as if by another's hand."""
        if not Path(value).exists():
            Path(value).touch()
            self._kill(value)
        return "survived"


def describe_all(pool: Pool) -> list[list[str]]:
    """What each worker says of itself, once all of them are ready: its process, and the rest."""
    return [evaluation.message.split(" ") for evaluation in evaluations_of_all(pool)]


def evaluations_of_all(pool: Pool) -> list[Evaluation]:
    """One evaluation of each worker's, whose message starts with its process."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        made = pool.evaluate([Script("describe", "0.1")] * pool.workers)
        if len({evaluation.message.split(" ")[0] for evaluation in made}) == pool.workers:
            return made
    raise TimeoutError("some workers are never ready")


def _within(address: int, interval: str) -> bool:
    first, last = (int(end, 16) for end in interval.split("-"))
    return first <= address < last


class Unreadable(ScriptedEvaluator):
    """Cannot be loaded in a worker."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise OSError("the disk is gone")


class Deadly(ScriptedEvaluator):
    """Ends the worker that loads it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        os._exit(7)
