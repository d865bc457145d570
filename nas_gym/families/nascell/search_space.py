"""The search space of recurrent cells of NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578).

A cell is a full binary tree (section 3.4). With base number b it has b leaves, which are nodes
0 to b - 1; node k above them takes nodes 2(k - b) and 2(k - b) + 1, and the root, node 2b - 2,
gives h_t. A leaf combines W x_t and U h_{t-1}, and any other node its two children; then it applies
its activation. The cell state c_{t-1} is combined into the result of one node, and c_t is what one
node has before its activation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_integer,
    expect_label,
    expect_list,
)
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision
from nas_gym.settings import validated

COMBINATIONS, ACTIVATIONS = ("add", "elem_mult"), ("identity", "tanh", "sigmoid", "relu")
"""Choices of a node (section 4.2)."""
MORE_COMBINATIONS, MORE_ACTIVATIONS = (*COMBINATIONS, "max"), (*ACTIVATIONS, "sin")
"""The same in the paper's control experiment with more functions (section 4.3)."""
BASE_NUMBERS = (2, 4, 8, 16)

Node = tuple[str, str]
"""A combination and an activation."""


@dataclass(frozen=True)
class TreeSketch:
    """A cell as far as it is decided, for drawings; "?" and None are not decided yet."""

    nodes: tuple[Node, ...]
    inject: Node
    indices: tuple[int | None, int | None]


def children_of(node: int, base: int) -> tuple[int, ...]:
    """Return the two children of a node in a tree of ``base`` leaves; none of a leaf."""
    return () if node < base else (2 * (node - base), 2 * (node - base) + 1)


@dataclass(frozen=True)
class NASCellArchitecture(Architecture, kind="nascell"):
    """A recurrent cell of NAS.

    Args:
        nodes: The combination and the activation of each of the 2b - 1 nodes, leaves first.
        cell_inject: How c_{t-1} is combined with a node's result, and the activation after it.
        cell_indices: The node that gives c_t, and the one whose result c_{t-1} is combined with.
    """

    nodes: tuple[Node, ...]
    cell_inject: Node
    cell_indices: tuple[int, int]

    def __post_init__(self) -> None:
        numbers = [2 * base - 1 for base in BASE_NUMBERS]
        if len(self.nodes) not in numbers:
            expected = f"expected {', '.join(map(str, numbers))} of them, got {len(self.nodes)}"
            raise InvalidArchitecture(f"nodes: {expected}")
        for place, node in enumerate(self.nodes):
            _expect_node(node, f"nodes[{place}]")
        _expect_node(self.cell_inject, "cell_inject")
        if len(self.cell_indices) != 2:
            raise InvalidArchitecture(f"cell_indices: expected 2, got {len(self.cell_indices)}")
        for place, index in enumerate(self.cell_indices):
            expect_integer(index, 0, len(self.nodes) - 1, f"cell_indices[{place}]")

    @property
    def base(self) -> int:
        """The base number b: number of leaves."""
        return (len(self.nodes) + 1) // 2

    def canonical(self) -> NASCellArchitecture:
        """Return the cell with the two children of every node in one order; they commute."""
        level: list[Any] = [self._ordered(len(self.nodes) - 1)]
        nodes = level
        while level := [child for node in level for child in node[2]]:
            nodes = level + nodes
        new, previous = ([marks[n] for _, marks, _ in nodes].index(True) for n in (0, 1))
        return NASCellArchitecture(
            tuple(node for node, _, _ in nodes), self.cell_inject, (new, previous)
        )

    def _ordered(self, node: int) -> tuple[Node, tuple[bool, ...], tuple[Any, ...]]:
        """Return a node, if either cell index is its number, and its children in order."""
        children = sorted(self._ordered(child) for child in children_of(node, self.base))
        return self.nodes[node], tuple(node == each for each in self.cell_indices), tuple(children)

    def sketch(self) -> TreeSketch:
        return TreeSketch(self.nodes, self.cell_inject, self.cell_indices)

    def body(self) -> dict[str, Any]:
        return {
            "nodes": [list(node) for node in self.nodes],
            "cell_inject": list(self.cell_inject),
            "cell_indices": list(self.cell_indices),
        }

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> NASCellArchitecture:
        expect_fields(body, ("nodes", "cell_inject", "cell_indices"), "architecture")
        nodes = enumerate(expect_list(body["nodes"], "nodes"))
        inject, indices = (expect_list(body[n], n) for n in ("cell_inject", "cell_indices"))
        made: Any = tuple(tuple(expect_list(node, f"nodes[{place}]")) for place, node in nodes)
        return cls(made, tuple(inject), tuple(indices))


