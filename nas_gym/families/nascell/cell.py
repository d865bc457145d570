"""The cell of a tree as a module: inputs (T, B, I) in, outputs (T, B, H) out.

Leaves with the same combination and activation are computed together: a step is one matrix product
and a few element-wise operations, most of them on several nodes at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn

from nas_gym.families.nascell.gradients import TreeGradients
from nas_gym.families.nascell.search_space import NASCellArchitecture
from nas_gym.families.nascell.tree import Tree
from nas_gym.networks.recurrent import RecurrentCell, masked, product, weight_gradient


class TreeCell(RecurrentCell):
    """A recurrent cell of NAS; its state is (h, c).

    Args:
        architecture: The tree, of b leaves.
        inputs: I, size of an input.
        units: H, size of h and c.
        bias: Add a bias to U h; TensorFlow's cell can have one, and the paper's has none.

    Attributes:
        kernel: W of all leaves, (I, b H), in TensorFlow's order.
        recurrent_kernel: U of all leaves, (H, b H).
        bias: (b H,), or None.
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
    ) -> tuple[tuple[Tensor, ...], Tree]:
        h, c, kernel, *bias = given
        tree = Tree(self.architecture, self._order, self._groups, projected)
        for recurrent, groups, arguments, results in tree.steps():
            product(masked(h, mask), kernel, recurrent)
            if bias:
                recurrent.add_(bias[0].unsqueeze(-2))
            h, c = tree.compute(groups, arguments, results, c)
        return (tree.outputs.clone(), c.clone()), tree

    def gradients(
        self, kept: Tree, mask: Tensor | None, given: Sequence[Tensor], after: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        _, h, c, kernel, *bias = given
        way = TreeGradients(kept, c)
        of_h, of_c, transposed = torch.zeros_like(h), after[1], kernel.mT
        for output, step in zip(after[0].unbind()[::-1], way.steps(), strict=True):
            of_recurrent, of_c = way.compute(output + of_h, of_c, *step)
            of_h = masked(of_recurrent @ transposed, mask)
        before = torch.cat([h[None], kept.outputs[:-1]])
        of_kernel = weight_gradient(masked(before, mask), way.of_recurrent)
        of_bias = [way.of_recurrent.sum(dim=(0, -2)) for _ in bias]
        return way.of_projected(), of_h, of_c, of_kernel, *of_bias
