"""The search space of NAS-Bench-101 (Ying et al. 2019, https://arxiv.org/abs/1902.09635)."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from nas_gym.families.nasbench101.architecture import (
    INPUT,
    MAX_EDGES,
    MAX_VERTICES,
    NASBENCH101_OPERATIONS,
    OUTPUT,
    Edge,
    NASBench101Architecture,
    VerticesSketch,
    matrix_of,
    used_vertices,
)
from nas_gym.search_spaces.actions import Mask, Masks
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision

EDGES = tuple(combinations(range(MAX_VERTICES), 2))
"""(source, target) of each edge that a cell may have, in the order of the decisions."""


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
        return NASBench101Architecture(matrix_of(edges, MAX_VERTICES), (INPUT, *labels, OUTPUT))

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
        used = used_vertices(edges, MAX_VERTICES) if decided else frozenset(range(MAX_VERTICES))
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
