"""The NASNet search space (Zoph et al. 2018, https://arxiv.org/abs/1707.07012, section 3).

Two cells, normal and reduction, of B blocks each. A block takes five decisions in the order of the
paper's steps 1 to 5: hidden state 1, hidden state 2, operation 1, operation 2, combine. Block b
chooses among b + 1 hidden states: the two inputs and the outputs of the blocks before it. The
normal cell's 5B decisions come first, then the reduction cell's.
"""

from __future__ import annotations

from nas_gym.search_spaces.arguments import Depth, Distinct, subset
from nas_gym.search_spaces.base import choice_of
from nas_gym.search_spaces.cells import CELLS, COMBINES, OPERATIONS, Block, Cell, CellArchitecture
from nas_gym.search_spaces.conditions import Decision
from nas_gym.search_spaces.two_cells import TwoCellsSearchSpace
from nas_gym.settings import validated

BLOCK_DECISIONS = ("hidden_1", "hidden_2", "op_1", "op_2", "combine")


class NASNetSearchSpace(TwoCellsSearchSpace[CellArchitecture]):
    """NASNet's cells as 10B decisions: 50 for the paper's B = 5.

    Args:
        blocks: B, the number of blocks in each cell, up to 256.
        operations: The operations to choose from; default: the paper's 13.
        combines: The ways to combine to choose from; default: the paper's two.

    Raises:
        InvalidSettings: B is out of its range, or an operation or a combine does not exist.
    """

    architecture_type = CellArchitecture

    @validated
    def __init__(
        self,
        blocks: Depth = 5,
        operations: Distinct[str] | None = None,
        combines: Distinct[str] | None = None,
    ) -> None:
        self.blocks = blocks
        self.operations = subset("operations", operations, OPERATIONS)
        self.combines = subset("combines", combines, COMBINES)
        super().__init__("NASNet", [d for cell in CELLS for d in self._cell_decisions(cell)])

    def _cell_decisions(self, cell: str) -> list[Decision]:
        decisions: list[Decision] = []
        for block in range(1, self.blocks + 1):
            states = tuple(map(Cell.state_name, range(block + 1)))
            labels = (states, states, self.operations, self.operations, self.combines)
            names = (f"{cell}/block_{block}/{name}" for name in BLOCK_DECISIONS)
            decisions += map(Decision, names, labels)
        return decisions

    def _block(self, choices: list[int]) -> Block:
        hidden1, hidden2, op1, op2, combine = choices
        operations = self.operations
        return Block(hidden1, hidden2, operations[op1], operations[op2], self.combines[combine])

    def _block_choices(self, block: Block, where: str) -> list[int]:
        op1 = choice_of(self.operations, block.op1, f"{where}.op1")
        op2 = choice_of(self.operations, block.op2, f"{where}.op2")
        combine = choice_of(self.combines, block.combine, f"{where}.combine")
        return [block.hidden1, block.hidden2, op1, op2, combine]
