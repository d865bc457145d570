"""The NASNet search space (Zoph et al. 2018, https://arxiv.org/abs/1707.07012, section 3).

Two cells, normal and reduction, of B blocks each. A block takes five decisions in the order of the
paper's steps 1 to 5: hidden state 1, hidden state 2, operation 1, operation 2, combine. Block b
chooses among b + 1 hidden states: the two inputs and the outputs of the blocks before it. The
normal cell's 5B decisions come first, then the reduction cell's.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings, choices_hint, require, require_integer
from nas_gym.search_spaces.base import Choices, Decision, SearchSpace
from nas_gym.search_spaces.cells import (
    COMBINES,
    OPERATIONS,
    Block,
    Cell,
    CellArchitecture,
    CellsSketch,
)

CELLS = ("normal", "reduction")
BLOCK_DECISIONS = ("hidden_1", "hidden_2", "op_1", "op_2", "combine")


class NASNetSearchSpace(SearchSpace):
    """NASNet's cells as 10B decisions: 50 for the paper's B = 5.

    Args:
        blocks: B, the number of blocks in each cell.
        operations: The operations to choose from; default: the paper's 13.
        combines: The ways to combine to choose from; default: the paper's two.

    Raises:
        InvalidSettings: B is below 1, or an operation or a combine does not exist.
    """

    architecture_type = CellArchitecture

    def __init__(
        self,
        blocks: int = 5,
        operations: Iterable[str] | None = None,
        combines: Iterable[str] | None = None,
    ) -> None:
        require_integer("blocks", blocks, least=1)
        self.blocks = blocks
        self.operations = _subset("operations", operations, OPERATIONS)
        self.combines = _subset("combines", combines, COMBINES)
        super().__init__("NASNet", [d for cell in CELLS for d in self._cell_decisions(cell)])

    def _cell_decisions(self, cell: str) -> list[Decision]:
        decisions = []
        for block in range(1, self.blocks + 1):
            states = tuple(Cell.state_name(state) for state in range(block + 1))
            labels = (states, states, self.operations, self.operations, self.combines)
            decisions += [
                Decision(f"{cell}/block_{block}/{name}", choices)
                for name, choices in zip(BLOCK_DECISIONS, labels, strict=True)
            ]
        return decisions

    def decode(self, choices: ArrayLike) -> CellArchitecture:
        blocks = self._blocks(self.check(choices))
        normal, reduction = blocks[: self.blocks], blocks[self.blocks :]
        return CellArchitecture(
            Cell.with_unused_concatenated(normal), Cell.with_unused_concatenated(reduction)
        )

    def sketch(self, prefix: Choices) -> CellsSketch:
        return CellsSketch.of_blocks(self._blocks(prefix), self.blocks, Cell)

    def _blocks(self, prefix: Choices) -> tuple[Block, ...]:
        """The blocks that ``prefix`` has decided completely, of one cell after the other."""
        width = len(BLOCK_DECISIONS)
        blocks = []
        for start in range(0, len(prefix) - width + 1, width):
            hidden1, hidden2, op1, op2, combine = map(int, prefix[start : start + width])
            labels = (self.operations[op1], self.operations[op2], self.combines[combine])
            blocks.append(Block(hidden1, hidden2, *labels))
        return tuple(blocks)

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, CellArchitecture):
            raise InvalidArchitecture(
                f"kind: {architecture.kind!r} is not in the NASNet search space; expected 'cells'"
            )
        cells = (architecture.normal, architecture.reduction)
        choices = [
            c for name, cell in zip(CELLS, cells, strict=True) for c in self._cell(name, cell)
        ]
        return np.array(choices, dtype=np.int64)

    def _cell(self, name: str, cell: Cell) -> list[int]:
        """The cell's 5B choices."""
        cell.expect_searched(name, self.blocks)
        choices = []
        for index, block in enumerate(cell.blocks):
            where = f"{name}.blocks[{index}]"
            choices += [
                block.hidden1,
                block.hidden2,
                _index(self.operations, block.op1, f"{where}.op1"),
                _index(self.operations, block.op2, f"{where}.op2"),
                _index(self.combines, block.combine, f"{where}.combine"),
            ]
        return choices


def _subset(name: str, given: Iterable[str] | None, valid: tuple[str, ...]) -> tuple[str, ...]:
    """``given`` as a tuple of distinct known labels; all of them for None."""
    if given is None:
        return valid
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise InvalidSettings(f"{name}: expected a list of labels, got {given!r}")
    labels = tuple(given)
    require(bool(labels), f"{name}: the list is empty; {choices_hint('', valid)}")
    for label in labels:
        require(label in valid, f"{name}: {label!r} does not exist; {choices_hint(label, valid)}")
    require(len(set(labels)) == len(labels), f"{name}: a label stands twice in {list(labels)}")
    return labels


def _index(labels: tuple[str, ...], label: str, where: str) -> int:
    if label not in labels:
        hint = choices_hint(label, labels)
        raise InvalidArchitecture(f"{where}: {label!r} is not in this search space; {hint}")
    return labels.index(label)
