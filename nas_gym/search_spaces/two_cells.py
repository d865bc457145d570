"""Search spaces of two cells, whose blocks are chosen one after the other."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from nas_gym.search_spaces.base import A_co, Choices, SearchSpace
from nas_gym.search_spaces.cells import CELLS, Block, Cell, CellSketch, CellsSketch


class TwoCellsSearchSpace(SearchSpace[A_co]):
    """The blocks of a normal cell, then those of a reduction cell; each takes as many decisions.

    A subclass converts the choices of one block, and its `architecture_type` is a `TwoCells`.
    """

    blocks: int
    """B, the number of blocks in each cell."""

    @abstractmethod
    def _block(self, choices: list[int]) -> Block:
        """Return the block of its choices."""

    @abstractmethod
    def _block_choices(self, block: Block, where: str) -> Sequence[int]:
        """Return the choices of a block; ``where`` is its place, for messages."""

    def _decode(self, choices: list[int]) -> A_co:
        by_rule = self.architecture_type.cell_type.with_unused_concatenated
        architecture: A_co = self.architecture_type(*map(by_rule, self._cells(choices)))
        return architecture

    def sketch(self, prefix: Choices) -> CellsSketch:
        cell_type = self.architecture_type.cell_type
        cells = []
        for name, blocks in zip(CELLS, self._cells(prefix.tolist()), strict=True):
            complete = len(blocks) == self.blocks
            concat = cell_type.with_unused_concatenated(blocks).concat if complete else None
            cells.append(CellSketch(name, blocks, concat))
        return CellsSketch(tuple(cells), self.blocks, fixed=True, cell_type=cell_type)

    def _cells(self, prefix: list[int]) -> tuple[tuple[Block, ...], tuple[Block, ...]]:
        """Return the blocks that ``prefix`` has decided completely, of each cell."""
        width = len(self.decisions) // (2 * self.blocks)
        starts = range(0, len(prefix) - width + 1, width)
        blocks = tuple(self._block(prefix[start : start + width]) for start in starts)
        return blocks[: self.blocks], blocks[self.blocks :]

    def _encode(self, architecture: Any) -> list[int]:
        choices: list[int] = []
        for name in CELLS:
            cell: Cell = getattr(architecture, name)
            cell.expect_searched(name, self.blocks)
            for index, block in enumerate(cell.blocks):
                choices += self._block_choices(block, f"{name}.blocks[{index}]")
        return choices
