"""The search space of NAS-Bench-101 (Ying et al. 2019, https://arxiv.org/abs/1902.09635).

A cell is a directed acyclic graph of at most seven vertices and nine edges: vertex 0 is its input,
the last one its output, and each vertex between them takes one of three operations. Vertices that
lie on no path from input to output do not count. There are 423,624 cells that differ.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_list,
)
from nas_gym.outside.json_text import short
from nas_gym.search_spaces.actions import Mask, Masks
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision

NASBENCH101_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations, verbatim and in the order of the released code, on which the hash depends."""
INPUT, OUTPUT = "input", "output"
"""The released code's names of the operations of the first and of the last vertex."""

MAX_VERTICES, MAX_EDGES = 7, 9
EDGES = tuple(combinations(range(MAX_VERTICES), 2))
"""(source, target) of each edge that a cell may have, in the order of the decisions."""
_HASH_LABELS = {INPUT: -1, OUTPUT: -2, **{op: n for n, op in enumerate(NASBENCH101_OPERATIONS)}}

Edge = tuple[int, int]
Matrix = tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class VerticesSketch:
    """A graph whose vertices have operations, for drawings; vertex 0 is the input."""

    labels: tuple[str, ...]
    """The operation of each vertex, "?" where it is not decided yet."""
    edges: tuple[Edge, ...]
    used: frozenset[int]
    """The vertices on a path from the input to the output; all, while edges are undecided."""


