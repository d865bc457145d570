"""The numberings of a cell's blocks, among which its canonical form is the smallest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from nas_gym.search_spaces.cells import Block, Cell

BlockCode: TypeAlias = tuple[tuple[int, str], tuple[int, str], str]
"""A block's two (hidden state, operation) pairs in order, and how it combines them."""
Numbering: TypeAlias = tuple[list[BlockCode], tuple[int, ...]]
"""The codes of all blocks, and the concatenated states."""

_WORK = 10**6  # numberings that are compared, times the square of the number of blocks


def smallest_numbering(cell: Cell) -> Numbering:
    """Return the smallest of all numberings of a cell's blocks.

    Cells of very many blocks that are alike have too many numberings; of those it takes the
    smallest of the first ones, which then depends on the order of the cell's blocks.
    """
    return min(islice(_numberings(cell), max(1, _WORK // len(cell.blocks) ** 2)))


def _code(block: Block, number: Mapping[int, int]) -> BlockCode:
    """Return the block under new state numbers, its two halves in order."""
    (hidden1, op1), (hidden2, op2) = block.inputs
    first, second = sorted(((number[hidden1], op1), (number[hidden2], op2)))
    return first, second, block.combine


def _numberings(cell: Cell) -> Iterator[Numbering]:
    """Yield numberings of the cell's blocks.

    Every step takes the smallest block among those whose inputs are numbered, so the smallest of
    all numberings is among them. It branches only where two blocks are alike so far and what
    follows could distinguish them.
    """
    used = {hidden for block in cell.blocks for hidden, _ in block.inputs}

    def extend(codes: list[BlockCode], number: dict[int, int]) -> Iterator[Numbering]:
        if len(codes) == len(cell.blocks):
            yield codes, tuple(sorted(number[state] for state in cell.concat))
            return
        ready = [
            (_code(block, number), state)
            for state, block in enumerate(cell.blocks, start=2)
            if state not in number and block.hidden1 in number and block.hidden2 in number
        ]
        smallest = min(code for code, _ in ready)
        alike = [state for code, state in ready if code == smallest]
        ends = [state for state in alike if state not in used]
        for state in [state for state in alike if state in used] + ends[:1]:
            yield from extend([*codes, smallest], {**number, state: len(number)})

    return extend([], {0: 0, 1: 1})
