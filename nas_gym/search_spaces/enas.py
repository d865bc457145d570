"""ENAS's two search spaces (Pham et al. 2018, https://arxiv.org/abs/1802.03268).

Macro (section 2.3): a whole network of L layers. Layer i takes one of six operations, then i - 1
skip decisions. Micro (section 2.4): a normal cell and a reduction cell of B blocks each, as in
NASNet, of five operations; what no block uses, the cell's inputs included, is concatenated.

Orders, labels and numbers are those of the released code, https://github.com/melodyguan/enas,
src/cifar10: `from_arc` reads the architectures that its scripts hold.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_list,
    expect_mapping,
)
from nas_gym.errors import choices_hint, require_integer
from nas_gym.search_spaces.base import Choices, Decision, SearchSpace
from nas_gym.search_spaces.cells import ADD, CELL_INPUTS, Block, Cell, CellsSketch, TwoCells

MACRO_OPERATIONS = (
    "conv_3x3",
    "separable_conv_3x3",
    "conv_5x5",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
)
"""The macro search space's operations, verbatim and in the order of the released code."""

MICRO_OPERATIONS = (
    "separable_conv_3x3",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
    "identity",
)
"""The micro search space's operations, verbatim and in the order of the released code."""

SKIP_LABELS = ("no", "yes")


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
    """L, how many layers there are when all is decided."""

    @property
    def pooled_after(self) -> tuple[int, ...]:
        """The layers after which every output is reduced to half its size."""
        return pooled_after(self.depth)


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
        if not self.layers:
            raise InvalidArchitecture("layers: a network needs at least one layer")
        for number, layer in enumerate(self.layers, start=1):
            _check_layer(layer, number)

    @classmethod
    def from_arc(cls, text: str) -> ENASMacroArchitecture:
        """The network that the released scripts write as numbers, layer after layer.

        Layer i has i numbers: its operation's index, then a bit for each of the outputs 0 to i - 2.

        Raises:
            InvalidArchitecture: the numbers do not end with a layer, or one is not valid.
        """
        numbers = _numbers(text)
        layers: list[MacroLayer] = []
        start = 0
        while start < len(numbers):
            width = len(layers) + 1
            operation, *bits = numbers[start : start + width]
            if len(bits) != width - 1 or not set(bits) <= {0, 1}:
                raise InvalidArchitecture(
                    f"arc: layer {width} needs an operation and {width - 1} bits, "
                    f"got {numbers[start : start + width]}"
                )
            label = _label(MACRO_OPERATIONS, operation)
            layers.append(MacroLayer(label, _sources(bits)))
            start += width
        return cls(tuple(layers))

    def to_arc(self) -> str:
        """The inverse of `from_arc`."""
        return " ".join(map(str, _layer_choices(self.layers)))

    def sketch(self) -> MacroSketch:
        return MacroSketch(self.layers, len(self.layers))

    def body(self) -> dict[str, Any]:
        return {
            "layers": [
                {"operation": layer.operation, "skips": list(layer.skips)} for layer in self.layers
            ]
        }

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ENASMacroArchitecture:
        expect_fields(body, ("layers",), "architecture")
        layers = []
        for index, item in enumerate(expect_list(body["layers"], "layers")):
            where = f"layers[{index}]"
            layer = expect_mapping(item, where)
            expect_fields(layer, ("operation", "skips"), where)
            skips = tuple(expect_list(layer["skips"], f"{where}.skips"))
            layers.append(MacroLayer(layer["operation"], skips))
        return cls(tuple(layers))


class ENASMacroSearchSpace(SearchSpace):
    """L + L(L - 1)/2 decisions: 78 for the paper's L = 12. Skip j of a layer is about output j - 1.

    Args:
        layers: L, the number of layers.

    Raises:
        InvalidSettings: L is below 1.
    """

    def __init__(self, layers: int = 12) -> None:
        require_integer("layers", layers, least=1)
        self.layers = layers
        decisions = []
        for number in range(1, layers + 1):
            decisions.append(Decision(f"layer_{number}/op", MACRO_OPERATIONS))
            decisions += [
                Decision(f"layer_{number}/skip_{skip}", SKIP_LABELS) for skip in range(1, number)
            ]
        super().__init__("ENASMacro", decisions)

    def decode(self, choices: ArrayLike) -> ENASMacroArchitecture:
        return ENASMacroArchitecture(_layers(self.check(choices).tolist()))

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, ENASMacroArchitecture):
            raise InvalidArchitecture(
                f"kind: {architecture.kind!r} is not in the ENAS macro search space; "
                "expected 'enas_macro'"
            )
        if len(architecture.layers) != self.layers:
            raise InvalidArchitecture(
                f"layers: {len(architecture.layers)} layers; this search space has {self.layers}"
            )
        return np.array(list(_layer_choices(architecture.layers)), dtype=np.int64)

    def sketch(self, prefix: Choices) -> MacroSketch:
        return MacroSketch(_layers(prefix.tolist()), self.layers)


