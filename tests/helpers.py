"""What several tests need: an evaluator that trains nothing, a conditional search space, draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture, InvalidArchitecture, expect_fields
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.families.nasnet.search_space import NASNetSearchSpace
from nas_gym.search_spaces import (
    CellArchitecture,
    Choices,
    CustomArchitecture,
    Decision,
    Mask,
    SearchSpace,
)


@dataclass
class StubEvaluator:
    """Gives an architecture an accuracy that follows from its key; keeps what it was asked."""

    status: Status = "ok"
    parameters: int | None = 10
    asked: list[list[Architecture]] = field(default_factory=list)

    def network_key(self, architecture: Architecture) -> str:
        return architecture.key

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        self.asked.append(list(architectures))
        return [self._evaluation(architecture) for architecture in architectures]

    def _evaluation(self, architecture: Architecture) -> Evaluation:
        accuracy = int(architecture.key, 16) / 16**32 if self.status == "ok" else 0.0
        return Evaluation(
            status=self.status,
            accuracy=accuracy,
            curve=(0.25, accuracy) if self.status == "ok" else (0.25,),
            seconds=1.5,
            seed=7,
            fingerprint="stub",
            parameters=self.parameters,
            multiply_adds=100,
        )


class RecordedStub:
    """A recorded benchmark in which the row, and with it all else, is the sum of the choices."""

    def __init__(self, search_space: SearchSpace) -> None:
        self.search_space = search_space
        self.rows_in_all = sum(search_space.num_choices) - len(search_space.num_choices) + 1
        everything = [self.evaluation(row) for row in range(self.rows_in_all)]
        self.columns = {
            name: np.array([getattr(evaluation, name) for evaluation in everything])
            for name in ("accuracy", "seconds", "status", "parameters")
        }

    def rows(self, choices: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(choices.sum(axis=1))

    def evaluation(self, row: int) -> Evaluation:
        failed = row % 5 == 4
        accuracy = 0.0 if failed else row / self.rows_in_all
        status: Status = "diverged" if failed else "ok"
        return Evaluation(status, accuracy, (accuracy,), row + 0.5, 0, "stub", 10 * row)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        choices = np.stack([self.search_space.encode(each) for each in architectures])
        return [self.evaluation(int(row)) for row in self.rows(choices)]


WIDTHS = ("none", "8", "16", "32")


@dataclass(frozen=True)
class LayersArchitecture(Architecture, kind="test-layers"):
    """The widths of one to three layers."""

    widths: tuple[str, ...]

    def body(self) -> dict[str, Any]:
        return {"widths": list(self.widths)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> LayersArchitecture:
        expect_fields(body, ("widths",), "architecture")
        return cls(tuple(body["widths"]))


class LayersSearchSpace(SearchSpace):
    """A depth, then a width for each layer; a layer beyond the depth can only be "none"."""

    def __init__(self) -> None:
        layers = [Decision(f"layer_{number}", WIDTHS) for number in (1, 2, 3)]
        super().__init__("Layers", [Decision("depth", ("1", "2", "3")), *layers])

    @property
    def size(self) -> int:
        return 3 + 3**2 + 3**3

    def valid_choices(self, prefix: Choices) -> Mask:
        if len(prefix) == 0:
            return super().valid_choices(prefix)
        exists = len(prefix) <= prefix[0] + 1
        return np.array([not exists, exists, exists, exists])

    def decode(self, choices: ArrayLike) -> LayersArchitecture:
        checked = self.check(choices)
        return LayersArchitecture(tuple(WIDTHS[c] for c in checked[1:] if c))

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, LayersArchitecture):
            raise InvalidArchitecture(f"kind: {architecture.kind!r} is not in this search space")
        widths = [WIDTHS.index(width) for width in architecture.widths]
        missing = [0] * (3 - len(widths))
        return np.array([len(widths) - 1, *widths, *missing], dtype=np.int64)


class ConvNet(CustomArchitecture, kind="test-conv-net"):
    """Two dependent decisions, one of them on a decision that may itself not exist."""

    decisions = (
        Decision("depth", ("1", "2", "3")),
        Decision("kernel_2", ("3", "5"), when={"depth": ("2", "3")}),
        Decision("pooling", ("average", "max", "none")),
        Decision("dilation_2", ("1", "2", "4"), when={"kernel_2": ("5",), "pooling": ("none",)}),
    )


@st.composite
def sequences(draw: st.DrawFn, search_space: SearchSpace) -> Choices:
    """Complete, valid sequences of choices of a search space."""
    choices = np.zeros(len(search_space.decisions), dtype=np.int64)
    for step in range(len(choices)):
        valid = np.flatnonzero(search_space.valid_choices(choices[:step])).tolist()
        choices[step] = draw(st.sampled_from(valid))
    return choices


def random_architecture(seed: int, blocks: int = 5) -> CellArchitecture:
    """An architecture of the NASNet search space; the same one for the same seed."""
    search_space = NASNetSearchSpace(blocks)
    return search_space.decode(search_space.sample(np.random.default_rng(seed)))


def nested(depth: int) -> list[Any]:
    """Lists in lists, as deep as that."""
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value
