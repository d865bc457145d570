"""NAS-Bench-101's search space: its cells, their names in the released tables, their number.

Figures: Ying et al. 2019, https://arxiv.org/abs/1902.09635, section 2.2. Named cells: rows of the
released table nasbench_only108.tfrecord, the first of which, by name, is 00005c14...; how it is
made: https://github.com/google-research/nasbench.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations, permutations, product

import numpy as np
import pytest
from hypothesis import given

from examples.reproduction.sizes import unique_cells, unique_codes
from nas_gym import (
    Architecture,
    InvalidArchitecture,
    NASBench101SearchSpace,
    SearchSpace,
    published,
)
from nas_gym.families.nasbench101.architecture import (
    NASBENCH101_OPERATIONS,
    NASBench101Architecture,
)
from nas_gym.families.nasbench101.search_space import EDGES, pruned_codes
from tests.helpers import sequences

CONV3, CONV1, POOL = NASBENCH101_OPERATIONS
SEARCH_SPACE = NASBench101SearchSpace()


def cell(rows: str, *labels: str) -> NASBench101Architecture:
    """A cell of rows such as "011 001 000" and the operations of its inner vertices."""
    adjacency = tuple(tuple(int(entry) for entry in row) for row in rows.split())
    return NASBench101Architecture(adjacency, ("input", *labels, "output"))


FIRST_ROW = cell(
    "0100110 0010000 0001001 0000010 0000010 0000001 0000000", CONV3, POOL, CONV3, CONV3, CONV1
)
INCEPTION = published("NAS-Bench-101-Inception")
INCEPTION_IN_THE_TABLE = cell(
    "0111100 0000001 0000001 0000001 0000010 0000001 0000000", CONV3, CONV1, POOL, CONV3, CONV3
)


def random_cell(rng: np.random.Generator) -> NASBench101Architecture:
    return SEARCH_SPACE.decode(SEARCH_SPACE.sample(rng))


def reordered(
    architecture: NASBench101Architecture, order: tuple[int, ...]
) -> NASBench101Architecture | None:
    """The cell with inner vertex v at place order[v - 1]; None if an edge would lead backwards."""
    last = len(architecture.operations) - 1
    place = (0, *order, last)
    matrix = np.zeros((last + 1, last + 1), dtype=int)
    labels = [""] * (last + 1)
    for vertex, label in enumerate(architecture.operations):
        labels[place[vertex]] = label
    for source, target in architecture.edges:
        matrix[place[source], place[target]] = 1
    if np.tril(matrix).any():
        return None
    return NASBench101Architecture(tuple(map(tuple, matrix.tolist())), tuple(labels))


def test_decisions_are_the_papers() -> None:
    names = [decision.name for decision in SEARCH_SPACE.decisions]
    assert len(names) == 26
    assert names[:7] == [*[f"edge (0,{target})" for target in range(1, 7)], "edge (1,2)"]
    assert names[20:22] == ["edge (5,6)", "op vertex 1"]
    labels = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
    assert [decision.choices for decision in SEARCH_SPACE.decisions[21:]] == [labels] * 5


@cache
def edge_sets() -> np.ndarray:
    """Every set of at most nine edges that connects the output, as a code: bit i for edge i."""
    codes = np.arange(1 << 21, dtype=np.int32)
    present = [(codes >> number & 1).astype(np.int8) for number in range(21)]
    reached = [np.full(len(codes), vertex == 0) for vertex in range(7)]
    for (source, target), edge in zip(EDGES, present, strict=True):
        reached[target] |= reached[source] & (edge == 1)
    valid = reached[6] & (np.sum(present, axis=0, dtype=np.int8) <= 9)
    return codes[valid]


def test_size_is_the_number_of_edge_sets_that_make_a_cell() -> None:
    assert SEARCH_SPACE.size == len(edge_sets()) * 3**5


def test_an_edge_is_valid_if_a_cell_can_still_be_made() -> None:
    rng, either = np.random.default_rng(0), 0
    for _ in range(100):
        step = int(rng.integers(21))
        prefix = SearchSpace.sample(SEARCH_SPACE, rng)[:step]  # draw by draw, as the masks allow
        code = int((prefix << np.arange(step)).sum())
        completed = edge_sets()[edge_sets() & (1 << step) - 1 == code]
        possible = [bool((completed >> step & 1 == edge).any()) for edge in (0, 1)]
        assert SEARCH_SPACE.valid_choices(prefix).tolist() == possible
        either += all(possible)
    assert 20 < either < 95


def test_a_tenth_edge_is_invalid_and_a_last_path_is_forced() -> None:
    nine = np.array([1] * 9)
    assert SEARCH_SPACE.valid_choices(nine).tolist() == [True, False]
    eight = np.array([1, 1, 1, 1, 1, 0, 1, 1, 1])  # no edge into the output yet
    assert SEARCH_SPACE.valid_choices(eight).tolist() == [True, False]
    nothing = np.zeros(5, dtype=np.int64)  # the input's last chance is its edge to the output
    assert SEARCH_SPACE.valid_choices(nothing).tolist() == [False, True]


def test_samples_are_uniform() -> None:
    rng = np.random.default_rng(0)
    drawn = np.stack([SEARCH_SPACE.sample(rng) for _ in range(3000)])
    frequency = drawn[:, :21].mean(axis=0)
    exact = [(edge_sets() >> number & 1).mean() for number in range(21)]
    assert np.abs(frequency - exact).max() < 0.04
    operations = np.stack([(drawn[:, 21:] == choice).mean(axis=0) for choice in range(3)])
    assert np.abs(operations - 1 / 3).max() < 0.04


def test_names_of_the_released_table() -> None:
    assert FIRST_ROW.module_hash == "00005c142e6f48ac74fdcf73e3439874"
    assert isinstance(INCEPTION, NASBench101Architecture)
    assert INCEPTION.module_hash == INCEPTION_IN_THE_TABLE.module_hash
    assert INCEPTION.key == INCEPTION_IN_THE_TABLE.key


def test_canonical_cells_are_the_released_tables() -> None:
    assert FIRST_ROW.canonical() == FIRST_ROW
    assert INCEPTION.canonical() == INCEPTION_IN_THE_TABLE


def test_names_do_not_depend_on_the_order_of_vertices_nor_on_unused_ones() -> None:
    rng, others = np.random.default_rng(0), 0
    for _ in range(40):
        architecture = random_cell(rng)
        for order in permutations(range(1, 6)):
            same = reordered(architecture, order)
            if same is not None:
                others += same != architecture
                assert same.module_hash == architecture.module_hash
                assert same.canonical() == architecture.canonical()
    assert others > 300


def test_isomorphic_by_name_and_by_canonical_form_are_the_same() -> None:
    rng = np.random.default_rng(1)
    cells = [random_cell(rng) for _ in range(800)]
    names = [architecture.module_hash for architecture in cells]
    keys = [architecture.key for architecture in cells]
    assert len(set(zip(names, keys, strict=True))) == len(set(names)) == len(set(keys))


def every_graph(vertices: int) -> list[NASBench101Architecture]:
    """Every cell of so many vertices, all of them used."""
    pairs = list(combinations(range(vertices), 2))
    found = []
    for present in product((0, 1), repeat=len(pairs)):
        edges = [pair for pair, edge in zip(pairs, present, strict=True) if edge]
        outgoing, incoming = ({edge[end] for edge in edges} for end in (0, 1))
        if len(edges) > 9 or len(outgoing) < vertices - 1 or len(incoming) < vertices - 1:
            continue
        rows = [tuple(int((s, t) in edges) for t in range(vertices)) for s in range(vertices)]
        found += [
            NASBench101Architecture(tuple(rows), ("input", *labels, "output"))
            for labels in product(NASBENCH101_OPERATIONS, repeat=vertices - 2)
        ]
    return found


@pytest.mark.parametrize(("vertices", "number"), [(2, 1), (3, 6), (4, 84)])
def test_small_cells_are_those_that_no_reordering_makes_equal(vertices: int, number: int) -> None:
    classes: list[set[NASBench101Architecture | None]] = []
    for architecture in every_graph(vertices):
        if not any(architecture in members for members in classes):
            orders = permutations(range(1, vertices - 1))
            classes.append({reordered(architecture, order) for order in orders})
    assert len(classes) == number
    found = [found for found in unique_cells(vertices) if len(found.operations) == vertices]
    assert len(found) == number
    for members in classes:
        assert sum(one in members for one in found) == 1


def test_cells_of_five_vertices() -> None:
    names = {architecture.module_hash for architecture in every_graph(5)}
    cells = list(unique_cells(5))
    assert {one.module_hash for one in cells if len(one.operations) == 5} == names
    assert len(names) == 2_441
    assert len({one.module_hash for one in cells}) == len(cells) == 1 + 6 + 84 + 2_441
    for one in cells[::50]:
        assert one.canonical() == one == one.pruned()


def test_there_are_423624_cells() -> None:
    counts = [len(unique_codes(vertices)) for vertices in range(2, 8)]
    assert counts == [1, 6, 84, 2_441, 62_010, 359_082]
    assert sum(counts) == 423_624


@given(choices=sequences(SEARCH_SPACE))
def test_json_round_trip_and_pruning(choices: np.ndarray) -> None:
    architecture = SEARCH_SPACE.decode(choices)
    assert Architecture.from_json(architecture.to_json()) == architecture
    pruned = architecture.pruned()
    assert pruned.pruned() is pruned
    assert pruned.module_hash == architecture.module_hash
    assert pruned.key == architecture.key
    assert pruned.canonical().canonical() == pruned.canonical()
    again = SEARCH_SPACE.decode(SEARCH_SPACE.encode(pruned))
    assert again.pruned() == pruned


def test_what_pruning_takes_away() -> None:
    island = cell("0100 0001 0000 0000", CONV1, CONV3)
    dead_end = cell("0110 0000 0001 0000", CONV3, CONV1)
    no_input = cell("0010 0001 0001 0000", CONV3, CONV1)
    for architecture in (island, dead_end):
        assert architecture.pruned() == cell("010 001 000", CONV1)
    assert no_input.pruned() == cell("010 001 000", CONV1)


def test_sequences_have_the_same_code_if_what_counts_of_them_is_the_same() -> None:
    rng = np.random.default_rng(0)
    choices = np.stack([SEARCH_SPACE.sample(rng) for _ in range(2000)])
    choices[1000:] = choices[:1000]
    flipped = choices[1000:]
    flipped[np.arange(1000), rng.integers(len(EDGES), len(flipped[0]), size=1000)] = 0
    by_code: dict[int, NASBench101Architecture] = {}
    for code, sequence in zip(pruned_codes(choices).tolist(), choices, strict=True):
        pruned = SEARCH_SPACE.decode(sequence).pruned()
        assert by_code.setdefault(code, pruned) == pruned
    assert len(by_code) < 1500
    # what is used is at the places of its vertices, so that two codes may mean equal cells
    used_first = cell("0100000 0000001 0000000 0000000 0000000 0000000 0000000", *[CONV3] * 5)
    used_later = cell("0010000 0000000 0000001 0000000 0000000 0000000 0000000", *[CONV3] * 5)
    other_unused = cell(
        "0100000 0000001 0001000 0000000 0000000 0000000 0000000", CONV3, *[POOL] * 4
    )
    codes = pruned_codes(
        np.stack([SEARCH_SPACE.encode(each) for each in (used_first, used_later, other_unused)])
    )
    assert codes[0] == codes[2] != codes[1]
    assert used_first.pruned() == used_later.pruned()


def test_more_than_nine_edges_are_pruned_before_they_are_counted() -> None:
    rows = "0100000 0000001 0001111 0000111 0000011 0000001 0000000"  # 2 to 5 have no input
    architecture = cell(rows, CONV1, POOL, POOL, POOL, POOL)
    assert len(architecture.edges) > 9
    assert SEARCH_SPACE.decode(SEARCH_SPACE.encode(architecture)).key == architecture.key


@pytest.mark.parametrize(
    ("adjacency", "operations", "says"),
    [
        (((0,),), ("input",), "2 to 7 rows"),
        (((0,) * 8,) * 8, ("input",) * 8, "2 to 7 rows"),
        (((0, 1), (0,)), ("input", "output"), r"adjacency\[1\]: expected 2 entries"),
        (((0, 1), (1, 0)), ("input", "output"), r"adjacency\[1\]\[0\]: expected 0, for edges"),
        (((0, 2), (0, 0)), ("input", "output"), r"adjacency\[0\]\[1\]: expected 0 or 1; got 2"),
        (((0, True), (0, 0)), ("input", "output"), "got True"),
        (((0, 0), (0, 0)), ("input", "output"), "not connected"),
        (((0, 1), (0, 0)), ("input",), "operations: expected 2"),
        (((0, 1), (0, 0)), ("output", "output"), r"operations\[0\]: 'output' .* 'input'"),
        (
            ((0, 1, 0), (0, 0, 1), (0, 0, 0)),
            ("input", "conv", "output"),
            r"operations\[1\]: 'conv'",
        ),
    ],
)
def test_bad_cells(
    adjacency: tuple[tuple[int, ...], ...], operations: tuple[str, ...], says: str
) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        NASBench101Architecture(adjacency, operations)


def test_too_many_edges() -> None:
    rows = "0111110 0011110 0000001 0000001 0000001 0000001 0000000"
    with pytest.raises(InvalidArchitecture, match="13 edges"):
        cell(rows, *[CONV1] * 5)


@pytest.mark.parametrize(
    "body",
    [
        {"adjacency": 3, "operations": []},
        {"adjacency": [3], "operations": []},
        {"adjacency": [[0, 1], [0, 0]]},
        {"adjacency": [[0, 1], [0, 0]], "operations": "input"},
        {"adjacency": [[0, 1], [0, 0]], "operations": [["input"], "output"]},
    ],
)
def test_bad_json(body: dict[str, object]) -> None:
    with pytest.raises(InvalidArchitecture):
        NASBench101Architecture.from_body(body)
