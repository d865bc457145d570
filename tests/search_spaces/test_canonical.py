"""`Cell.canonical` and `Architecture.key`: equal for the same network, and for no other."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym.search_spaces.cells import (
    ADD,
    COMBINES,
    CONCATENATE,
    OPERATIONS,
    Block,
    Cell,
    CellArchitecture,
)
from tests.helpers import random_architecture

SEEDS = st.integers(0, 2**32 - 1)


def key(cell: Cell) -> str:
    return CellArchitecture(cell, cell).key


def random_cell(rng: np.random.Generator) -> Cell:
    """A cell of 1 to 6 blocks, of few operations so that blocks are often alike."""
    operations = OPERATIONS[: rng.integers(1, 4)]
    blocks = []
    for index in range(rng.integers(1, 7)):
        hidden1, hidden2 = rng.integers(index + 2, size=2).tolist()
        op1, op2 = rng.choice(operations, 2).tolist()
        blocks.append(Block(hidden1, hidden2, op1, op2, rng.choice(COMBINES).item()))
    cell = Cell.with_unused_concatenated(tuple(blocks))
    others = [s for s in range(len(blocks) + 2) if s not in cell.concat and rng.random() < 0.2]
    return replace(cell, concat=(*cell.concat, *others))


def renumbered(cell: Cell, order: tuple[int, ...], swapped: tuple[bool, ...]) -> Cell | None:
    """The cell with its blocks in this order, and these blocks' halves swapped.

    None if the order puts a block before one that it uses.
    """
    number = {0: 0, 1: 1}
    blocks = []
    for new, old in enumerate(order):
        block = cell.blocks[old]
        if block.hidden1 not in number or block.hidden2 not in number:
            return None
        halves = [(number[block.hidden1], block.op1), (number[block.hidden2], block.op2)]
        if swapped[old]:
            halves.reverse()
        (hidden1, op1), (hidden2, op2) = halves
        blocks.append(Block(hidden1, hidden2, op1, op2, block.combine))
        number[old + 2] = new + 2
    return Cell(tuple(blocks), tuple(sorted(number[state] for state in cell.concat)))


def shuffled(cell: Cell, rng: np.random.Generator) -> Cell:
    """The same network, chosen in another order: a random topological one."""
    known = {0, 1}
    order: list[int] = []
    while len(order) < len(cell.blocks):
        ready = [
            index
            for index, block in enumerate(cell.blocks)
            if index not in order and {block.hidden1, block.hidden2} <= known
        ]
        order.append(int(rng.choice(ready)))
        known.add(order[-1] + 2)
    swapped = tuple((rng.random(len(order)) < 0.5).tolist())
    same = renumbered(cell, tuple(order), swapped)
    assert same is not None
    return replace(same, concat=tuple(rng.permutation(same.concat).tolist()))


def all_cells(
    blocks: int, operations: tuple[str, ...], combines: tuple[str, ...]
) -> Iterator[Cell]:
    """Every cell of so many blocks with every possible concatenation."""
    choices = []
    for states in range(2, blocks + 2):
        hidden = range(states)
        choices.append(
            [Block(*five) for five in product(hidden, hidden, operations, operations, combines)]
        )
    for chosen in product(*choices):
        cell = Cell.with_unused_concatenated(chosen)
        others = [state for state in range(blocks + 2) if state not in cell.concat]
        for added in chain.from_iterable(combinations(others, n) for n in range(len(others) + 1)):
            yield replace(cell, concat=tuple(sorted((*cell.concat, *added))))


def same_networks(cell: Cell) -> frozenset[Cell]:
    """Every way to choose the same network: all orders of blocks, all swaps of halves."""
    size = len(cell.blocks)
    forms = (
        renumbered(cell, order, swapped)
        for order in permutations(range(size))
        for swapped in product((False, True), repeat=size)
    )
    return frozenset(form for form in forms if form is not None)


@given(seed=SEEDS)
def test_the_order_of_choosing_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = random_cell(rng)
    same = shuffled(cell, rng)
    assert same.canonical() == cell.canonical()
    assert key(same) == key(cell)


@given(seed=SEEDS)
def test_canonical_is_idempotent_and_the_same_network(seed: int) -> None:
    cell = random_cell(np.random.default_rng(seed))
    canonical = cell.canonical()
    assert canonical.canonical() == canonical
    assert len(canonical.blocks) == len(cell.blocks)
    if len(cell.blocks) <= 4:
        assert canonical in same_networks(replace(cell, concat=tuple(sorted(cell.concat))))


@given(seed=SEEDS)
def test_another_operation_or_combination_gives_another_key(seed: int) -> None:
    rng = np.random.default_rng(seed)
    cell = random_cell(rng)
    index = rng.integers(len(cell.blocks))
    block = cell.blocks[index]
    operation = str(rng.choice([label for label in OPERATIONS if label != block.op1]))
    combination = CONCATENATE if block.combine == ADD else ADD
    for other in (replace(block, op1=operation), replace(block, combine=combination)):
        blocks = (*cell.blocks[:index], other, *cell.blocks[index + 1 :])
        assert key(replace(cell, blocks=blocks)) != key(cell)


@given(seed=SEEDS)
def test_another_concatenation_gives_another_key(seed: int) -> None:
    cell = random_cell(np.random.default_rng(seed))
    for state in range(len(cell.blocks) + 2):
        if state not in cell.concat:
            assert key(replace(cell, concat=(*cell.concat, state))) != key(cell)


def test_the_two_inputs_are_not_interchangeable() -> None:
    newer, older = (Block(state, state, "identity", "identity", ADD) for state in (0, 1))
    assert key(Cell((newer,), (2,))) != key(Cell((older,), (2,)))


def test_operations_stay_with_their_hidden_states() -> None:
    straight = Block(0, 1, "identity", "3x3 max pooling", ADD)
    crossed = Block(1, 0, "identity", "3x3 max pooling", ADD)
    assert key(Cell((straight,), (2,))) != key(Cell((crossed,), (2,)))


def test_each_cell_of_an_architecture_is_canonical_by_itself() -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        architecture = random_architecture(seed)
        same = CellArchitecture(
            shuffled(architecture.normal, rng), shuffled(architecture.reduction, rng)
        )
        assert same.key == architecture.key
        assert CellArchitecture(architecture.reduction, architecture.normal).key != same.key


@pytest.mark.parametrize(
    ("blocks", "operations", "combines"),
    [
        (2, ("identity",), COMBINES),
        (2, ("3x3 convolution", "identity"), (ADD,)),
        (3, ("identity",), (ADD,)),
    ],
)
def test_keys_part_all_cells_exactly_as_isomorphism_does(
    blocks: int, operations: tuple[str, ...], combines: tuple[str, ...]
) -> None:
    classes: dict[frozenset[Cell], set[Cell]] = {}
    for cell in all_cells(blocks, operations, combines):
        classes.setdefault(same_networks(cell), set()).add(cell)
    canonical_forms = [{cell.canonical() for cell in members} for members in classes.values()]
    assert all(len(forms) == 1 for forms in canonical_forms)
    assert len(set.union(*canonical_forms)) == len(classes)


def test_many_alike_blocks_are_numbered_in_reasonable_time() -> None:
    alike = [Block(0, 0, "identity", "identity", ADD)] * 6
    last = [Block(2 + k, 7 + k, "identity", "identity", ADD) for k in range(6)]
    cell = Cell.with_unused_concatenated((*alike, *last))
    same = shuffled(cell, np.random.default_rng(0))
    assert same != cell
    assert key(same) == key(cell)


def test_an_input_that_no_block_uses_is_not_concatenated() -> None:
    block = Block(0, 0, "identity", "identity", ADD)
    assert Cell.with_unused_concatenated((block, block)).concat == (2, 3)


def test_of_too_many_numberings_the_first_ones_are_compared() -> None:
    """28 blocks, of which 14 are alike, have more than 14! numberings."""
    alike = [Block(0, 0, "identity", "identity", ADD)] * 14
    last = [Block(2 + k, 2 + (k + 1) % 14, "identity", "identity", ADD) for k in range(14)]
    cell = Cell.with_unused_concatenated((*alike, *last))
    canonical = shuffled(cell, np.random.default_rng(0)).canonical()
    assert canonical.blocks[:14] == cell.blocks[:14]
    assert canonical.concat == cell.concat
