"""NAS's recurrent cells: decisions, size, trees that are the same network, drawings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import InvalidArchitecture, InvalidSettings, NASCellSearchSpace, published
from nas_gym.families.nascell.published import NASCELL
from nas_gym.families.nascell.search_space import NASCellArchitecture, children_of
from nas_gym.rendering import overlaps, write

SEEDS = st.integers(0, 2**32 - 1)


def test_decisions_are_the_papers() -> None:
    search_space = NASCellSearchSpace()
    names = [decision.name for decision in search_space.decisions]
    assert len(names) == 34
    assert names[:3] == ["node_0/combination", "node_0/activation", "node_1/combination"]
    assert names[-4:-2] == ["cell_inject/combination", "cell_inject/activation"]
    assert names[-2:] == ["cell_index/new", "cell_index/previous"]
    assert search_space.size == 8**16 * 15**2 == 63_331_869_759_897_600
    assert len(NASCellSearchSpace(2).decisions) == 10
    assert NASCellSearchSpace(2, more_functions=True).size == (3 * 5) ** 4 * 3**2


def mirrored(architecture: NASCellArchitecture, rng: np.random.Generator) -> NASCellArchitecture:
    """The same tree with the children of random nodes exchanged."""
    base, size = architecture.base, len(architecture.nodes)
    order = [size - 1]  # of each place from the root down, the node that comes there
    for node in order:
        children = children_of(node, base)
        order += children[::-1] if rng.random() < 0.5 else children
    levels, start = [], 0
    while start < size:
        levels.append(order[start : 2 * start + 1])
        start = 2 * start + 1
    placed = [node for level in reversed(levels) for node in level]
    new, previous = (placed.index(index) for index in architecture.cell_indices)
    nodes = tuple(architecture.nodes[node] for node in placed)
    return NASCellArchitecture(nodes, architecture.cell_inject, (new, previous))


@given(seed=SEEDS)
def test_the_order_of_children_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    search_space = NASCellSearchSpace()
    architecture = search_space.decode(search_space.sample(rng))
    same = mirrored(architecture, rng)
    assert same.canonical() == architecture.canonical() == architecture.canonical().canonical()
    choices = search_space.encode(same)
    choices[-3] = (choices[-3] + 1) % 4  # another activation after the cell inject
    assert search_space.decode(choices).key != same.key


def test_small_trees_have_as_many_keys_as_networks() -> None:
    """Base 2 with fixed cell: of two leaves, unordered pairs; checked against brute force."""
    nodes = [(c, a) for c in ("add", "elem_mult") for a in ("tanh", "relu")]
    cells = [
        NASCellArchitecture((one, other, ("add", "tanh")), ("add", "tanh"), (2, 2))
        for one in nodes
        for other in nodes
    ]
    assert len({cell.key for cell in cells}) == 10
    marked = {NASCellArchitecture(cell.nodes, cell.cell_inject, (0, 2)).key for cell in cells}
    assert len(marked) == 16  # c_t is read at one of the leaves, so that they differ


def test_the_released_cell_is_known_by_its_name_and_written_as_a_tree() -> None:
    assert published("NASCell") == NASCELL
    lines = write(NASCELL).splitlines()
    assert lines[8] == "  a8 = tanh(add(tanh(elem_mult(a0, a1)), c(t-1)))"
    assert lines[12] == "  a12 = identity(c(t) = elem_mult(a8, a9))"
    assert lines[-1] == "  h(t) = a14"


@pytest.mark.parametrize("base", [2, 4, 16])
def test_trees_are_laid_out_well(base: int) -> None:
    search_space = NASCellSearchSpace(base)  # type: ignore[arg-type]
    for index in (0, base, 2 * base - 2):
        choices = np.ones(len(search_space.decisions), dtype=np.int64)
        choices[-2:] = index
        for made in (0, 3, len(choices) - 1, len(choices)):
            assert overlaps(search_space, choices[:made]) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nodes": [["add", "tanh"]]}, "nodes: expected 3, 7, 15, 31 of them, got 1"),
        ({"cell_indices": [15, 0]}, r"cell_indices\[0\]: expected an integer from 0 to 14"),
        ({"cell_indices": [1]}, "cell_indices: expected 2, got 1"),
        ({"cell_inject": ["add", "gelu"]}, r"cell_inject\[1\]: 'gelu' is not known"),
        ({"cell_inject": ["add"]}, "cell_inject: expected .*, got 1"),
    ],
)
def test_malformed_cells_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        NASCellArchitecture.from_dict({**NASCELL.to_dict(), **change})


def test_cells_of_another_base_and_unknown_bases_are_refused() -> None:
    with pytest.raises(InvalidArchitecture, match="take base=8"):
        NASCellSearchSpace(4).encode(NASCELL)
    with pytest.raises(InvalidSettings, match="base"):
        NASCellSearchSpace(3)  # type: ignore[arg-type]
    sine = NASCellArchitecture((("max", "sin"),) * 15, ("add", "tanh"), (0, 0))
    with pytest.raises(InvalidArchitecture, match=r"nodes\[0\]: 'max' is not known"):
        NASCellSearchSpace().encode(sine)
    assert NASCellSearchSpace(more_functions=True).encode(sine)[0] == 2
