"""The search space of ENAS's recurrent cells (Pham et al. 2018, https://arxiv.org/abs/1802.03268).

The form is that of the code released with the corrected results,
https://github.com/google-research/google-research/tree/master/enas_lm: node 0 is computed from x_t
and h_{t-1}; every node l from 1 on takes one earlier node and one activation; highway connections
carry each node over; h_t is the mean of nodes 1 to L.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from annotated_types import Ge, Le

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_integer,
    expect_label,
    expect_length,
    expect_list,
)
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision
from nas_gym.settings import validated

ENAS_ACTIVATIONS = ("tanh", "relu", "sigmoid", "identity")
"""The activations, in the order of the released code."""
MOST_NODES = 32

RecurrentNode = tuple[int, str]
"""The number of an earlier node, and an activation."""


@dataclass(frozen=True)
class NodesSketch:
    """The nodes decided so far, for drawings; the last one may have no activation yet."""

    nodes: tuple[tuple[int, str | None], ...]
    num_nodes: int  # L


@dataclass(frozen=True)
class ENASRecurrentArchitecture(Architecture, kind="enas-recurrent"):
    """A recurrent cell of ENAS, or of DARTS.

    Args:
        nodes: (predecessor, activation) of each of the nodes 1 to L; predecessor 0 is the node of
            x_t and h_{t-1}.
    """

    nodes: tuple[RecurrentNode, ...]

    def __post_init__(self) -> None:
        expect_length(self.nodes, MOST_NODES, "nodes")
        for place, node in enumerate(self.nodes):
            if len(node) != 2:
                expected = "expected [predecessor, activation]"
                raise InvalidArchitecture(f"nodes[{place}]: {expected}, got {len(node)}")
            expect_integer(node[0], 0, place, f"nodes[{place}][0]")
            expect_label(node[1], ENAS_ACTIVATIONS, f"nodes[{place}][1]")

    @classmethod
    def from_arc(cls, arc: str) -> ENASRecurrentArchitecture:
        """Return the cell that the released code writes as "predecessor activation ..." in numbers.

        Raises:
            InvalidArchitecture: a text of another form, or a number is out of its range.
        """
        try:
            numbers = [int(each) for each in arc.split()]
            labels = [ENAS_ACTIVATIONS[number] for number in numbers[1::2] if number >= 0]
            return cls(tuple(zip(numbers[::2], labels, strict=True)))
        except (ValueError, IndexError) as error:
            expected = "expected a predecessor and an activation, 0 to 3, of each node"
            raise InvalidArchitecture(f"arc: {expected}, as in '0 2 1 0'; got {arc!r}") from error

    def to_arc(self) -> str:
        """Return the cell as the released code writes it; see `from_arc`."""
        return " ".join(f"{source} {ENAS_ACTIVATIONS.index(label)}" for source, label in self.nodes)

    @property
    def successors(self) -> list[list[int]]:
        """The nodes that take each of the nodes 0 to L."""
        taken_by: list[list[int]] = [[] for _ in range(len(self.nodes) + 1)]
        for number, (source, _) in enumerate(self.nodes, start=1):
            taken_by[source].append(number)
        return taken_by

    def canonical(self) -> ENASRecurrentArchitecture:
        """Return the cell with its nodes in one order: every node has weights of its own."""
        successors = self.successors

        def ordered(number: int) -> tuple[str, tuple[Any, ...]]:
            label = self.nodes[number - 1][1] if number else ""
            return label, tuple(sorted(map(ordered, successors[number])))

        nodes: list[RecurrentNode] = []

        def add(successors_of: tuple[Any, ...], source: int) -> None:
            for label, behind in successors_of:
                nodes.append((source, label))
                add(behind, len(nodes))

        add(ordered(0)[1], 0)
        return ENASRecurrentArchitecture(tuple(nodes))

    def sketch(self) -> NodesSketch:
        return NodesSketch(self.nodes, len(self.nodes))

    def body(self) -> dict[str, Any]:
        return {"nodes": [list(node) for node in self.nodes]}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> ENASRecurrentArchitecture:
        expect_fields(body, ("nodes",), "architecture")
        nodes = enumerate(expect_list(body["nodes"], "nodes"))
        made: Any = tuple(tuple(expect_list(node, f"nodes[{place}]")) for place, node in nodes)
        return cls(made)


class ENASRecurrentSearchSpace(SearchSpace[ENASRecurrentArchitecture]):
    """A predecessor and an activation of each node: 2L decisions, 4^L x L! cells.

    Args:
        nodes: L, 8 in the released cells and 9 in the released search.

    Raises:
        InvalidSettings: ``nodes`` is out of its range.
    """

    architecture_type = ENASRecurrentArchitecture

    @validated
    def __init__(self, nodes: Annotated[int, Ge(1), Le(MOST_NODES)] = 8) -> None:
        self.nodes = nodes
        decisions = []
        for number in range(1, nodes + 1):
            earlier = tuple(map(str, range(number)))
            decisions.append(Decision(f"node_{number}/predecessor", earlier))
            decisions.append(Decision(f"node_{number}/activation", ENAS_ACTIVATIONS))
        super().__init__("ENASRecurrent", decisions)

    def _decode(self, choices: list[int]) -> ENASRecurrentArchitecture:
        labels = (ENAS_ACTIVATIONS[choice] for choice in choices[1::2])
        return ENASRecurrentArchitecture(tuple(zip(choices[::2], labels, strict=True)))

    def _encode(self, architecture: ENASRecurrentArchitecture) -> list[int]:
        number = len(architecture.nodes)
        if number != self.nodes:
            found = f"it has {number}, and this search space {self.nodes}"
            raise InvalidArchitecture(f"nodes: {found}; take nodes={number}")
        return [int(each) for each in architecture.to_arc().split()]

    def sketch(self, prefix: Choices) -> NodesSketch:
        choices = prefix.tolist()
        labels: list[str | None] = [ENAS_ACTIVATIONS[choice] for choice in choices[1::2]]
        labels += [None] * (len(choices) % 2)
        return NodesSketch(tuple(zip(choices[::2], labels, strict=True)), self.nodes)
