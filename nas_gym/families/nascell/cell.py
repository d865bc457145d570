"""The cell of a tree as a module: inputs (T, B, I) in, outputs (T, B, H) out.

Leaves with the same combination, or the same activation, stand side by side and are computed
together: a step is one matrix product and a few element-wise operations. From U h_{t-1} to h_t and
c_t all is element-wise, so their derivatives are products along the tree, which are computed for
all steps at once; only then the gradients go back, step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nas_gym.families.nascell.search_space import NASCellArchitecture, children_of
from nas_gym.networks.recurrent import (
    IN_PLACE,
    RecurrentCell,
    gradient_before,
    masked,
    product,
    weight_gradient,
)

COMBINATIONS: dict[str, Callable[..., Tensor]] = {
    "add": torch.add,
    "elem_mult": torch.mul,
    "max": torch.maximum,
}


class _Node(NamedTuple):
    """A node, or the cell inject, as an operation on two values.

    Values are numbered: the results of the nodes and of the cell inject, c_{t-1}, then W x_t of
    each leaf and U h_{t-1} of each leaf, in their order here.
    """

    number: int
    combination: str
    activation: str
    one: int
    other: int


class _Values(NamedTuple):
    """Values of the nodes in all steps, (T, B, H) each, or in one, (B, H)."""

    recurrent: Tensor
    """U h_{t-1} of all leaves, in their order here, (..., b H)."""
    leaves: Tensor
    """Their results, in the same order."""
    results: Sequence[Tensor]
    """The result of each node and of the cell inject, by number."""
    before: dict[int, Tensor]
    """Values before the activation, where they are needed, by number."""

    def steps(self) -> Iterator[_Values]:
        """Yield the values in each step."""
        results = zip(*(each.unbind() for each in self.results), strict=True)
        before = zip(*(each.unbind() for each in self.before.values()), strict=True)
        stacked = (self.recurrent, self.leaves, results, before)
        for recurrent, leaves, made, kept in zip(*stacked, strict=True):
            yield _Values(recurrent, leaves, made, dict(zip(self.before, kept, strict=True)))


class TreeCell(RecurrentCell):
    """A recurrent cell of NAS, a tree of b leaves; its state is (h, c).

    The ``kernel``, W of all leaves, is (I, b H), in TensorFlow's order; the ``recurrent_kernel``, U
    of all leaves, (H, b H). With ``bias``, (b H,), U h has one; TensorFlow's cell can, and the
    paper's has none.
    """

    own_gradients: ClassVar[bool] = True

    def __init__(
        self, architecture: NASCellArchitecture, inputs: int, units: int, bias: bool = False
    ) -> None:
        super().__init__(inputs, units, num_states=2)
        self.architecture = architecture
        leaves, nodes = architecture.base, architecture.nodes
        self.kernel = nn.Parameter(torch.empty(inputs, leaves * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, leaves * units))
        self.bias = nn.Parameter(torch.zeros(leaves * units)) if bias else None
        for weight in (self.kernel, self.recurrent_kernel):
            nn.init.xavier_uniform_(weight)
        self._new, _ = architecture.cell_indices
        self._nodes = _above_leaves(architecture)
        self._below = _below(self._new, self._nodes)

        def kind(leaf: int) -> tuple[bool, tuple[str, ...]]:
            return leaf not in self._below, nodes[leaf][::-1]

        self._order = sorted(range(leaves), key=kind)
        combinations, activations = zip(*(nodes[leaf] for leaf in self._order), strict=True)
        self._combined, self._activated = _runs(combinations), _runs(activations)
        self._leaves = _leaves(architecture, self._order)
        every = (*self._leaves, *self._nodes)
        self._kept = [n.number for n in every if n.activation == "sin" or n.number == self._new]

    def _in_order(self, weight: Tensor) -> Tensor:
        """Return weights (..., b H) with the leaves in their order here."""
        if self._order == sorted(self._order):
            return weight
        parts = weight.chunk(len(self._order), dim=-1)
        return torch.cat([parts[leaf] for leaf in self._order], dim=-1)

    def project(self, inputs: Tensor) -> Tensor:
        return inputs @ self._in_order(self.kernel)

    def weights(self) -> tuple[Tensor, ...]:
        kernel = self.dropped(self._in_order(self.recurrent_kernel))
        return (kernel,) if self.bias is None else (kernel, self._in_order(self.bias))

    def unroll(
        self, mask: Tensor | None, projected: Tensor, *given: Tensor
    ) -> tuple[tuple[Tensor, ...], _Values]:
        h, c, kernel, *bias = given
        values, last = self._room_for(projected), self._nodes[-1].number
        for x, now in zip(projected, values.steps(), strict=True):
            product(masked(h, mask), kernel, now.recurrent)
            if bias:
                now.recurrent.add_(bias[0].unsqueeze(-2))
            self._compute(x, c, now)
            h, c = now.results[last], now.before[self._new]
        return (values.results[last].clone(), c.clone()), values

    def _room_for(self, projected: Tensor) -> _Values:
        """Return room for the values in all steps."""
        recurrent, leaves = (torch.empty_like(projected) for _ in range(2))
        by_leaf = dict(zip(self._order, self._by_leaf(leaves).unbind(-2), strict=True))

        def room() -> Tensor:
            return projected.new_empty(*projected.shape[:-1], self.units)

        results = [by_leaf[leaf] for leaf in range(len(by_leaf))]
        results += [room() for _ in self._nodes]
        return _Values(recurrent, leaves, results, {number: room() for number in self._kept})

    def _by_leaf(self, values: Tensor) -> Tensor:
        """Return (..., b H) as (..., b, H)."""
        found: Tensor = values.unflatten(-1, (-1, self.units))
        return found

    def _compute(self, x: Tensor, c: Tensor, now: _Values) -> None:
        """Compute a step of W x_t, U h_{t-1} and c_{t-1}."""
        sizes = [number * self.units for _, number in self._combined]
        parts = (each.split(sizes, -1) for each in (x, now.recurrent, now.leaves))
        for (combination, _), one, other, result in zip(self._combined, *parts, strict=True):
            COMBINATIONS[combination](one, other, out=result)
        for number in self._kept:
            if number < len(self._order):
                now.before[number].copy_(now.results[number])
        sizes = [number * self.units for _, number in self._activated]
        for (activation, _), result in zip(
            self._activated, now.leaves.split(sizes, -1), strict=True
        ):
            IN_PLACE[activation](result)
        known = (*now.results, c)
        for node in self._nodes:
            value = known[node.number]
            COMBINATIONS[node.combination](known[node.one], known[node.other], out=value)
            if node.number in now.before:
                now.before[node.number].copy_(value)
            IN_PLACE[node.activation](value)

    def gradients(
        self, kept: Any, mask: Tensor | None, given: Sequence[Tensor], after: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        values: _Values = kept
        projected, h, c, kernel, *bias = given
        outputs, cells = values.results[self._nodes[-1].number], values.before[self._new]
        states, cells = (torch.cat([o[None], e[:-1]]) for o, e in ((h, outputs), (c, cells)))
        halves = (self._by_leaf(each).unbind(-2) for each in (projected, values.recurrent))
        known = (*values.results, cells, *chain(*halves))
        h_by_new, slopes = self._slopes(known, values.before)
        grads = torch.stack([slopes[leaf.other] for leaf in self._leaves], -2)

        # Slopes become the gradients of U h_{t-1}, from the last step to the first.
        d_h, d_c, back = torch.zeros_like(h), after[1], kernel.mT
        totals, cell = [], len(values.results)
        num_below = sum(leaf.number in self._below for leaf in self._leaves)
        parts = grads.split([num_below, len(self._leaves) - num_below], -2)
        steps = (after[0], grads, *parts, slopes[cell], h_by_new)
        for d_output, grad, below, others, of_cell, of_new in zip(
            *(each.unbind()[::-1] for each in steps), strict=True
        ):
            d_h = d_output + d_h
            d_new = torch.addcmul(d_c, of_new, d_h)
            totals.append((d_new, d_h))
            below.mul_(d_new.unsqueeze(-2))
            others.mul_(d_h.unsqueeze(-2))
            d_c = of_cell * (d_new if cell in self._below else d_h)
            d_h = masked(grad.flatten(-2) @ back, mask)

        recurrent = grads.flatten(-2)
        of_weights = [weight_gradient(masked(states, mask), recurrent)]
        if bias:
            of_weights.append(recurrent.sum((0, -2)))
        total = [torch.stack(each[::-1]) for each in zip(*totals, strict=True)]
        for place, leaf in enumerate(self._leaves):  # and those of W x_t, where they are others
            if leaf.combination != "add":
                grads[..., place, :] = slopes[leaf.one] * total[leaf.number not in self._below]
        return (recurrent, d_h, d_c, *of_weights)

    def _slopes(
        self, known: Sequence[Tensor], kept: dict[int, Tensor]
    ) -> tuple[Tensor, dict[int, Tensor]]:
        """Return the derivatives of h_t with respect to c_t, and to all values by number.

        With respect to values below the node that gives c_t, they are those of c_t.
        """
        one = torch.ones_like(known[-1])
        slopes = {self._nodes[-1].number: one}
        for node in reversed((*self._leaves, *self._nodes)):
            number = node.number
            slope = gradient_before(
                node.activation, slopes[number], known[number], kept.get(number)
            )
            if number == self._new:
                h_by_new, slope = slope, one
            pair = known[node.one], known[node.other]
            slopes[node.one], slopes[node.other] = _split(node.combination, slope, *pair)
        return h_by_new, slopes


def _runs(labels: Iterable[str]) -> list[tuple[str, int]]:
    """Return the labels, and how often each stands side by side."""
    return [(label, len(list(same))) for label, same in groupby(labels)]


def _leaves(architecture: NASCellArchitecture, order: Sequence[int]) -> list[_Node]:
    """Return the leaves, in an order."""
    inputs = len(architecture.nodes) + 2
    recurrent = inputs + len(order)
    nodes = architecture.nodes
    return [
        _Node(leaf, *nodes[leaf], inputs + place, recurrent + place)
        for place, leaf in enumerate(order)
    ]


def _above_leaves(architecture: NASCellArchitecture) -> list[_Node]:
    """Return the operations above the leaves, in their order; the last one gives h_t."""
    _, previous = architecture.cell_indices
    injected, c = len(architecture.nodes), len(architecture.nodes) + 1
    found = []
    for number, node in enumerate(architecture.nodes):
        if children := children_of(number, architecture.base):
            one, other = (injected if child == previous else child for child in children)
            found.append(_Node(number, *node, one, other))
        if number == previous:
            found.append(_Node(injected, *architecture.cell_inject, previous, c))
    return found


def _below(number: int, nodes: Sequence[_Node]) -> set[int]:
    """Return the number of a node, and of all that it follows from, down to the leaves."""
    found = {number}
    for node in reversed(nodes):
        if node.number in found:
            found |= {node.one, node.other}
    return found


def _split(combination: str, slope: Tensor, one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    """Return the derivatives with respect to the two that were combined, from that of the result.

    At a maximum of equals, each has half of it, as with autograd.
    """
    if combination == "add":
        return slope, slope
    if combination == "elem_mult":
        return slope * other, slope * one
    larger = torch.heaviside(one - other, one.new_full((), 0.5))
    return slope * larger, slope * (1 - larger)
