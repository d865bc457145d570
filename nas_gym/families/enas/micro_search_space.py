"""ENAS's micro search space: two cells, of nodes with two inputs each.

Pham et al. 2018, https://arxiv.org/abs/1802.03268, section 2.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.families.enas.arcs import label_of, numbers_of
from nas_gym.search_spaces.arguments import Depth
from nas_gym.search_spaces.cells import ADD, CELL_INPUTS, CELLS, Block, Cell, TwoCells
from nas_gym.search_spaces.conditions import Decision
from nas_gym.search_spaces.two_cells import TwoCellsSearchSpace
from nas_gym.settings import validated

MICRO_OPERATIONS = (
    "separable_conv_3x3",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
    "identity",
)
"""The micro search space's operations, verbatim and in the order of the released code."""


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
        """Return the cells that the released scripts write as numbers, the normal cell's first.

        Each node has four: index_1, op_1, index_2, op_2. Other texts raise `InvalidArchitecture`.
        """
        numbers = numbers_of(text)
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
        """Return the arc of cells that follow the search's rule; see `from_arc`."""
        fours = map(_node_choices, (*self.normal.blocks, *self.reduction.blocks))
        return " ".join(f"{i1} {op1} {i2} {op2}" for i1, i2, op1, op2 in fours)


class ENASMicroSearchSpace(TwoCellsSearchSpace[ENASMicroArchitecture]):
    """ENAS's cells as 8B decisions, 40 for the paper's B = 5, in the order of the controller.

    A node takes index_1, index_2, op_1, op_2; nodes are numbered from 2, after the two inputs.

    Args:
        blocks: B, the number of nodes that each cell computes, up to 256.

    Raises:
        InvalidSettings: B is out of its range.
    """

    architecture_type = ENASMicroArchitecture

    @validated
    def __init__(self, blocks: Depth = 5) -> None:
        self.blocks = blocks
        decisions: list[Decision] = []
        for cell, state in product(CELLS, range(CELL_INPUTS, blocks + CELL_INPUTS)):
            indices = tuple(ENASCell.state_name(_swapped(index)) for index in range(state))
            choices = (indices, indices, MICRO_OPERATIONS, MICRO_OPERATIONS)
            where = f"{cell}/{ENASCell.state_name(state)}"
            names = [f"{where}/{name}" for name in ("index_1", "index_2", "op_1", "op_2")]
            decisions += map(Decision, names, choices)
        super().__init__("ENASMicro", decisions)

    def _block(self, choices: list[int]) -> Block:
        return _node(*choices)

    def _block_choices(self, block: Block, where: str) -> tuple[int, ...]:
        return _node_choices(block)


def _node(index1: int, index2: int, op1: int, op2: int) -> Block:
    labels = (label_of(MICRO_OPERATIONS, op1), label_of(MICRO_OPERATIONS, op2))
    return Block(_swapped(index1), _swapped(index2), *labels, ADD)


def _node_choices(block: Block) -> tuple[int, int, int, int]:
    op1, op2 = MICRO_OPERATIONS.index(block.op1), MICRO_OPERATIONS.index(block.op2)
    return _swapped(block.hidden1), _swapped(block.hidden2), op1, op2


def _swapped(state: int) -> int:
    """Return ENAS's number of a hidden state as ours, or ours as ENAS's: inputs change places."""
    return 1 - state if 0 <= state < CELL_INPUTS else state
