"""`Tree`: all nodes of a cell in all steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from nas_gym.families.nascell.search_space import NASCellArchitecture, Node, children_of
from nas_gym.networks.recurrent import ACTIVATIONS

COMBINATIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "elem_mult": torch.mul,
    "max": torch.maximum,
}


class Tree:
    """What the nodes of a cell gave in all steps, and their computation.

    Args:
        architecture: The tree, of b leaves.
        order: The leaves in the order of the groups.
        groups: The combination and the activation of each group, and its number of leaves.
        projected: W x of all leaves and steps, (T, B, b H), in the order of the groups.

    Attributes:
        recurrent: U h, as ``projected``.
        arguments, results: What each node's activation is applied to, and what it gives; (T, B, H)
            each, of nodes 0 to 2b - 2 and of the cell inject.
    """

    def __init__(
        self,
        architecture: NASCellArchitecture,
        order: Sequence[int],
        groups: Sequence[tuple[Node, int]],
        projected: Tensor,
    ) -> None:
        self.architecture, self.order, self.groups = architecture, order, groups
        self.projected, self.recurrent = projected, torch.empty_like(projected)
        self.leaf_arguments, self.leaf_results = (torch.empty_like(projected) for _ in range(2))
        self.units = projected.shape[-1] // architecture.base
        shape = (architecture.base, *projected.shape[:-1], self.units)
        self.arguments, self.results = (
            [*self.by_leaf(each), *projected.new_empty(shape).unbind()]
            for each in (self.leaf_arguments, self.leaf_results)
        )

    @property
    def taken(self) -> list[Tensor]:
        """The results of nodes 0 to 2b - 2, with that of the cell inject where it is."""
        taken = self.results[:-1]
        taken[self.architecture.cell_indices[1]] = self.results[-1]
        return taken

    @property
    def outputs(self) -> Tensor:
        """All h_t, (T, B, H)."""
        return self.taken[-1]

    def by_leaf(self, columns: Tensor) -> list[Tensor]:
        """Return the parts of (..., b H) that belong to leaves 0 to b - 1."""
        parts = dict(zip(self.order, columns.chunk(len(self.order), -1), strict=True))
        return [parts[leaf] for leaf in range(len(parts))]

    def by_group(self, columns: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of (..., b H) that belong to the groups."""
        parts: tuple[Tensor, ...] = columns.split([n * self.units for _, n in self.groups], -1)
        return parts

    def steps(self) -> Iterator[tuple[Any, ...]]:
        """Yield each step's U h, the groups' four parts of columns, arguments and results."""
        columns = (self.projected, self.recurrent, self.leaf_arguments, self.leaf_results)
        groups = zip(*map(self.by_group, columns), strict=True)
        yield from zip(
            self.recurrent.unbind(),
            _by_step([_by_step(group) for group in groups]),
            _by_step(self.arguments),
            _by_step(self.results),
            strict=True,
        )

    def compute(
        self,
        groups: Sequence[Sequence[Tensor]],
        arguments: Sequence[Tensor],
        results: Sequence[Tensor],
        c: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """Return h_t and c_t of a step whose U h is there."""
        for (node, _), parts in zip(self.groups, groups, strict=True):
            _apply(node, *parts)
        design, taken = self.architecture, list(results[:-1])
        new, previous = design.cell_indices
        for number, node in enumerate(design.nodes):
            if number >= design.base:
                one, other = (taken[child] for child in children_of(number, design.base))
                _apply(node, one, other, arguments[number], results[number])
            if number == previous:
                _apply(design.cell_inject, results[number], c, arguments[-1], results[-1])
                taken[number] = results[-1]
        return taken[-1], arguments[new]


def _apply(node: Node, one: Tensor, other: Tensor, argument: Tensor, result: Tensor) -> None:
    """Write what a node's activation is applied to, and what it gives."""
    COMBINATIONS[node[0]](one, other, out=argument)
    ACTIVATIONS[node[1]](argument, out=result)


def _by_step(parts: Any) -> Iterator[tuple[Any, ...]]:
    """Yield each step's parts of tensors (T, ...), or of iterators over steps."""
    return zip(*(p.unbind() if isinstance(p, Tensor) else p for p in parts), strict=True)
