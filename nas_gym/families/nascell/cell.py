"""The cell of a tree as a module: inputs (T, B, I) in, outputs (T, B, H) out.

Leaves with the same combination and activation are computed together: a step is one matrix product
and a few element-wise operations, most of them on several nodes at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby

import torch
from torch import Tensor, nn

from nas_gym.families.nascell.search_space import NASCellArchitecture, children_of
from nas_gym.networks.recurrent import ACTIVATIONS, RecurrentCell, State, masked

COMBINATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "add": torch.add,
    "elem_mult": torch.mul,
    "max": torch.maximum,
}


class TreeCell(RecurrentCell):
    """A recurrent cell of NAS, a tree of b leaves; its state is (h, c).

    The ``kernel``, W of all leaves, is (I, b H), in TensorFlow's order; the ``recurrent_kernel``, U
    of all leaves, (H, b H). With ``bias``, (b H,), U h has one; TensorFlow's cell can, and the
    paper's has none.
    """

    def __init__(
        self, architecture: NASCellArchitecture, inputs: int, units: int, bias: bool = False
    ) -> None:
        super().__init__(inputs, units, num_states=2)
        self.architecture = architecture
        leaves = architecture.base
        self.kernel = nn.Parameter(torch.empty(inputs, leaves * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, leaves * units))
        self.bias = nn.Parameter(torch.zeros(leaves * units)) if bias else None
        for weight in (self.kernel, self.recurrent_kernel):
            nn.init.xavier_uniform_(weight)
        self._order = sorted(range(leaves), key=architecture.nodes.__getitem__)
        runs = groupby(self._order, architecture.nodes.__getitem__)
        self._groups = [(node, len(list(members))) for node, members in runs]

    def _by_group(self, weight: Tensor) -> Tensor:
        """Return weights (..., b H) with the leaves in the order of the groups."""
        if self._order == sorted(self._order):
            return weight
        parts = weight.chunk(len(self._order), dim=-1)
        return torch.cat([parts[leaf] for leaf in self._order], dim=-1)

    def project(self, inputs: Tensor) -> Tensor:
        return inputs @ self._by_group(self.kernel)

    def weights(self) -> tuple[Tensor, ...]:
        kernel = self.dropped(self._by_group(self.recurrent_kernel))
        return (kernel,) if self.bias is None else (kernel, self._by_group(self.bias))

    def unroll(
        self, mask: Tensor | None, projected: Tensor, *given: Tensor
    ) -> tuple[tuple[Tensor, ...], None]:
        h, c, kernel, *bias = given
        outputs = []
        for x in projected.unbind():
            recurrent = masked(h, mask) @ kernel
            leaves = self._leaves(x, recurrent + bias[0].unsqueeze(-2) if bias else recurrent)
            h, c = self._tree(leaves, c)
            outputs.append(h)
        return (torch.stack(outputs), c), None

    def _leaves(self, projected: Tensor, recurrent: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return each leaf before and after its activation, (B, H) each."""
        widths = [number * self.units for _, number in self._groups]
        parts = zip(projected.split(widths, -1), recurrent.split(widths, -1), strict=True)
        made: list[tuple[Tensor, Tensor]] = []
        for ((combination, activation), number), (x, h) in zip(self._groups, parts, strict=True):
            before = COMBINATIONS[combination](x, h)
            after = ACTIVATIONS[activation](before)
            made += zip(before.chunk(number, -1), after.chunk(number, -1), strict=True)
        leaves = dict(zip(self._order, made, strict=True))
        return [leaves[leaf] for leaf in range(len(leaves))]

    def _tree(self, leaves: list[tuple[Tensor, Tensor]], c: Tensor) -> State:
        """Return h_t and c_t of leaves before and after their activations."""
        design = self.architecture
        new, previous = design.cell_indices
        combine, activate = COMBINATIONS[design.cell_inject[0]], ACTIVATIONS[design.cell_inject[1]]
        results: list[Tensor] = []
        for number, (combination, activation) in enumerate(design.nodes):
            if number < len(leaves):
                before, result = leaves[number]
            else:
                one, other = (results[child] for child in children_of(number, len(leaves)))
                before = COMBINATIONS[combination](one, other)
                result = ACTIVATIONS[activation](before)
            if number == new:
                c_new = before
            if number == previous:
                result = activate(combine(result, c))
            results.append(result)
        return results[-1], c_new