def _expect_node(node: tuple[object, ...], where: str) -> None:
    """Raise `InvalidArchitecture` unless ``node`` is a combination and an activation."""
    if len(node) != 2:
        raise InvalidArchitecture(f"{where}: expected [combination, activation], got {len(node)}")
    expect_label(node[0], MORE_COMBINATIONS, f"{where}[0]")
    expect_label(node[1], MORE_ACTIVATIONS, f"{where}[1]")


class NASCellSearchSpace(SearchSpace[NASCellArchitecture]):
    """NAS's recurrent cells: two decisions a node, two for the cell inject, two cell indices.

    Args:
        base: The base number, 8 in the paper: 15 nodes, 34 decisions, 8^16 x 15^2 cells.
        more_functions: Choose from ``max`` and ``sin``, too, as in the paper's control experiment.
    """

    architecture_type = NASCellArchitecture

    @validated
    def __init__(self, base: Literal[2, 4, 8, 16] = 8, more_functions: bool = False) -> None:
        self.base, self.num_nodes = base, 2 * base - 1
        self.combinations = MORE_COMBINATIONS if more_functions else COMBINATIONS
        self.activations = MORE_ACTIVATIONS if more_functions else ACTIVATIONS
        indices = tuple(map(str, range(self.num_nodes)))
        decisions = []
        for place in (*(f"node_{node}" for node in range(self.num_nodes)), "cell_inject"):
            decisions.append(Decision(f"{place}/combination", self.combinations))
            decisions.append(Decision(f"{place}/activation", self.activations))
        decisions += [Decision(f"cell_index/{which}", indices) for which in ("new", "previous")]
        super().__init__("NASCell", decisions)

    def _decode(self, choices: list[int]) -> NASCellArchitecture:
        *nodes, inject = self._labels(choices[:-2])
        return NASCellArchitecture(tuple(nodes), inject, (choices[-2], choices[-1]))

    def _labels(self, choices: list[int]) -> list[Node]:
        """Return the combination and the activation of every node, "?" where undecided."""
        labels = [decision.choices[c] for decision, c in zip(self.decisions, choices, strict=False)]
        labels += ["?"] * (len(self.decisions) - 2 - len(labels))
        return list(zip(labels[::2], labels[1::2], strict=True))

    def _encode(self, architecture: NASCellArchitecture) -> list[int]:
        if architecture.base != self.base:
            found = f"it has {len(architecture.nodes)}, and this search space {self.num_nodes}"
            raise InvalidArchitecture(f"nodes: {found}; take base={architecture.base}")
        choices = []
        for place, node in enumerate((*architecture.nodes, architecture.cell_inject)):
            for valid, label in zip((self.combinations, self.activations), node, strict=True):
                where = f"nodes[{place}]" if place < self.num_nodes else "cell_inject"
                expect_label(label, valid, where)
                choices.append(valid.index(label))
        return [*choices, *architecture.cell_indices]

    def sketch(self, prefix: Choices) -> TreeSketch:
        choices = prefix.tolist()
        made = len(self.decisions) - 2
        *nodes, inject = self._labels(choices[:made])
        indices = [*choices[made:], None, None]
        return TreeSketch(tuple(nodes), inject, (indices[0], indices[1]))
