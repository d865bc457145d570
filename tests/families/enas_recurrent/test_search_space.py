"""ENAS's recurrent cells: decisions, size, published arcs, nodes in another order, drawings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import ENASRecurrentSearchSpace, InvalidArchitecture, published
from nas_gym.families.enas_recurrent.published import DARTS_V2, ENAS_RECURRENT
from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture
from nas_gym.rendering import overlaps, write


def test_decisions_and_sizes_are_those_of_the_released_code() -> None:
    search_space = ENASRecurrentSearchSpace(9)
    assert [decision.name for decision in search_space.decisions[:3]] == [
        "node_1/predecessor",
        "node_1/activation",
        "node_2/predecessor",
    ]
    assert search_space.decisions[4].choices == ("0", "1", "2")
    assert search_space.decisions[5].choices == ("tanh", "relu", "sigmoid", "identity")
    assert len(search_space.decisions) == 18
    assert search_space.size == 95_126_814_720
    assert ENASRecurrentSearchSpace().size == 2_642_411_520


def test_published_cells_are_those_of_the_released_code() -> None:
    assert published("ENAS-Recurrent").to_arc() == "0 2 1 0 2 1 2 2 4 0 5 0 3 2 6 2"  # type: ignore[attr-defined]
    genotype = ["sigmoid", "relu", "relu", "identity", "tanh", "sigmoid", "tanh", "relu"]
    predecessors = [0, 1, 1, 1, 2, 5, 3, 5]
    assert DARTS_V2.nodes == tuple(zip(predecessors, genotype, strict=True))
    choices = ENASRecurrentSearchSpace().encode(ENAS_RECURRENT)
    assert choices.tolist() == [0, 2, 1, 0, 2, 1, 2, 2, 4, 0, 5, 0, 3, 2, 6, 2]
    assert write(ENAS_RECURRENT).splitlines()[3] == "  s3 = relu of s2"


@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_nodes_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    search_space = ENASRecurrentSearchSpace()
    nodes = search_space.decode(search_space.sample(rng)).nodes
    number = {0: 0}  # of each node, its number in another order
    while len(number) <= len(nodes):
        ready = [n for n, (s, _) in enumerate(nodes, 1) if s in number and n not in number]
        number[int(rng.choice(ready))] = len(number)
    placed = [nodes[node - 1] for node in number if node]
    same = ENASRecurrentArchitecture(tuple((number[source], label) for source, label in placed))
    architecture = ENASRecurrentArchitecture(nodes)
    assert same.canonical() == architecture.canonical() == architecture.canonical().canonical()


def test_small_cells_have_as_many_keys_as_labelled_trees() -> None:
    """Two nodes: chains of ordered labels, 16, and pairs of unordered ones, 10."""
    search_space = ENASRecurrentSearchSpace(2)
    cells = [search_space.decode([0, a, s, b]) for a in range(4) for s in (0, 1) for b in range(4)]
    assert len(cells) == search_space.size == 32
    assert len({cell.key for cell in cells}) == 26


@pytest.mark.parametrize("nodes", [1, 8, 12, 32])
def test_cells_are_laid_out_well(nodes: int) -> None:
    search_space = ENASRecurrentSearchSpace(nodes)
    star, chain = np.zeros((2, 2 * nodes), dtype=np.int64)
    chain[::2] = np.arange(nodes)
    for choices in (star, chain, search_space.sample(np.random.default_rng(0))):
        for made in (0, 1, nodes, 2 * nodes):
            assert overlaps(search_space, choices[:made]) == []


@pytest.mark.parametrize("arc", ["0", "0 4", "1 0", "0 -1", "a b"])
def test_malformed_arcs_are_refused(arc: str) -> None:
    with pytest.raises(InvalidArchitecture, match=r"arc|nodes\[0\]"):
        ENASRecurrentArchitecture.from_arc(arc)


def test_malformed_cells_are_refused() -> None:
    data = ENAS_RECURRENT.to_dict()
    with pytest.raises(InvalidArchitecture, match=r"nodes\[0\]: expected \[predecessor"):
        ENASRecurrentArchitecture.from_dict({**data, "nodes": [[0]]})
    with pytest.raises(InvalidArchitecture, match=r"nodes\[1\]\[0\]: expected an integer"):
        ENASRecurrentArchitecture.from_dict({**data, "nodes": [[0, "tanh"], [2, "tanh"]]})
    with pytest.raises(InvalidArchitecture, match="take nodes=8"):
        ENASRecurrentSearchSpace(9).encode(ENAS_RECURRENT)
