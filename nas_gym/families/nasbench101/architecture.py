"""The cells of NAS-Bench-101 (Ying et al. 2019, https://arxiv.org/abs/1902.09635).

A cell is a directed acyclic graph of at most seven vertices and nine edges: vertex 0 is its input,
the last one its output, and each vertex between them takes one of three operations. Vertices that
lie on no path from input to output do not count. There are 423,624 cells that differ.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from typing import Any

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_list,
)
from nas_gym.outside.json_text import short

NASBENCH101_OPERATIONS = ("conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3")
"""The operations, verbatim and in the order of the released code, on which the hash depends."""
INPUT, OUTPUT = "input", "output"
"""The released code's names of the operations of the first and of the last vertex."""

MAX_VERTICES, MAX_EDGES = 7, 9
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
        used = used_vertices(self.edges, len(self.operations))
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
        used = sorted(used_vertices(self.edges, len(self.operations)))
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
        used = used_vertices(self.edges, len(self.operations))
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


def columnwise(vertices: int) -> list[Edge]:
    """Return every possible edge, column by column of the matrix, as the released code does."""
    return [(source, target) for target in range(vertices) for source in range(target)]


def cell_of_code(edges: int, labels: Sequence[int]) -> NASBench101Architecture:
    """Return the cell of its edges' code (bit i: edge i of `columnwise`) and of its labels."""
    vertices = len(labels) + 2
    chosen = [pair for n, pair in enumerate(columnwise(vertices)) if edges >> n & 1]
    operations = [NASBENCH101_OPERATIONS[label] for label in labels]
    return NASBench101Architecture(matrix_of(chosen, vertices), (INPUT, *operations, OUTPUT))


def matrix_of(edges: Sequence[Edge], vertices: int) -> Matrix:
    """Return the adjacency matrix of these edges, (V, V)."""
    chosen, places = set(edges), range(vertices)
    return tuple(tuple(int((row, column) in chosen) for column in places) for row in places)


def used_vertices(edges: Sequence[Edge], vertices: int) -> frozenset[int]:
    """Return the vertices on a path from the first vertex to the last; none without a path."""
    reached, useful = {0}, {vertices - 1}
    for source, target in edges:  # sources ascend
        if source in reached:
            reached.add(target)
    for source, target in reversed(edges):
        if target in useful:
            useful.add(source)
    return frozenset(reached & useful) if vertices - 1 in reached else frozenset()


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
