"""Chains of layers with skip connections, the children of NAS (Zoph & Le 2017).

Source: https://arxiv.org/abs/1611.01578, section 3.3. Layers are numbered from 1, as in the paper;
a layer takes the outputs of any earlier ones, concatenated, or else the image; the outputs that no
layer takes are concatenated before the classifier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from heapq import heapify, heappop, heappush
from typing import Any, ClassVar, TypeAlias

from nas_gym.architecture import (
    LARGEST_FILTER,
    MOST_FILTERS,
    MOST_LAYERS,
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_integer,
    expect_label,
    expect_length,
    expect_list,
    expect_mapping,
)
from nas_gym.outside.json_text import short


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """A convolution with the layers that it takes; none means the image."""

    type: ClassVar[str] = "convolution"
    filter_height: int
    filter_width: int
    stride_height: int = 1
    stride_width: int = 1
    number_of_filters: int
    inputs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(expect_list(self.inputs, "inputs")))

    @property
    def values(self) -> tuple[int, ...]:
        """The choices except the inputs, in the order of the paper: `CONVOLUTION_VALUES`."""
        return tuple(getattr(self, name) for name in CONVOLUTION_VALUES)

    @property
    def label(self) -> str:
        """The choices in a few words."""
        return convolution_label(vars(self))


@dataclass(frozen=True)
class MaxPooling:
    """A max pooling that halves the size, with the layers that it takes; none means the image."""

    type: ClassVar[str] = "max pooling"
    label: ClassVar[str] = "max pooling"
    values: ClassVar[tuple[int, ...]] = ()
    inputs: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "inputs", tuple(expect_list(self.inputs, "inputs")))


CONVOLUTION_VALUES = tuple(field.name for field in fields(Convolution) if field.name != "inputs")
Layer: TypeAlias = Convolution | MaxPooling
_TYPES: dict[str, type[Layer]] = {layer.type: layer for layer in (Convolution, MaxPooling)}


def convolution_label(values: Mapping[str, int | str]) -> str:
    """Return a convolution in a few words: filter size, strides if not 1, number of filters."""
    height, width, down, across, filters = (values[name] for name in CONVOLUTION_VALUES)
    stride = "" if (down, across) == (1, 1) else f", stride {down}x{across}"
    return f"{height}x{width} conv{stride}, {filters} filters"


@dataclass(frozen=True)
class LayerSketch:
    """A layer as far as it is decided."""

    label: str
    inputs: tuple[int, ...]
    decided: bool
    """True where all of it is; then a layer without inputs takes the image."""


@dataclass(frozen=True)
class ChainSketch:
    """The layers as far as they are decided, for drawings."""

    layers: tuple[LayerSketch, ...]
    most_layers: int
    """Number of layers that there is room for."""
    loose_ends: tuple[int, ...] | None
    """The layers that the classifier takes; None while the chain is not finished."""


@dataclass(frozen=True)
class ChainArchitecture(Architecture, kind="chain"):
    """Layers, each with the earlier ones whose outputs it takes; filters' sizes are odd."""

    layers: tuple[Layer, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "layers", tuple(expect_list(self.layers, "layers")))
        expect_length(self.layers, MOST_LAYERS, "layers")
        for number, layer in enumerate(self.layers, start=1):
            _check_inputs(layer.inputs, number)
            if isinstance(layer, Convolution):
                _check_convolution(layer, number)

    @property
    def loose_ends(self) -> tuple[int, ...]:
        """The layers whose outputs no other takes: the classifier takes them, concatenated."""
        used = {source for layer in self.layers for source in layer.inputs}
        return tuple(number for number in range(1, len(self.layers) + 1) if number not in used)

    def canonical(self) -> ChainArchitecture:
        """Return the same network with its layers in an order without regard to their numbers.

        Layers may be numbered in any order in which each comes after what it takes; the order of
        a concatenation only permutes channels, whose weights are learned. Layers are placed one
        by one: among those whose inputs are placed, the one that comes first by what it is, what
        it takes and what takes it. Chains that only deeper symmetries distinguish may keep
        unlike canonical forms; two that share one are always the same network.
        """
        users = _users(self.layers)
        ranks = _ranks(self.layers, users)
        waits = [len(layer.inputs) for layer in self.layers]
        ready: list[tuple[int, tuple[int, ...], int]]
        ready = [(ranks[i], (), i) for i, wait in enumerate(waits) if not wait]
        heapify(ready)
        place: dict[int, int] = {}  # old number -> new number
        placed: list[Layer] = []
        while ready:
            _, inputs, index = heappop(ready)
            placed.append(replace(self.layers[index], inputs=inputs))
            place[index + 1] = len(placed)
            for user in users[index]:
                waits[user] -= 1
                if not waits[user]:
                    taken = tuple(sorted(place[source] for source in self.layers[user].inputs))
                    heappush(ready, (ranks[user], taken, user))
        return ChainArchitecture(tuple(placed))

    def sketch(self) -> ChainSketch:
        layers = [LayerSketch(layer.label, layer.inputs, True) for layer in self.layers]
        return ChainSketch(tuple(layers), len(layers), self.loose_ends)

    def body(self) -> dict[str, Any]:
        layers = [
            {"type": layer.type, **vars(layer), "inputs": list(layer.inputs)}
            for layer in self.layers
        ]
        return {"layers": layers}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ChainArchitecture:
        expect_fields(body, ("layers",), "architecture")
        layers = expect_list(body["layers"], "layers")
        return cls(tuple(_layer(data, f"layers[{i}]") for i, data in enumerate(layers)))