@dataclass(frozen=True)
class NASBench101Architecture(Architecture, kind="nasbench101"):
    """A cell of NAS-Bench-101, in the released code's form.

    Args:
        adjacency: (V, V), 1 in row s and column t for an edge from vertex s to vertex t > s.
        operations: (V,), "input", then the operation of every vertex between, then "output".

    Raises:
        InvalidArchitecture: one of them is malformed, the output is not connected to the input,
            or more than nine edges lie on paths between the two.
    """

    adjacency: Matrix
    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        _check_adjacency(self.adjacency)
        _check_operations(self.operations, len(self.adjacency))
        used = _used(self.edges, len(self.operations))
        if not used:
            raise InvalidArchitecture(
                "adjacency: the output is not connected to the input; add a path of edges from "
                f"vertex 0 to vertex {len(self.operations) - 1}"
            )
        count = sum({source, target} <= used for source, target in self.edges)
        if count > MAX_EDGES:
            raise InvalidArchitecture(
                f"adjacency: {count} edges lie on paths from the input to the output; "
                f"a cell has at most {MAX_EDGES}"
            )

    @property
    def edges(self) -> tuple[Edge, ...]:
        """(source, target) of every edge, in the order of the rows."""
        pairs = combinations(range(len(self.adjacency)), 2)
        return tuple((source, target) for source, target in pairs if self.adjacency[source][target])

    def pruned(self) -> NASBench101Architecture:
        """Return the cell without the vertices that lie on no path from its input to its output."""
        used = sorted(_used(self.edges, len(self.operations)))
        if len(used) == len(self.operations):
            return self
        rows = tuple(tuple(self.adjacency[row][column] for column in used) for row in used)
        return NASBench101Architecture(rows, tuple(self.operations[vertex] for vertex in used))

    @property
    def module_hash(self) -> str:
        """The cell's name in the released tables: 32 hexadecimal digits, equal if isomorphic.

        Every vertex starts from its degrees and its operation, and takes in its neighbours' digests
        as often as there are vertices; the name is the digest of all, whatever their order
        (https://github.com/google-research/nasbench, nasbench/lib/graph_util.py).
        """
        cell = self.pruned()
        edges, vertices = cell.edges, range(len(cell.operations))
        before = [[source for source, target in edges if target == vertex] for vertex in vertices]
        after = [[target for source, target in edges if source == vertex] for vertex in vertices]
        labels = [_HASH_LABELS[label] for label in cell.operations]
        digests = [
            _md5(f"({len(out)}, {len(into)}, {label})")
            for out, into, label in zip(after, before, labels, strict=True)
        ]
        for _ in labels:
            into = ["".join(sorted([digests[v] for v in sources])) for sources in before]
            out = ["".join(sorted([digests[v] for v in targets])) for targets in after]
            digests = [_md5("|".join(parts)) for parts in zip(into, out, digests, strict=True)]
        return _md5(str(sorted(digests)))

    def canonical(self) -> NASBench101Architecture:
        """Return the pruned cell in the order of vertices in which the released tables hold it.

        That is the order whose matrix, read column by column as a binary number with the least
        digit first, is least, and after that the operations' numbers. Isomorphic cells differ in
        one thing: which vertices get a filter more where the output's do not divide evenly.
        """
        cell = self.pruned()
        last = len(cell.operations) - 1
        bits = {edge: 1 << number for number, edge in enumerate(columnwise(last + 1))}
        labels = [_HASH_LABELS[label] for label in cell.operations[1:-1]]
        codes = []
        for order in permutations(range(1, last)):
            place = (0, *order, last)
            moved = [(place[source], place[target]) for source, target in cell.edges]
            if all(source < target for source, target in moved):
                placed = sorted(zip(order, labels, strict=True))
                codes.append((sum(bits[edge] for edge in moved), [label for _, label in placed]))
        return cell_of_code(*min(codes))

    def sketch(self) -> VerticesSketch:
        used = _used(self.edges, len(self.operations))
        return VerticesSketch(self.operations, self.edges, used)

    def body(self) -> dict[str, Any]:
        rows = [list(row) for row in self.adjacency]
        return {"adjacency": rows, "operations": list(self.operations)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> NASBench101Architecture:
        expect_fields(body, ("adjacency", "operations"), "architecture")
        rows = enumerate(expect_list(body["adjacency"], "adjacency"))
        matrix = tuple(tuple(expect_list(row, f"adjacency[{number}]")) for number, row in rows)
        return cls(matrix, tuple(expect_list(body["operations"], "operations")))


class NASBench101SearchSpace(SearchSpace[NASBench101Architecture]):
    """21 decisions of an edge each, row by row, then the operations of the five inner vertices.

    An edge may be added while there are fewer than nine, and has to be where else no path could
    lead from input to output any more. So every episode ends in a cell of the benchmark.
    """

    architecture_type = NASBench101Architecture

    def __init__(self) -> None:
        edges = [Decision(f"edge ({source},{target})", ("0", "1")) for source, target in EDGES]
        inner = range(1, MAX_VERTICES - 1)
        operations = [Decision(f"op vertex {v}", NASBENCH101_OPERATIONS) for v in inner]
        super().__init__("NASBench101", edges + operations)

    @property
    def size(self) -> int:
        edge_sets = np.count_nonzero(_completable()[-1])
        return int(edge_sets) * math.prod(self.num_choices[len(EDGES) :])

    def valid_choices(self, prefix: Choices) -> Mask:
        valid: Mask = self.batched_valid_choices(prefix[None])[0]
        return valid

    def batched_valid_choices(self, prefixes: NDArray[np.int64]) -> Masks:
        number, step = prefixes.shape
        if step >= len(EDGES):
            return np.ones((number, self.num_choices[step]), dtype=np.bool_)
        without_and_with = _completable()[step + 1].reshape(2, -1)
        valid: Masks = without_and_with.take(_BITS[:step] @ prefixes.T, axis=1).T
        return valid

    def sample(self, rng: np.random.Generator) -> Choices:
        """Return a sequence of choices, (T,) int64, every valid one equally likely.

        Decisions drawn one after the other, as masks allow, would favour early edges.
        """
        while True:
            choices = rng.integers(self.num_choices)
            if _completable()[-1][choices[: len(EDGES)] @ _BITS]:
                return choices

    def check_prefix(self, prefix: Choices) -> None:
        known = ((prefix >= 0) & (prefix < self._limits[: len(prefix)])).all()
        complete = len(prefix) == len(self.decisions)
        if not (known and complete and _completable()[-1][_BITS @ prefix[: len(EDGES)]]):
            super().check_prefix(prefix)  # which is slow, and says where it goes wrong

    def _decode(self, choices: list[int]) -> NASBench101Architecture:
        edges, labels = _decided(choices)
        return NASBench101Architecture(_matrix(edges, MAX_VERTICES), (INPUT, *labels, OUTPUT))

    def _encode(self, architecture: NASBench101Architecture) -> list[int]:
        """Return the choices of a cell.

        A cell of fewer vertices is filled up with vertices that nothing uses, and one of more than
        nine edges is pruned: `decode` then gives another form of the same network.
        """
        cell = architecture.pruned() if len(architecture.edges) > MAX_EDGES else architecture
        last = len(cell.operations) - 1
        chosen = {(s, MAX_VERTICES - 1 if t == last else t) for s, t in cell.edges}
        labels = [NASBENCH101_OPERATIONS.index(label) for label in cell.operations[1:-1]]
        unused = [0] * (MAX_VERTICES - 2 - len(labels))
        return [*[int(edge in chosen) for edge in EDGES], *labels, *unused]

    def sketch(self, prefix: Choices) -> VerticesSketch:
        edges, labels = _decided(prefix.tolist())
        undecided = ["?"] * (MAX_VERTICES - 2 - len(labels))
        decided = len(prefix) >= len(EDGES)
        used = _used(edges, MAX_VERTICES) if decided else frozenset(range(MAX_VERTICES))
        return VerticesSketch((INPUT, *labels, *undecided, OUTPUT), edges, used)


def _decided(prefix: list[int]) -> tuple[tuple[Edge, ...], list[str]]:
    """Return the edges that a prefix has added, and the operations that it has chosen."""
    edges = tuple(edge for edge, choice in zip(EDGES, prefix, strict=False) if choice)
    return edges, [NASBENCH101_OPERATIONS[choice] for choice in prefix[len(EDGES) :]]


def pruned_codes(choices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return a code of the pruned cell of each of N complete sequences, (N, T): (N,) int64.

    Cells of equal codes have the same edges and operations on paths from input to output.
    """
    chosen = choices.T[: len(EDGES)] == 1  # (21, N)
    last = MAX_VERTICES - 1
    from_input = np.full(len(choices), 1)  # bit v: vertex v is reached from the input
    to_output = np.full(len(choices), 1 << last)
    for is_edge, (source, target) in zip(chosen, EDGES, strict=True):  # sources ascend
        from_input |= (from_input >> source & is_edge) << target
    for is_edge, (source, target) in zip(chosen[::-1], EDGES[::-1], strict=True):
        to_output |= (to_output >> target & is_edge) << source
    used = (from_input & to_output) >> np.arange(MAX_VERTICES)[:, np.newaxis] & 1  # (7, N)
    sources, targets = np.array(EDGES).T
    codes: NDArray[np.int64] = _BITS @ (chosen & used[sources] & used[targets])
    for operation, is_used in zip(choices.T[len(EDGES) :], used[1:last], strict=True):
        codes = codes * len(NASBENCH101_OPERATIONS) + operation * is_used
    return codes


def columnwise(vertices: int) -> list[Edge]:
    """Return every possible edge, column by column of the matrix, as the released code does."""
    return [(source, target) for target in range(vertices) for source in range(target)]


def cell_of_code(edges: int, labels: Sequence[int]) -> NASBench101Architecture:
    """Return the cell of its edges' code (bit i: edge i of `columnwise`) and of its labels."""
    vertices = len(labels) + 2
    chosen = [pair for n, pair in enumerate(columnwise(vertices)) if edges >> n & 1]
    operations = [NASBENCH101_OPERATIONS[label] for label in labels]
    return NASBench101Architecture(_matrix(chosen, vertices), (INPUT, *operations, OUTPUT))


def _matrix(edges: Sequence[Edge], vertices: int) -> Matrix:
    chosen, places = set(edges), range(vertices)
    return tuple(tuple(int((row, column) in chosen) for column in places) for row in places)


def _used(edges: Sequence[Edge], vertices: int) -> frozenset[int]:
    """Return the vertices on a path from the first vertex to the last; none without a path."""
    reached, useful = {0}, {vertices - 1}
    for source, target in edges:  # sources ascend
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in useful:
            useful.add(source)
    return frozenset(reached & useful) if vertices - 1 in reached else frozenset()


_BITS = 2 ** np.arange(len(EDGES))  # (21,) int64


@cache
def _completable() -> list[NDArray[np.bool_]]:
    """Return, for each number t of edges decided, (2^t,): whether a cell begins so.

    Bit i of the index is edge i's decision. A cell has at most nine edges and its output is
    connected to its input.
    """
    last = MAX_VERTICES - 1
    reached = np.ones(1, dtype=np.uint8)  # bit v: vertex v is reached from the input
    edges = np.zeros(1, dtype=np.uint8)
    tables = [np.ones(1, dtype=np.bool_)]
    # The row of the next edge is open up to its end, the output, and so are all rows below.
    open_rows = [source for source, _ in EDGES[1:]] + [last]
    for (source, target), open_row in zip(EDGES, open_rows, strict=True):
        added = reached | ((reached >> source & 1) << target)
        reached, edges = np.concatenate([reached, added]), np.concatenate([edges, edges + 1])
        connected = (reached >> last > 0) & (edges <= MAX_EDGES)
        tables.append(connected | ((reached >> open_row > 0) & (edges < MAX_EDGES)))
    return tables


def _check_adjacency(adjacency: Matrix) -> None:
    vertices = len(adjacency)
    if not 2 <= vertices <= MAX_VERTICES:
        raise InvalidArchitecture(
            f"adjacency: expected 2 to {MAX_VERTICES} rows, one a vertex; got {vertices}"
        )
    for source, row in enumerate(adjacency):
        if len(row) != vertices:
            raise InvalidArchitecture(
                f"adjacency[{source}]: expected {vertices} entries, one a vertex; got {len(row)}"
            )
        for target, entry in enumerate(row):
            upwards = source < target
            if type(entry) is not int or entry not in range(1 + upwards):
                expected = "0 or 1" if upwards else "0, for edges lead to later vertices"
                raise InvalidArchitecture(
                    f"adjacency[{source}][{target}]: expected {expected}; got {short(entry)}"
                )


def _check_operations(operations: tuple[str, ...], vertices: int) -> None:
    if len(operations) != vertices:
        raise InvalidArchitecture(
            f"operations: expected {vertices}, one a vertex; got {len(operations)}"
        )
    for place, label in enumerate(operations):
        valid = {0: (INPUT,), vertices - 1: (OUTPUT,)}.get(place, NASBENCH101_OPERATIONS)
        expect_label(label, valid, f"operations[{place}]")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