class ENASCell(Cell):
    """A cell of ENAS's micro search space; its two inputs are numbered as all cells' are.

    ENAS numbers them the other way round, 0 the older and 1 the newer one, and so do its arcs and
    the decisions of `ENASMicroSearchSpace`.
    """

    operations: ClassVar[tuple[str, ...]] = MICRO_OPERATIONS
    combines: ClassVar[tuple[str, ...]] = (ADD,)
    inputs_may_end_loose: ClassVar[bool] = True
    block_name: ClassVar[str] = "node"
    first_block: ClassVar[int] = CELL_INPUTS


@dataclass(frozen=True)
class ENASMicroArchitecture(TwoCells, Architecture, kind="enas_micro"):
    """A normal cell and a reduction cell of ENAS's operations."""

    cell_type: ClassVar[type[Cell]] = ENASCell

    @classmethod
    def from_arc(cls, text: str) -> ENASMicroArchitecture:
        """The cells that the released scripts write as numbers, the normal cell's half first.

        Each node has four: index_1, op_1, index_2, op_2.

        Raises:
            InvalidArchitecture: the numbers do not make two cells, or one is not valid.
        """
        numbers = _numbers(text)
        if not numbers or len(numbers) % 8:
            raise InvalidArchitecture(
                f"arc: expected four numbers for each node of two equal cells, got {len(numbers)}"
            )
        half = len(numbers) // 2
        cells = []
        for part in (numbers[:half], numbers[half:]):
            fours = [part[start : start + 4] for start in range(0, half, 4)]
            blocks = tuple(_node(index1, index2, op1, op2) for index1, op1, index2, op2 in fours)
            cells.append(ENASCell.with_unused_concatenated(blocks))
        return cls(*cells)

    def to_arc(self) -> str:
        """The inverse of `from_arc`, for cells that follow the search's rule."""
        blocks = (*self.normal.blocks, *self.reduction.blocks)
        fours = [_node_choices(block) for block in blocks]
        return " ".join(f"{i1} {op1} {i2} {op2}" for i1, i2, op1, op2 in fours)


class ENASMicroSearchSpace(SearchSpace):
    """ENAS's cells as 8B decisions, 40 for the paper's B = 5, in the order of the controller.

    A node takes index_1, index_2, op_1, op_2; nodes are numbered from 2, after the two inputs.

    Args:
        blocks: B, the number of nodes that each cell computes.

    Raises:
        InvalidSettings: B is below 1.
    """

    def __init__(self, blocks: int = 5) -> None:
        require_integer("blocks", blocks, least=1)
        self.blocks = blocks
        super().__init__(
            "ENASMicro",
            [
                Decision(f"{cell}/{ENASCell.state_name(state)}/{name}", choices)
                for cell in ("normal", "reduction")
                for state in range(CELL_INPUTS, blocks + CELL_INPUTS)
                for name, choices in _node_decisions(state)
            ],
        )

    def decode(self, choices: ArrayLike) -> ENASMicroArchitecture:
        nodes = _nodes(self.check(choices).tolist())
        normal, reduction = nodes[: self.blocks], nodes[self.blocks :]
        return ENASMicroArchitecture(
            ENASCell.with_unused_concatenated(normal), ENASCell.with_unused_concatenated(reduction)
        )

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, ENASMicroArchitecture):
            raise InvalidArchitecture(
                f"kind: {architecture.kind!r} is not in the ENAS micro search space; "
                "expected 'enas_micro'"
            )
        choices: list[int] = []
        for name in ("normal", "reduction"):
            cell: Cell = getattr(architecture, name)
            cell.expect_searched(name, self.blocks)
            for block in cell.blocks:
                choices += _node_choices(block)
        return np.array(choices, dtype=np.int64)

    def sketch(self, prefix: Choices) -> CellsSketch:
        return CellsSketch.of_blocks(_nodes(prefix.tolist()), self.blocks, ENASCell)