def _check_inputs(inputs: Sequence[object], number: int) -> None:
    """Raise unless ``inputs`` are ascending numbers of layers before layer ``number``."""
    last = 0
    for source in inputs:
        if type(source) is not int or not last < source < number:
            wrong = f"{short(list(inputs))} are not ascending numbers of earlier layers"
            where = f"layers[{number - 1}].inputs"
            raise InvalidArchitecture(f"{where}: {wrong}, from 1 to below {number}")
        last = source


def _check_convolution(layer: Convolution, number: int) -> None:
    for name, value in zip(CONVOLUTION_VALUES, layer.values, strict=True):
        where = f"layers[{number - 1}].{name}"
        most = MOST_FILTERS if name == "number_of_filters" else LARGEST_FILTER
        expect_integer(value, 1, most, where)
        if name.startswith("filter_") and value % 2 == 0:
            raise InvalidArchitecture(f"{where}: expected an odd number, got {value}")


def _layer(data: object, where: str) -> Layer:
    values = dict(expect_mapping(data, where))
    kind = values.pop("type", None)
    expect_label(kind, _TYPES, f"{where}.type")
    layer_type = _TYPES[str(kind)]
    expect_fields(values, tuple(field.name for field in fields(layer_type)), where)
    values["inputs"] = tuple(expect_list(values["inputs"], f"{where}.inputs"))
    return layer_type(**values)


def _users(layers: Sequence[Layer]) -> list[list[int]]:
    """Return for each layer the indices, from 0 on, of the layers that take it."""
    users: list[list[int]] = [[] for _ in layers]
    for user, layer in enumerate(layers):
        for source in layer.inputs:
            users[source - 1].append(user)
    return users


def _ranks(layers: Sequence[Layer], users: list[list[int]]) -> list[int]:
    """Return a number for each layer that follows from what it is and how it lies in the graph.

    Layers begin with the rank of their own choices; then their neighbours' ranks distinguish them,
    as long as that distinguishes more layers (colour refinement).
    """
    ranks = _ranked([(layer.type, layer.values) for layer in layers])
    while True:
        signatures = []
        for index, layer in enumerate(layers):
            taken = sorted(ranks[source - 1] for source in layer.inputs)
            taking = sorted(ranks[user] for user in users[index])
            signatures.append((ranks[index], tuple(taken), tuple(taking)))
        finer = _ranked(signatures)
        if max(finer) == max(ranks):
            return ranks
        ranks = finer


def _ranked(values: list[Any]) -> list[int]:
    """Return the place of each value among the distinct ones in order."""
    places = {value: place for place, value in enumerate(sorted(set(values)))}
    return [places[value] for value in values]
