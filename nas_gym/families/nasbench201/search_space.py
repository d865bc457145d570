"""The search space of NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326).

A cell is a complete directed graph of four nodes: node 0 is the cell's input, node 3 its output,
and every node is the sum of what its six edges bring. Each edge takes one of five operations:
15,625 cells, 6,466 of them distinct up to isomorphism.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product
from typing import Any

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_list,
)
from nas_gym.outside.json_text import short
from nas_gym.search_spaces.base import Choices, SearchSpace
from nas_gym.search_spaces.conditions import Decision

NASBENCH201_OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
"""The operations, verbatim and in the order of the released code."""

EDGES = ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))
"""(source, target) of each edge, in the order of the decisions."""

NODES = 4
_STRING = "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|"


@dataclass(frozen=True)
class NASBench201Architecture(Architecture, kind="nasbench201"):
    """A cell of NAS-Bench-201: the operation of each of `EDGES`."""

    operations: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.operations) != len(EDGES):
            raise InvalidArchitecture(
                f"operations: expected {len(EDGES)}, one for each of the edges "
                f"{', '.join(f'{s}->{t}' for s, t in EDGES)}; got {len(self.operations)}"
            )
        for place, label in enumerate(self.operations):
            expect_label(label, NASBENCH201_OPERATIONS, f"operations[{place}]")

    @classmethod
    def from_string(cls, text: str) -> NASBench201Architecture:
        """Return the cell that the released code writes as ``|op~0|+|op~0|op~1|+|op~0|op~1|op~2|``.

        Other texts raise `InvalidArchitecture`.
        """
        match = re.fullmatch(re.escape(_STRING).replace(r"\{\}", "([^|]+)"), text)
        if match is None:
            raise InvalidArchitecture(
                f"{short(text)} is no NAS-Bench-201 cell; "
                "expected '|op~0|+|op~0|op~1|+|op~0|op~1|op~2|'"
            )
        return cls(match.groups())

    def to_string(self) -> str:
        """Return the cell as the released code writes it; see `from_string`."""
        return _STRING.format(*self.operations)

    def canonical(self) -> NASBench201Architecture:
        """Return the first cell, in the order of choices, that computes the same (section 2.1)."""
        return _representatives()[_expression(self.operations)]

    def sketch(self) -> tuple[str, ...]:
        return self.operations

    def body(self) -> dict[str, Any]:
        return {"operations": list(self.operations)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> NASBench201Architecture:
        expect_fields(body, ("operations",), "architecture")
        return cls(tuple(expect_list(body["operations"], "operations")))


class NASBench201SearchSpace(SearchSpace[NASBench201Architecture]):
    """Six decisions, one an edge, of five operations each."""

    architecture_type = NASBench201Architecture

    def __init__(self) -> None:
        names = [f"edge {target}<-{source}" for source, target in EDGES]
        super().__init__("NASBench201", [Decision(name, NASBENCH201_OPERATIONS) for name in names])

    def _decode(self, choices: list[int]) -> NASBench201Architecture:
        return NASBench201Architecture(tuple(NASBENCH201_OPERATIONS[choice] for choice in choices))

    def _encode(self, architecture: NASBench201Architecture) -> list[int]:
        return [NASBENCH201_OPERATIONS.index(label) for label in architecture.operations]

    def sketch(self, prefix: Choices) -> tuple[str, ...]:
        return tuple(NASBENCH201_OPERATIONS[choice] for choice in prefix)


def _expression(operations: Sequence[str]) -> str:
    """Return the sum at the output node, as a text that is equal for isomorphic cells.

    ``none`` brings nothing; ``skip_connect`` brings its source as it is; a sum does not depend on
    the order of its terms. The form of the text is the released code's, on which the published
    number of 6,466 depends: a sum that a ``skip_connect`` brings stays one term of the next sum.
    """
    values = ["0"]
    for target in range(1, NODES):
        terms = []
        for (source, to), label in zip(EDGES, operations, strict=True):
            if to == target and (label == "none" or values[source] == "#"):
                terms.append("#")
            elif to == target:
                value = values[source]
                terms.append(value if label == "skip_connect" else f"({value})@{label}")
        values.append("+".join(sorted(terms)))
    return values[-1]


@cache
def _representatives() -> dict[str, NASBench201Architecture]:
    """Return the first cell of each isomorphism class, by its expression: 6,466 of them."""
    representatives: dict[str, NASBench201Architecture] = {}
    for operations in product(NASBENCH201_OPERATIONS, repeat=len(EDGES)):
        expression = _expression(operations)
        if expression not in representatives:
            representatives[expression] = NASBench201Architecture(operations)
    return representatives
