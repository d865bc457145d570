"""The search space of NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, sections 3 and 4.1).

A network is a chain of L layers. Each takes its decisions in the paper's order: filter height,
filter width, stride height and stride width (where they are predicted), number of filters, and
at its anchor point one skip decision for each earlier layer, the one before it included.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from functools import cached_property
from itertools import compress

import numpy as np
from numpy.typing import ArrayLike

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings, choices_hint, require, require_integer, require_truth
from nas_gym.search_spaces.base import Choices, Decision, SearchSpace
from nas_gym.search_spaces.chains import (
    ChainArchitecture,
    ChainSketch,
    Convolution,
    Layer,
    LayerSketch,
    MaxPooling,
    convolution_label,
)

FILTER_SIZES = (1, 3, 5, 7)
"""Filter heights and filter widths (section 4.1)."""
FILTERS = (24, 36, 48, 64)
"""Numbers of filters (section 4.1)."""
STRIDES = (1, 2, 3)
"""Stride heights and widths, where they are predicted (section 4.1)."""
SKIP_LABELS = ("not an input", "an input")
"""The two choices of a skip decision."""


class NASSearchSpace(SearchSpace):
    """NAS's chains as 3L + L(L-1)/2 decisions; 5L + L(L-1)/2 with predicted strides.

    Args:
        layers: L. The paper's best networks have 15 layers (v1), 20 (v2, with strides) and 39
            (v3, with pooling).
        strides: Whether strides are predicted; otherwise all are 1.
        filters: The numbers of filters to choose from.
        pooling_layers: The numbers of the layers, from 1 on, that are max pooling instead of a
            convolution, 13 and 24 in the paper's v3. Such a layer has skip decisions only.
        depth_schedule: (start, step, samples): networks have ``start`` layers at first, and
            ``step`` more after every ``samples`` finished ones, up to L: (6, 2, 1600) in the
            paper. All decisions of a layer that does not exist yet have one valid choice, the
            first. Default: always L layers.

    Raises:
        InvalidSettings: an argument is out of its range.
    """

    architecture_type = ChainArchitecture

    def __init__(
        self,
        layers: int = 6,
        strides: bool = False,
        filters: Iterable[int] = FILTERS,
        pooling_layers: Iterable[int] = (),
        depth_schedule: Sequence[int] | None = None,
    ) -> None:
        require_integer("layers", layers, least=1)
        require_truth("strides", strides)
        self.layers, self.strides = layers, strides
        self.filters = _integers("filters", filters)
        require(bool(self.filters), "filters: the list is empty; name at least one number")
        self.pooling_layers = _integers("pooling_layers", pooling_layers)
        for number in self.pooling_layers:
            require(number <= layers, f"pooling_layers: {number} is more than layers, {layers}")
        require(
            len(self.pooling_layers) < layers,
            "pooling_layers: every layer is pooling; leave at least one convolution",
        )
        self.depth_schedule = None if depth_schedule is None else _schedule(depth_schedule, layers)
        self._stages: dict[int, NASSearchSpace] = {}
        by_layer = [self._layer_decisions(number) for number in range(1, layers + 1)]
        self._lengths = tuple(map(len, by_layer))
        num_valid = [
            len(decision.choices) if number <= self.depth else 1
            for number, decisions in enumerate(by_layer, start=1)
            for decision in decisions
        ]
        super().__init__("NAS", [d for decisions in by_layer for d in decisions], num_valid)

    @property
    def depth(self) -> int:
        """How many layers an architecture of this search space has."""
        return self.layers

    def stage(self, samples: int) -> SearchSpace:
        """The search space at the depth that the schedule has reached after ``samples``."""
        if self.depth_schedule is None:
            return self
        start, step, every = self.depth_schedule
        depth = min(self.layers, start + step * (samples // every))
        if depth == self.layers:
            return self
        if depth not in self._stages:
            self._stages[depth] = _Stage(self, depth)
        return self._stages[depth]

    @cached_property
    def _values(self) -> dict[str, tuple[int, ...]]:
        """What a convolution's decisions before its anchor choose from, by name, in order."""
        strides = {"stride_height": STRIDES, "stride_width": STRIDES} if self.strides else {}
        sizes = {"filter_height": FILTER_SIZES, "filter_width": FILTER_SIZES}
        return {**sizes, **strides, "number_of_filters": self.filters}

    def _layer_decisions(self, number: int) -> list[Decision]:
        decisions = [
            Decision(f"layer_{number}/{name}", tuple(map(str, values)))
            for name, values in self._values.items()
        ]
        anchor = [
            Decision(f"layer_{number}/anchor_point/layer_{source}", SKIP_LABELS)
            for source in range(1, number)
        ]
        return anchor if number in self.pooling_layers else decisions + anchor

    def decode(self, choices: ArrayLike) -> ChainArchitecture:
        made = iter(self.check(choices).tolist())
        return ChainArchitecture(tuple(self._layer(n, made) for n in range(1, self.depth + 1)))

    def _layer(self, number: int, made: Iterator[int]) -> Layer:
        """Layer ``number``, whose choices are the next ones of ``made``."""
        if number in self.pooling_layers:
            return MaxPooling(tuple(compress(range(1, number), made)))
        chosen = {name: values[next(made)] for name, values in self._values.items()}
        return Convolution(**chosen, inputs=tuple(compress(range(1, number), made)))

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, ChainArchitecture):
            raise InvalidArchitecture(
                f"kind: {architecture.kind!r} is not in the NAS search space; expected 'chain'"
            )
        if len(architecture.layers) != self.depth:
            raise InvalidArchitecture(
                f"layers: {len(architecture.layers)} are given; this search space has {self.depth}"
            )
        choices: list[int] = []
        for number, layer in enumerate(architecture.layers, start=1):
            choices += self._layer_choices(number, layer)
        encoded = np.zeros(len(self.decisions), dtype=np.int64)
        encoded[: len(choices)] = choices
        return encoded

    def _layer_choices(self, number: int, layer: Layer) -> list[int]:
        expected = MaxPooling if number in self.pooling_layers else Convolution
        if type(layer) is not expected:
            raise InvalidArchitecture(
                f"layers[{number - 1}].type: {layer.type!r} is not in this search space; layer "
                f"{number} is {expected.type!r}"
            )
        taken = set(layer.inputs)
        skips = [int(source in taken) for source in range(1, number)]
        if isinstance(layer, MaxPooling):
            return skips
        if not self.strides and (layer.stride_height, layer.stride_width) != (1, 1):
            raise InvalidArchitecture(
                f"layers[{number - 1}]: its strides are {layer.stride_height} and "
                f"{layer.stride_width}; this search space fixes them at 1 unless strides=True"
            )
        choices = []
        for name, values in self._values.items():
            value = getattr(layer, name)
            if value not in values:
                where, hint = f"layers[{number - 1}].{name}", choices_hint("", map(str, values))
                raise InvalidArchitecture(f"{where}: {value} is not in this search space; {hint}")
            choices.append(values.index(value))
        return choices + skips

    def sketch(self, prefix: Choices) -> ChainSketch:
        layers, start = [], 0
        for number, length in enumerate(self._lengths[: self.depth], start=1):
            made = prefix[start : start + length].tolist()
            if len(made) == length:
                layer = self._layer(number, iter(made))
                layers.append(LayerSketch(layer.label, layer.inputs, True))
            elif made:
                layers.append(self._begun_layer(number, made))
            start += length
        finished = len(prefix) == len(self.decisions)
        loose_ends = self.decode(prefix).loose_ends if finished else None
        return ChainSketch(tuple(layers), self.layers, loose_ends)

    def _begun_layer(self, number: int, made: list[int]) -> LayerSketch:
        if number in self.pooling_layers:
            return LayerSketch(MaxPooling.type, tuple(compress(range(1, number), made)), False)
        known: dict[str, int | str] = {"stride_height": 1, "stride_width": 1}
        known |= dict.fromkeys(self._values, "?")
        for (name, values), choice in zip(self._values.items(), made, strict=False):
            known[name] = values[choice]
        label = convolution_label(*(known[field.name] for field in fields(Convolution)[:-1]))
        skips = made[len(self._values) :]
        return LayerSketch(label, tuple(compress(range(1, number), skips)), False)


