"""The way back through the tree of a cell: from the gradients of h_t and c_t to its leaves'."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nas_gym.families.nascell.search_space import Node, children_of
from nas_gym.families.nascell.tree import Tree
from nas_gym.networks.recurrent import before


class TreeGradients:
    """The gradients of all nodes, from the last step to the first.

    Args:
        tree: All steps.
        c: The state before the first step, (B, H).

    Attributes:
        of_recurrent: Gradients of U h, (T, B, b H), in the order of the groups.
    """

    def __init__(self, tree: Tree, c: Tensor) -> None:
        design, taken = tree.architecture, tree.taken
        self.tree, (self.new, self.previous) = tree, design.cell_indices
        given = list(zip(tree.arguments, tree.results, strict=True))
        before = torch.cat([c[None], tree.arguments[self.new][:-1]])
        injected = (tree.results[self.previous], before)
        self.factors = [factors_of(design.cell_inject, *given[-1], injected, False)]
        for number in range(design.base, len(design.nodes)):
            one, other = (taken[child] for child in children_of(number, design.base))
            is_new = number == self.new
            self.factors.append(
                factors_of(design.nodes[number], *given[number], (one, other), is_new)
            )

        columns = (tree.leaf_arguments, tree.leaf_results, tree.projected, tree.recurrent)
        groups = list(zip(tree.groups, *map(tree.by_group, columns), strict=True))
        self.slopes = torch.cat([slope_of(node, *of) for (node, _), *of, _, _ in groups], -1)
        self.parts = None
        if any(node[0] != "add" for (node, _), *_ in groups):
            each = [
                parts_of(node, x, u) or 2 * [torch.ones_like(x)] for (node, _), _, _, x, u in groups
            ]
            self.parts = [torch.cat(side, -1) for side in zip(*each, strict=True)]
        self.of_leaves = torch.empty_like(tree.projected)
        self.of_recurrent = torch.empty_like(self.of_leaves) if self.parts else self.of_leaves

    def of_projected(self) -> Tensor:
        """Return the gradients of W x, as ``of_recurrent``, once all steps are done."""
        return self.of_leaves * self.parts[0] if self.parts else self.of_leaves

    def steps(self) -> Iterator[tuple[Any, ...]]:
        """Yield what `compute` takes of each step, the last first."""
        columns = [self.slopes, self.of_leaves, self.of_recurrent]
        columns.append(self.parts[1] if self.parts else self.slopes)
        factors = zip(*(each.by_step() for each in self.factors), strict=True)
        yield from zip(*(each.unbind()[::-1] for each in columns), factors, strict=True)

    def compute(
        self,
        of_h: Tensor,
        of_c: Tensor,
        slopes: Tensor,
        of_leaves: Tensor,
        of_recurrent: Tensor,
        parts: Tensor,
        factors: Sequence[Factors],
    ) -> tuple[Tensor, Tensor]:
        """Return the gradients of U h and of c_{t-1}, from those of h_t and c_t."""
        base, grads = self.tree.architecture.base, {len(self.tree.architecture.nodes) - 1: of_h}
        inject, *inner = factors
        for number in range(len(self.tree.architecture.nodes) - 1, -1, -1):
            if number == self.previous:
                grads[number], of_c_before = inject(grads[number], of_c)
            if number >= base:
                one, other = children_of(number, base)
                grads[one], grads[other] = inner[number - base](grads[number], of_c)
        torch.cat([grads[leaf] for leaf in self.tree.order], -1, out=of_leaves)
        of_leaves.mul_(slopes)
        if self.new < base:
            self.tree.by_leaf(of_leaves)[self.new].add_(of_c)
        if self.parts:
            torch.mul(of_leaves, parts, out=of_recurrent)
        return of_recurrent, of_c_before


class Factors(NamedTuple):
    """What the gradient of a node's result is multiplied by, (T, B, H) each; (B, H) of a step."""

    slope: Tensor | None
    """Of its activation, where the gradient of c_t is added next; otherwise the two contain it."""
    one: Tensor | None
    other: Tensor | None
    """Those of what it combines; None for 1."""

    def __call__(self, gradient: Tensor, of_c: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of what a node combines."""
        if self.slope is not None:
            gradient = torch.addcmul(of_c, gradient, self.slope)
        one = gradient if self.one is None else gradient * self.one
        if self.other is self.one:
            return one, one
        return one, gradient if self.other is None else gradient * self.other

    def by_step(self) -> Iterator[Factors]:
        """Yield those of each step, the last first."""
        steps = len(next(each for each in self if each is not None))
        parts = [[None] * steps if each is None else each.unbind()[::-1] for each in self]
        shared = self.one is self.other
        for slope, one, other in zip(*parts, strict=True):
            yield Factors(slope, one, one if shared else other)


def factors_of(
    node: Node, argument: Tensor, result: Tensor, combined: Sequence[Tensor], is_new: bool
) -> Factors:
    """Return a node's factors.

    Args:
        node: Its combination and its activation.
        argument: What the activation was applied to.
        result: What it gave.
        combined: The two that the node combines.
        is_new: The argument is c_t, too.
    """
    slope = slope_of(node, argument, result)
    parts = parts_of(node, *combined)
    if is_new:
        return Factors(slope, *(parts or (None, None)))
    if parts is None:
        return Factors(None, slope, slope)
    return Factors(None, *(slope * part for part in parts))


def slope_of(node: Node, argument: Tensor, result: Tensor) -> Tensor:
    """Return the derivative of a node's activation."""
    return before(node[1], torch.ones_like(result), result, argument)


def parts_of(node: Node, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor] | None:
    """Return the derivatives of a combination; None where both are 1. Equals share a maximum's."""
    if node[0] == "elem_mult":
        return other, one
    if node[0] == "max":
        share = ((one > other).to(one.dtype) + (one >= other).to(one.dtype)) / 2
        return share, 1 - share
    return None
