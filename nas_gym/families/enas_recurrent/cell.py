"""The cell of a list of nodes as a module: inputs (T, B, I) in, outputs (T, B, H) out.

Node 0 is computed from x_t and h_{t-1}, every other node from an earlier one, each by a highway
connection: s_l = s + sigmoid(s W_t) * (f(s W_h) - s). Nodes that take the same one are a group,
computed by one matrix product.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture
from nas_gym.networks.recurrent import (
    IN_PLACE,
    RecurrentCell,
    gradient_before,
    masked,
    product,
    weight_gradient,
)


class _Group(NamedTuple):
    """The nodes that take one state. States are h_{t-1}, node 0, then the other groups' nodes."""

    source: int
    """The number of the state that they take."""
    first: int
    """The number of the state that the first of them gives."""
    nodes: tuple[int, ...]
    """Those with the same activation stand side by side."""
    runs: tuple[tuple[str, int], ...]
    """Its activations, and the number of nodes that each has."""

    def split(self, halves: Tensor) -> tuple[Tensor, ...]:
        """Return the parts of each activation of (..., kH)."""
        size = halves.shape[-1] // len(self.nodes)
        parts: tuple[Tensor, ...] = halves.split([size * number for _, number in self.runs], -1)
        return parts

    def by_node(self, halves: Tensor) -> Tensor:
        """Return (T, ..., kH) as (T, k, ..., H)."""
        parts: Tensor = halves.unflatten(-1, (len(self.nodes), -1))
        return parts.movedim(-2, 1)


