"""An environment whose children cost nothing, for tests of what drives it."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import gymnasium as gym
import numpy as np
from numpy.typing import NDArray

from nas_agents.runs.callbacks import Callback
from nas_agents.runs.progress import Progress
from nas_gym import Architecture, Evaluation, NASBench201SearchSpace, NASEnv, NASNetSearchSpace
from nas_gym.search_spaces import CellArchitecture

STUB_ID = "nas_gym_tests/Stub-v0"
CHILDREN_ID = "nas_gym_tests/Children-v0"
RECORDED_ID = "nas_gym_tests/RecordedNASBench201-v0"
RECORDED_FILE = Path(os.environ.get("NAS_GYM_DATA", "~/.cache/nas_gym")).expanduser() / (
    "nasbench201_cifar10.npz"
)
WANTED = "3x3 convolution"


class Calls(Callback):
    """Calls functions, given by the methods' names: ``Calls(on_notice=print)``."""

    def __init__(self, **functions: Callable[..., object]) -> None:
        vars(self).update(functions)


def each_child(function: Callable[[Progress], object]) -> list[Callback]:
    """What calls a function with the progress after each child."""
    return [Calls(on_child=lambda child: function(child.progress))]


class ShareOfConvolutions:
    """A child is worth the share of its operations that are `WANTED`; 1/13 if drawn uniformly."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self._evaluate(architecture) for architecture in architectures]

    def _evaluate(self, architecture: Architecture) -> Evaluation:
        assert isinstance(architecture, CellArchitecture)
        cells = (architecture.normal, architecture.reduction)
        labels = [label for cell in cells for block in cell.blocks for _, label in block.inputs]
        share = labels.count(WANTED) / len(labels)
        return Evaluation("ok", share, (share,), 0.0, 0, "stub")


class Children(ShareOfConvolutions):
    """The same as a `ChildEvaluator`, whose every training leaves a line in a file.

    A child with two identities ("identity" twice in a row) diverges, if ``fragile``.
    """

    fingerprint = "children"
    costs = ("parameters", "multiply_adds")

    def __init__(self, file: str | None = None, fragile: bool = False) -> None:
        self.file, self.fragile = file, fragile

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return repeat

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        if self.file is not None:
            with Path(self.file).open("a", encoding="utf-8") as log:
                log.write(f"{architecture.key}\n")
        made = replace(self._evaluate(architecture), fingerprint=self.fingerprint, seed=repeat)
        if self.fragile and architecture.to_json().count('"identity"') >= 2:
            return replace(
                made, status="diverged", accuracy=0.0, curve=(), message="the loss is nan"
            )
        return made

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self.evaluate_one(architecture) for architecture in architectures]


class AlwaysFails:
    """No child can be trained."""

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        failed = Evaluation("diverged", 0.0, (), 0.0, 0, "stub", message="the loss is nan")
        return [failed for _ in architectures]


def make_stub(training_seed: int = 0, blocks: int = 2, fails: bool = False) -> NASEnv:
    """A small NASNet search space with a stub for an evaluator."""
    evaluator = AlwaysFails() if fails else ShareOfConvolutions()
    return NASEnv(NASNetSearchSpace(blocks), evaluator)


def make_children(
    training_seed: int = 0, blocks: int = 2, file: str | None = None, fragile: bool = False
) -> NASEnv:
    """A small NASNet search space with children that can be kept in a store."""
    return NASEnv(NASNetSearchSpace(blocks), Children(file, fragile))


class RecordedNASBench201:
    """NAS-Bench-201, CIFAR-10, validation accuracy after 12 epochs."""

    def __init__(self, file: Path) -> None:
        self.search_space = NASBench201SearchSpace()
        with np.load(file, allow_pickle=False) as columns:
            places = self.rows(columns["ops"].astype(np.int64))
            accuracy = columns["cifar10_val_acc_12ep"] / 100
        self.columns = {
            "accuracy": accuracy[np.argsort(places)],
            "seconds": np.zeros(len(places)),
            "status": np.full(len(places), "ok"),
        }

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(choices @ 5 ** np.arange(5, -1, -1))

    def evaluation(self, row: int) -> Evaluation:
        accuracy = float(self.columns["accuracy"][row])
        return Evaluation("ok", accuracy, (accuracy,), 0.0, 0, "recorded")

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        choices = np.stack([self.search_space.encode(each) for each in architectures])
        return [self.evaluation(int(row)) for row in self.rows(choices)]


def make_recorded(training_seed: int = 0) -> NASEnv:
    """NAS-Bench-201 from its recorded accuracies."""
    return NASEnv(NASBench201SearchSpace(), RecordedNASBench201(RECORDED_FILE))


gym.register(STUB_ID, entry_point="tests.agents.stubs:make_stub")
gym.register(CHILDREN_ID, entry_point="tests.agents.stubs:make_children")
gym.register(RECORDED_ID, entry_point="tests.agents.stubs:make_recorded")
