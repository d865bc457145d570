"""Cells, of which the children of NASNet are made, and those of families that follow it.

A cell is a small graph. Its hidden states are numbered as in the NASNet paper (Zoph et al. 2018,
section 3): 0 is h_i, the output of the cell before; 1 is h_{i-1}, the output of the one before
that; 2, 3, ... are the outputs of the cell's blocks. A block applies an operation to each of two
earlier states and combines the results. The cell's output concatenates some of its states.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar, TypeAlias

from typing_extensions import Self

from nas_gym.architecture import (
    MOST_LAYERS,
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_length,
    expect_list,
)
from nas_gym.outside.json_text import short

OPERATIONS = (
    "identity",
    "1x3 then 3x1 convolution",
    "1x7 then 7x1 convolution",
    "3x3 dilated convolution",
    "3x3 average pooling",
    "3x3 max pooling",
    "5x5 max pooling",
    "7x7 max pooling",
    "1x1 convolution",
    "3x3 convolution",
    "3x3 depthwise-separable conv",
    "5x5 depthwise-seperable conv",
    "7x7 depthwise-separable conv",
)
"""NASNet's operations, verbatim (paper, section 3; "seperable" is the paper's own spelling)."""

ADD = "element-wise addition between two hidden states"
CONCATENATE = "concatenation between two hidden states along the filter dimension"
COMBINES = (ADD, CONCATENATE)
"""NASNet's two ways to combine, verbatim (paper, section 3, step 5)."""

CELL_INPUTS = 2
CELLS = ("normal", "reduction")
_BLOCK_FIELDS = ("hidden1", "hidden2", "op1", "op2", "combine")
_WORK = 10**6  # numberings that are compared, times the square of the number of blocks


@dataclass(frozen=True)
class Block:
    """Five choices: two hidden states, an operation for each, and how to combine the results."""

    hidden1: int
    hidden2: int
    op1: str
    op2: str
    combine: str

    @property
    def inputs(self) -> tuple[tuple[int, str], tuple[int, str]]:
        """The two (hidden state, operation) pairs."""
        return (self.hidden1, self.op1), (self.hidden2, self.op2)