def pooled_after(depth: int) -> tuple[int, ...]:
    """The layers, from 1, of a macro network of ``depth`` layers that a reduction follows."""
    return (depth // 3, 2 * (depth // 3)) if depth >= 3 else ()


def _check_layer(layer: MacroLayer, number: int) -> None:
    """Raise `InvalidArchitecture` unless the layer stands soundly as layer ``number``, from 1."""
    where = f"layers[{number - 1}]"
    if layer.operation not in MACRO_OPERATIONS:
        hint = choices_hint(layer.operation, MACRO_OPERATIONS)
        raise InvalidArchitecture(f"{where}.operation: {layer.operation!r} is not known; {hint}")
    sources = range(number - 1)
    for source in layer.skips:
        if type(source) is not int or source not in sources:
            valid = f"0 to {number - 2}" if sources else "none"
            raise InvalidArchitecture(
                f"{where}.skips: {source!r} is not an output that layer {number} can skip from; "
                f"valid choices: {valid}"
            )
    if list(layer.skips) != sorted(set(layer.skips)):
        raise InvalidArchitecture(f"{where}.skips: {list(layer.skips)} is not in ascending order")


def _layers(choices: Sequence[int]) -> tuple[MacroLayer, ...]:
    """The layers whose operation is among ``choices``, with the skips that are decided."""
    layers: list[MacroLayer] = []
    start = 0
    while start < len(choices):
        width = len(layers) + 1
        operation, *bits = choices[start : start + width]
        layers.append(MacroLayer(MACRO_OPERATIONS[operation], _sources(bits)))
        start += width
    return tuple(layers)


def _sources(bits: Sequence[int]) -> tuple[int, ...]:
    return tuple(source for source, bit in enumerate(bits) if bit)


def _layer_choices(layers: Sequence[MacroLayer]) -> Iterator[int]:
    for index, layer in enumerate(layers):
        yield MACRO_OPERATIONS.index(layer.operation)
        yield from (int(source in layer.skips) for source in range(index))


def _node_decisions(state: int) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The names and the choices of the four decisions about a node."""
    indices = tuple(ENASCell.state_name(_swapped(index)) for index in range(state))
    return (
        ("index_1", indices),
        ("index_2", indices),
        ("op_1", MICRO_OPERATIONS),
        ("op_2", MICRO_OPERATIONS),
    )


def _nodes(choices: Sequence[int]) -> tuple[Block, ...]:
    """The nodes that ``choices`` decide completely, of one cell after the other."""
    return tuple(_node(*choices[start : start + 4]) for start in range(0, len(choices) - 3, 4))


def _node(index1: int, index2: int, op1: int, op2: int) -> Block:
    labels = (_label(MICRO_OPERATIONS, op1), _label(MICRO_OPERATIONS, op2))
    return Block(_swapped(index1), _swapped(index2), *labels, ADD)


def _node_choices(block: Block) -> tuple[int, int, int, int]:
    hidden, labels = (block.hidden1, block.hidden2), (block.op1, block.op2)
    op1, op2 = (MICRO_OPERATIONS.index(label) for label in labels)
    return _swapped(hidden[0]), _swapped(hidden[1]), op1, op2


def _swapped(state: int) -> int:
    """ENAS's number of a hidden state as ours, or ours as ENAS's: the two inputs change places."""
    return 1 - state if 0 <= state < CELL_INPUTS else state


def _label(labels: tuple[str, ...], index: int) -> str:
    if index not in range(len(labels)):
        raise InvalidArchitecture(
            f"arc: {index} is no operation; valid choices: 0 to {len(labels) - 1}"
        )
    return labels[index]


def _numbers(text: str) -> list[int]:
    """The numbers of an arc."""
    try:
        return [int(word) for word in text.split()]
    except ValueError as error:
        raise InvalidArchitecture(f"arc: expected numbers and blanks, got {text!r}") from error
