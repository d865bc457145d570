"""Every cell of NAS-Bench-101 once: 423,624 up to isomorphism (Ying et al. 2019, section 2.2).

A graph is an integer, one bit an edge, and operations are an integer in base 3. The inner vertices
of all graphs are brought into every order at once; the least code of all orders stands for a cell.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product

import numpy as np
from numpy.typing import NDArray

from nas_gym.families.nasbench101.architecture import (
    MAX_EDGES,
    MAX_VERTICES,
    NASBENCH101_OPERATIONS,
    NASBench101Architecture,
    cell_of_code,
    columnwise,
)

_LABELS = len(NASBENCH101_OPERATIONS)


def unique_cells(max_vertices: int = MAX_VERTICES) -> Iterator[NASBench101Architecture]:
    """Yield the canonical cell of each isomorphism class, from the smallest number of vertices up.

    None has a vertex that lies on no path from input to output.
    """
    for vertices in range(2, max_vertices + 1):
        choices = list(product(range(_LABELS), repeat=vertices - 2))
        for code in unique_codes(vertices).tolist():
            edges, labels = divmod(code, len(choices))
            yield cell_of_code(edges, choices[labels])


def unique_codes(vertices: int) -> NDArray[np.int64]:
    """Return (number of classes,) int64: edge code * 3 ** (vertices - 2) + the operations' code."""
    graphs = _full_graphs(vertices)
    operations = _LABELS ** (vertices - 2)
    digits = np.array(list(product(range(_LABELS), repeat=vertices - 2)), dtype=np.int64)
    weights = _LABELS ** np.arange(vertices - 2)[::-1]
    least = graphs[:, None] * operations + np.arange(operations)  # (graphs, operations)
    for order in permutations(range(1, vertices - 1)):
        moved, possible = _reordered(graphs, vertices, (0, *order, vertices - 1))
        labels = digits @ weights[np.array(order, dtype=np.int64) - 1]  # (operations,)
        codes = moved[:, None] * operations + labels
        least[possible] = np.minimum(least[possible], codes)
    return np.unique(least)


def _full_graphs(vertices: int) -> NDArray[np.int64]:
    """Return the codes, int64, of graphs whose every vertex is on a path from in to out."""
    pairs = columnwise(vertices)
    codes = np.arange(1 << len(pairs), dtype=np.int64)
    edges = sum((codes >> number & 1 for number in range(len(pairs))), np.zeros_like(codes))
    codes = codes[edges <= MAX_EDGES]
    for vertex in range(vertices):
        for end in (0, 1):
            mask = sum(1 << n for n, pair in enumerate(pairs) if pair[end] == vertex)
            codes = codes[codes & mask != 0] if mask else codes
    return codes


def _reordered(
    graphs: NDArray[np.int64], vertices: int, place: tuple[int, ...]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return (graphs with vertex v at ``place[v]``, mask of those), if all edges lead upwards."""
    numbers = {pair: number for number, pair in enumerate(columnwise(vertices))}
    moved, possible = np.zeros_like(graphs), np.ones(len(graphs), dtype=np.bool_)
    for (source, target), number in numbers.items():
        edge = graphs >> number & 1
        if place[source] < place[target]:
            moved |= edge << numbers[place[source], place[target]]
        else:
            possible &= edge == 0
    return moved[possible], possible