@dataclass(frozen=True)
class Cell:
    """Blocks in the order of their hidden states, and the states that the output concatenates.

    A family with other operations than NASNet's subclasses it and names them. A block takes earlier
    states alone, and its own output reaches the cell's, or there is `InvalidArchitecture`.
    """

    operations: ClassVar[tuple[str, ...]] = OPERATIONS
    combines: ClassVar[tuple[str, ...]] = COMBINES
    inputs_may_end_loose: ClassVar[bool] = False
    """True where the search's rule also concatenates a cell input that no block uses."""
    block_name: ClassVar[str] = "block"
    first_block: ClassVar[int] = 1
    """The family's name of a block, and the number of the first one."""

    blocks: tuple[Block, ...]
    concat: tuple[int, ...]

    def __post_init__(self) -> None:
        for name in ("blocks", "concat"):
            object.__setattr__(self, name, tuple(expect_list(getattr(self, name), name)))
        expect_length(self.blocks, MOST_LAYERS, "blocks")
        for index, block in enumerate(self.blocks):
            self._check_block(block, index)
        _check_concat(self.concat, len(self.blocks))
        for state in _unused(self.blocks):
            if state not in self.concat:
                what = f"hidden state {state} (blocks[{state - CELL_INPUTS}])"
                loose = "is neither used by a block nor concatenated; add it to concat"
                raise InvalidArchitecture(f"concat: {what} {loose}")

    @classmethod
    def with_unused_concatenated(cls, blocks: tuple[Block, ...]) -> Self:
        """Return a cell by the search's rule: states that no block uses are concatenated."""
        return cls(blocks, _unused(blocks, 0 if cls.inputs_may_end_loose else CELL_INPUTS))

    @classmethod
    def state_name(cls, state: int) -> str:
        """Return the family's name of hidden state number ``state``."""
        if state < CELL_INPUTS:
            return ("h_i", "h_{i-1}")[state]
        return f"{cls.block_name}_{state - CELL_INPUTS + cls.first_block}"

    def expect_searched(self, name: str, blocks: int) -> None:
        """Raise `InvalidArchitecture` unless a search for ``blocks`` blocks can find the cell."""
        if len(self.blocks) != blocks:
            found = f"{len(self.blocks)} blocks; this search space has {blocks}"
            raise InvalidArchitecture(f"{name}.blocks: {found}")
        rule = self.with_unused_concatenated(self.blocks).concat
        if sorted(self.concat) != list(rule):
            raise InvalidArchitecture(
                f"{name}.concat: {list(self.concat)} is not what the search's rule gives, "
                f"{list(rule)} (the {'states' if self.inputs_may_end_loose else 'blocks'} that no "
                "block uses); Cell.with_unused_concatenated(cell.blocks) follows it"
            )

    def canonical(self) -> Self:
        """Return the same cell with its blocks, their halves and ``concat`` in a fixed order.

        Addition is symmetric; the order of a concatenation only permutes filters, which the
        convolutions after it learn; and blocks may be numbered in any order in which each comes
        after the ones it uses. Of all such numberings this takes the smallest.

        Cells of very many blocks that are alike have too many numberings; of those it takes the
        smallest of the first ones, which then depends on the order of the cell's blocks.
        """
        most = max(1, _WORK // len(self.blocks) ** 2)
        codes, concat = min(islice(_numberings(self), most))
        blocks = [Block(h1, h2, op1, op2, combine) for (h1, op1), (h2, op2), combine in codes]
        return type(self)(tuple(blocks), concat)

    def body(self) -> dict[str, Any]:
        """Return the cell as plain JSON data."""
        return {"blocks": [dict(vars(block)) for block in self.blocks], "concat": list(self.concat)}

    @classmethod
    def from_body(cls, data: object) -> Self:
        """Return the cell that `body` gives this data for; raise `InvalidArchitecture`."""
        fields = expect_fields(data, ("blocks", "concat"), "cell")
        items = enumerate(expect_list(fields["blocks"], "blocks"))
        blocks = [Block(**expect_fields(item, _BLOCK_FIELDS, f"blocks[{i}]")) for i, item in items]
        return cls(tuple(blocks), fields["concat"])

    def _check_block(self, block: Block, index: int) -> None:
        """Raise `InvalidArchitecture` unless the block stands soundly at place ``index``."""
        where = f"blocks[{index}]"
        for name in ("hidden1", "hidden2"):
            hidden = getattr(block, name)
            if type(hidden) is not int or not 0 <= hidden < index + CELL_INPUTS:
                wrong = f"{short(hidden)} is not a hidden state that exists before this block"
                valid = f"valid choices: 0 to {index + CELL_INPUTS - 1}"
                raise InvalidArchitecture(f"{where}.{name}: {wrong}; {valid}")
        expect_label(block.op1, self.operations, f"{where}.op1")
        expect_label(block.op2, self.operations, f"{where}.op2")
        expect_label(block.combine, self.combines, f"{where}.combine")


@dataclass(frozen=True)
class TwoCells:
    """The part that all families of two cells share; no `Architecture` by itself."""

    cell_type: ClassVar[type[Cell]] = Cell

    normal: Cell
    reduction: Cell

    def __post_init__(self) -> None:
        for name in CELLS:
            given, expected = type(getattr(self, name)).__name__, self.cell_type.__name__
            if type(getattr(self, name)) is not self.cell_type:
                raise InvalidArchitecture(f"{name}: expected a {expected}, got a {given}")

    def canonical(self) -> Self:
        return replace(self, normal=self.normal.canonical(), reduction=self.reduction.canonical())

    def sketch(self) -> CellsSketch:
        cells = zip(CELLS, (self.normal, self.reduction), strict=True)
        sketches = tuple(CellSketch(name, cell.blocks, cell.concat) for name, cell in cells)
        most_blocks = max(len(self.normal.blocks), len(self.reduction.blocks))
        return CellsSketch(sketches, most_blocks, cell_type=self.cell_type)

    def body(self) -> dict[str, Any]:
        return {"normal": self.normal.body(), "reduction": self.reduction.body()}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> Self:
        expect_fields(body, CELLS, "architecture")
        cells = {}
        for name in CELLS:
            try:
                cells[name] = cls.cell_type.from_body(body[name])
            except InvalidArchitecture as error:
                raise InvalidArchitecture(f"{name}.{error}") from error
        return cls(**cells)


@dataclass(frozen=True)
class CellArchitecture(TwoCells, Architecture, kind="cells"):
    """A normal cell and a reduction cell, from which a whole network is stacked."""


@dataclass(frozen=True)
class CellSketch:
    """As much of a cell as is decided: complete blocks, and no concatenation before the last."""

    name: str
    blocks: tuple[Block, ...]
    concat: tuple[int, ...] | None = None


@dataclass(frozen=True)
class CellsSketch:
    """As much of a `CellArchitecture` as is decided, for drawings."""

    cells: tuple[CellSketch, ...]
    most_blocks: int
    """Number of blocks of a complete cell."""
    fixed: bool = False
    """True where every picture has the same size, as the frames of an episode do."""
    cell_type: type[Cell] = Cell


def _unused(blocks: Sequence[Block], first: int = CELL_INPUTS) -> tuple[int, ...]:
    """Return the hidden states, from number ``first`` on, that no block uses."""
    used = {hidden for block in blocks for hidden, _ in block.inputs}
    return tuple(s for s in range(first, len(blocks) + CELL_INPUTS) if s not in used)


def _check_concat(concat: tuple[int, ...], blocks: int) -> None:
    last = blocks + CELL_INPUTS - 1
    if not concat:
        raise InvalidArchitecture("concat: a cell concatenates at least one hidden state")
    for state in concat:
        if type(state) is not int or not 0 <= state <= last:
            valid = f"valid choices: 0 to {last}"
            raise InvalidArchitecture(f"concat: {short(state)} is not a hidden state; {valid}")
    if len(set(concat)) != len(concat):
        raise InvalidArchitecture(f"concat: {short(list(concat))} names a hidden state twice")


_BlockCode: TypeAlias = tuple[tuple[int, str], tuple[int, str], str]
"""A block's two (hidden state, operation) pairs in order, and how it combines them."""
_Numberings: TypeAlias = Iterator[tuple[list[_BlockCode], tuple[int, ...]]]


def _code(block: Block, number: Mapping[int, int]) -> _BlockCode:
    """Return the block under new state numbers."""
    first, second = sorted((number[hidden], op) for hidden, op in block.inputs)
    return first, second, block.combine


def _numberings(cell: Cell) -> _Numberings:
    """Yield numberings of the cell's blocks: the codes of all, and the concatenated states.

    Every step takes the smallest block among those whose inputs are numbered, so the smallest of
    all numberings is among them. It branches only where two blocks are alike so far and what
    follows could distinguish them.
    """
    unused = set(_unused(cell.blocks))

    def extend(codes: list[_BlockCode], number: dict[int, int]) -> _Numberings:
        if len(codes) == len(cell.blocks):
            yield codes, tuple(sorted(number[state] for state in cell.concat))
            return
        ready = [
            (_code(block, number), state)
            for state, block in enumerate(cell.blocks, start=CELL_INPUTS)
            if state not in number and block.hidden1 in number and block.hidden2 in number
        ]
        smallest = min(code for code, _ in ready)
        alike = [state for code, state in ready if code == smallest]
        ends = [state for state in alike if state in unused]
        for state in [state for state in alike if state not in unused] + ends[:1]:
            yield from extend([*codes, smallest], {**number, state: len(number)})

    return extend([], {0: 0, 1: 1})