class HighwayCell(RecurrentCell):
    """A recurrent cell of ENAS, of nodes 1 to L; its state is (h,).

    The ``kernel`` and the ``recurrent_kernel`` are those of node 0, (I, 2H) and (H, 2H): candidate,
    then gate; the ``node_kernels`` those of nodes 1 to L, (H, 2H) each.
    """

    own_gradients: ClassVar[bool] = True

    def __init__(self, architecture: ENASRecurrentArchitecture, inputs: int, units: int) -> None:
        super().__init__(inputs, units, num_states=1)
        self.architecture = architecture
        self.kernel = nn.Parameter(torch.empty(inputs, 2 * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, 2 * units))
        made = (nn.Parameter(torch.empty(units, 2 * units)) for _ in architecture.nodes)
        self.node_kernels = nn.ParameterList(made)
        for weight in self.parameters():
            nn.init.xavier_uniform_(weight)
        self._groups = _grouped(architecture)

    def set_nodes(self, architecture: ENASRecurrentArchitecture) -> None:
        """Compute another cell of as many nodes from now on."""
        self.architecture, self._groups = architecture, _grouped(architecture)

    def kernel_of(self, node: int) -> Tensor:
        """Return the weights of a node, from 1 to L."""
        kernel: Tensor = self.node_kernels[node - 1]
        return kernel

    def project(self, inputs: Tensor) -> Tensor:
        return inputs @ self.kernel

    def weights(self) -> tuple[Tensor, ...]:
        """Return the weights of each group of k nodes, (H, 2kH): all candidates, then all gates."""
        joined = []
        for group in self._groups[1:]:
            halves = [self.kernel_of(node).chunk(2, -1) for node in group.nodes]
            parts = [half[part] for part in (0, 1) for half in halves]
            single = self.kernel_of(group.nodes[0])
            joined.append(single if len(halves) == 1 else torch.cat(parts, dim=-1))
        return tuple(self.dropped(weight) for weight in (self.recurrent_kernel, *joined))

    def unroll(
        self, mask: Tensor | None, projected: Tensor, *given: Tensor
    ) -> tuple[tuple[Tensor, ...], Any]:
        (h, *kernels), shape, units = given, projected.shape[:-1], self.units
        nodes = projected.new_empty(shape[0], 1 + len(self.architecture.nodes), *shape[1:], units)
        made = [projected.new_empty(*shape, 2 * len(g.nodes) * units) for g in self._groups]
        outputs = projected.new_empty(*shape, units)
        steps = zip(*map(_views, self._groups, made, [nodes] * len(made)), strict=True)
        for x, states, output, now in zip(projected, nodes, outputs, steps, strict=True):
            known = (h, *states.unbind())
            for group, kernel, (both, gates, parts, highway) in zip(
                self._groups, kernels, now, strict=True
            ):
                source = known[group.source]
                product(masked(source, mask), kernel, both)
                if group.source == 0:
                    both.add_(x)
                gates.sigmoid_()
                for (label, _), part in zip(group.runs, parts, strict=True):
                    IN_PLACE[label](part)
                candidates, shares, results = highway
                torch.lerp(source, candidates, shares, out=results)
            h = torch.mean(states[1:], dim=0, out=output)
        return (outputs,), (nodes, made)

    def gradients(
        self, kept: Any, mask: Tensor | None, given: Sequence[Tensor], after: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        _, h, *kernels = given
        nodes, made = kept
        states = [torch.cat([h[None], nodes[:-1, 1:].mean(dim=1)]), *nodes.unbind(1)]
        sources = [states[group.source] for group in self._groups]
        factors, keeps = zip(*map(_factors, self._groups, sources, made), strict=True)
        views = [
            zip(*(each.unbind()[::-1] for each in (both, *both.chunk(2, -1), keep)), strict=True)
            for both, keep in zip(factors, keeps, strict=True)
        ]
        transposed, carried = [kernel.mT for kernel in kernels], torch.zeros_like(h)
        for output, *now in zip(after[0].unbind()[::-1], *views, strict=True):
            carried = self._back(output + carried, now, transposed, mask)
        inputs = (masked(source, mask) for source in sources)
        return factors[0], carried, *map(weight_gradient, inputs, factors)

    def _back(
        self,
        total: Tensor,
        now: Sequence[tuple[Tensor, ...]],
        kernels: Sequence[Tensor],
        mask: Tensor | None,
    ) -> Tensor:
        """Return the gradient of h_{t-1} from that of h_t; those of products replace factors."""
        share = total / len(self.architecture.nodes)
        grads = [share] * (2 + len(self.architecture.nodes))
        for place in range(len(kernels) - 1, -1, -1):
            group, (both, candidates, gates, keep) = self._groups[place], now[place]
            gradient = grads[group.first]
            if len(group.nodes) > 1:
                gradient = torch.cat(grads[group.first : group.first + len(group.nodes)], -1)
            candidates.mul_(gradient)
            gates.mul_(gradient)
            of_source = keep * gradient
            if len(group.nodes) > 1:
                of_source = of_source.unflatten(-1, (len(group.nodes), -1)).sum(-2)
            if group.source > 1:  # h_t is the mean of nodes 1 to L
                of_source += share
            if mask is None and both.ndim == 2:
                of_source.addmm_(both, kernels[place])
            else:
                of_source += masked(both @ kernels[place], mask)
            grads[group.source] = of_source
        return grads[0]


def _grouped(architecture: ENASRecurrentArchitecture) -> list[_Group]:
    """Return the groups, in an order in which every state is there before it is taken."""
    groups, numbers = [_Group(0, 1, (0,), (("tanh", 1),))], {0: 1}
    labels = {node: label for node, (_, label) in enumerate(architecture.nodes, start=1)}
    for source, taken_by in enumerate(architecture.successors):
        if taken_by:
            nodes = tuple(sorted(taken_by, key=labels.__getitem__))
            runs = (
                (label, len(list(same))) for label, same in groupby(map(labels.__getitem__, nodes))
            )
            first = len(numbers) + 1
            groups.append(_Group(numbers[source], first, nodes, tuple(runs)))
            numbers |= {node: first + place for place, node in enumerate(nodes)}
    return groups


def _views(group: _Group, made: Tensor, nodes: Tensor) -> Iterator[tuple[Any, ...]]:
    """Yield where each step writes a group's products, gates, candidates and results."""
    candidates, gates = made.chunk(2, -1)
    parts = zip(*(part.unbind() for part in group.split(candidates)), strict=True)
    first = group.first - 1
    results = nodes[:, first : first + len(group.nodes)]
    highway = (group.by_node(candidates), group.by_node(gates), results)
    yield from zip(made, gates, parts, zip(*highway, strict=True), strict=True)


def _factors(group: _Group, source: Tensor, made: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the gradients of a group's nodes are multiplied by, in all steps.

    For those of its products, (T, B, 2kH), and for its source's, (T, B, kH) to be added up.
    """
    candidates, gates = made.chunk(2, -1)
    parts = zip(group.runs, group.split(gates), group.split(candidates), strict=True)
    slopes = [gradient_before(label, gate, part) for (label, _), gate, part in parts]
    by_node = candidates.unflatten(-1, (len(group.nodes), -1))
    difference = (by_node - source.unsqueeze(-2)).flatten(-2)
    return torch.cat([*slopes, gradient_before("sigmoid", difference, gates)], -1), 1 - gates
