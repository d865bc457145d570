"""ENAS's macro search space: a whole network of L layers, each an operation and skip connections.

Pham et al. 2018, https://arxiv.org/abs/1802.03268, section 2.3. Orders, labels and numbers are
those of the released code, https://github.com/melodyguan/enas, src/cifar10: `from_arc` reads the
architectures that its scripts hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from nas_gym.architecture import (
    MOST_LAYERS,
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_length,
    expect_list,
)
from nas_gym.families.enas.arcs import label_of, numbers_of
from nas_gym.outside.json_text import short
from nas_gym.search_spaces.arguments import Depth
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision
from nas_gym.settings import validated

MACRO_OPERATIONS = (
    "conv_3x3",
    "separable_conv_3x3",
    "conv_5x5",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
)
"""The macro search space's operations, verbatim and in the order of the released code."""


@dataclass(frozen=True)
class MacroLayer:
    """A layer's operation, and the outputs that skip to it besides the one just before it.

    Output 0 is the stem's, output k that of layer k.
    """

    operation: str
    skips: tuple[int, ...] = ()


@dataclass(frozen=True)
class MacroSketch:
    """As much of a macro network as is decided, for drawings."""

    layers: tuple[MacroLayer, ...]
    depth: int
    """L, the number of layers when all is decided."""


@dataclass(frozen=True)
class ENASMacroArchitecture(Architecture, kind="enas_macro"):
    """A chain of layers with skip connections.

    Layer i, counted from 1, always takes the output of layer i - 1 (layer 1 the stem's, which is
    output 0); its i - 1 skip decisions are about the outputs 0 to i - 2.

    Raises:
        InvalidArchitecture: there is no layer, a label is unknown, or a skip comes from an output
            that the layer cannot skip from.
    """

    layers: tuple[MacroLayer, ...]

    def __post_init__(self) -> None:
        expect_length(self.layers, MOST_LAYERS, "layers")
        for number, layer in enumerate(self.layers, start=1):
            _check_layer(layer, number)

    @classmethod
    def from_arc(cls, text: str) -> ENASMacroArchitecture:
        """Return the network that the released scripts write as numbers, layer after layer.

        Layer i has i numbers: its operation's index, then a bit for each of the outputs 0 to i - 2.
        Other texts raise `InvalidArchitecture`.
        """
        numbers = numbers_of(text)
        layers = _layers(numbers)
        if list(_layer_choices(layers)) != numbers:
            raise InvalidArchitecture(
                "arc: layer i needs an operation and i - 1 bits, and the last layer "
                f"{len(layers) - 1} bits; got {short(numbers)}"
            )
        return cls(layers)

    def to_arc(self) -> str:
        """Return the arc of the network; see `from_arc`."""
        return " ".join(map(str, _layer_choices(self.layers)))

    def sketch(self) -> MacroSketch:
        return MacroSketch(self.layers, len(self.layers))

    def body(self) -> dict[str, Any]:
        layers = [{"operation": each.operation, "skips": list(each.skips)} for each in self.layers]
        return {"layers": layers}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ENASMacroArchitecture:
        expect_fields(body, ("layers",), "architecture")
        layers = []
        for index, item in enumerate(expect_list(body["layers"], "layers")):
            where = f"layers[{index}]"
            layer = expect_fields(item, ("operation", "skips"), where)
            skips = tuple(expect_list(layer["skips"], f"{where}.skips"))
            layers.append(MacroLayer(layer["operation"], skips))
        return cls(tuple(layers))


class ENASMacroSearchSpace(SearchSpace[ENASMacroArchitecture]):
    """L + L(L - 1)/2 decisions: 78 for the paper's L = 12. Skip j of a layer is about output j - 1.

    Args:
        layers: L, the number of layers, up to 256.

    Raises:
        InvalidSettings: L is out of its range.
    """

    architecture_type = ENASMacroArchitecture

    @validated
    def __init__(self, layers: Depth = 12) -> None:
        self.layers = layers
        decisions = []
        for number in range(1, layers + 1):
            decisions.append(Decision(f"layer_{number}/op", MACRO_OPERATIONS))
            skips = range(1, number)
            decisions += [Decision(f"layer_{number}/skip_{n}", ("no", "yes")) for n in skips]
        super().__init__("ENASMacro", decisions)

    def _decode(self, choices: list[int]) -> ENASMacroArchitecture:
        return ENASMacroArchitecture(_layers(choices))

    def _encode(self, architecture: ENASMacroArchitecture) -> list[int]:
        if len(architecture.layers) != self.layers:
            raise InvalidArchitecture(
                f"layers: {len(architecture.layers)} layers; this search space has {self.layers}"
            )
        return list(_layer_choices(architecture.layers))

    def sketch(self, prefix: Choices) -> MacroSketch:
        return MacroSketch(_layers(prefix.tolist()), self.layers)


def pooled_after(depth: int) -> tuple[int, ...]:
    """Return the layers, from 1, after which every output is reduced to half its size."""
    return (depth // 3, 2 * (depth // 3)) if depth >= 3 else ()


def _check_layer(layer: MacroLayer, number: int) -> None:
    """Raise `InvalidArchitecture` unless the layer stands soundly as layer ``number``, from 1."""
    where = f"layers[{number - 1}]"
    expect_label(layer.operation, MACRO_OPERATIONS, f"{where}.operation")
    for source in layer.skips:
        if type(source) is not int or not 0 <= source < number - 1:
            valid = f"0 to {number - 2}" if number > 1 else "none"
            raise InvalidArchitecture(
                f"{where}.skips: {short(source)} is not an output that layer {number} can skip "
                f"from; valid choices: {valid}"
            )
    if list(layer.skips) != sorted(set(layer.skips)):
        raise InvalidArchitecture(
            f"{where}.skips: {short(list(layer.skips))} is not in ascending order"
        )


def _layers(choices: Sequence[int]) -> tuple[MacroLayer, ...]:
    """Return the layers whose operation is among ``choices``, with the skips that are decided."""
    layers: list[MacroLayer] = []
    remaining = iter(choices)
    while decided := list(islice(remaining, len(layers) + 1)):
        operation, *bits = decided
        sources = tuple(source for source, bit in enumerate(bits) if bit)
        layers.append(MacroLayer(label_of(MACRO_OPERATIONS, operation), sources))
    return tuple(layers)


def _layer_choices(layers: Sequence[MacroLayer]) -> Iterator[int]:
    for index, layer in enumerate(layers):
        yield MACRO_OPERATIONS.index(layer.operation)
        yield from (int(source in layer.skips) for source in range(index))