class _Stage(NASSearchSpace):
    """A NAS search space while networks have ``depth`` layers."""

    def __init__(self, whole: NASSearchSpace, depth: int) -> None:
        self._whole, self._depth = whole, depth
        super().__init__(
            whole.layers, whole.strides, whole.filters, whole.pooling_layers, whole.depth_schedule
        )

    @property
    def depth(self) -> int:
        return self._depth

    def stage(self, samples: int) -> SearchSpace:
        return self._whole.stage(samples)


def _integers(name: str, given: Iterable[int]) -> tuple[int, ...]:
    """``given`` as a tuple of distinct integers of at least 1."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidSettings(f"{name}: expected a list of integers, got {given!r}")
    numbers = tuple(given)
    for number in numbers:
        require_integer(name, number, least=1)
    require(len(set(numbers)) == len(numbers), f"{name}: a number stands twice in {list(numbers)}")
    return numbers


def _schedule(given: Sequence[int], layers: int) -> tuple[int, int, int]:
    """A depth schedule, validated: layers at first, how many more, and after how many samples."""
    if isinstance(given, str) or not isinstance(given, Sequence) or len(given) != 3:
        raise InvalidSettings(
            f"depth_schedule: expected (start, step, samples), (6, 2, 1600) in the paper; "
            f"got {given!r}"
        )
    start, step, samples = given
    for number in given:
        require_integer("depth_schedule", number, least=1)
    require(
        start <= layers, f"depth_schedule: it starts at {start} layers; layers is only {layers}"
    )
    return start, step, samples
