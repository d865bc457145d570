"""The cell of a list of nodes as a module: inputs (T, B, I) in, outputs (T, B, H) out.

Node 0 is computed from x_t and h_{t-1}, every other node from an earlier one, each by a highway
connection: s_l = s + sigmoid(s W_t) * (f(s W_h) - s). Nodes that take the same one are computed by
one matrix product.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from nas_gym.families.enas_recurrent.search_space import ENASRecurrentArchitecture
from nas_gym.networks.recurrent import ACTIVATIONS, RecurrentCell, State, masked


class HighwayCell(RecurrentCell):
    """A recurrent cell of ENAS; its state is (h,).

    Args:
        architecture: The nodes 1 to L.
        inputs: I, size of an input.
        units: H, size of every node.

    Attributes:
        kernel, recurrent_kernel: Weights of node 0, (I, 2H) and (H, 2H): candidate, then gate.
        node_kernels: Those of nodes 1 to L, (H, 2H) each.
    """

    def __init__(self, architecture: ENASRecurrentArchitecture, inputs: int, units: int) -> None:
        super().__init__(inputs, units, num_states=1)
        self.architecture = architecture
        self.kernel = nn.Parameter(torch.empty(inputs, 2 * units))
        self.recurrent_kernel = nn.Parameter(torch.empty(units, 2 * units))
        made = (nn.Parameter(torch.empty(units, 2 * units)) for _ in architecture.nodes)
        self.node_kernels = nn.ParameterList(made)
        for weight in self.parameters():
            nn.init.xavier_uniform_(weight)

    def project(self, inputs: Tensor) -> Tensor:
        return inputs @ self.kernel

    def stepper(self, mask: Tensor | None) -> Callable[[Tensor, State], State]:
        plan = [
            (source, nodes, self.dropped(self._joined(nodes)))
            for source, nodes in enumerate(self.architecture.successors)
            if nodes
        ]

        recurrent_kernel = self.dropped(self.recurrent_kernel)

        def step(projected: Tensor, state: State) -> State:
            h = state[0]
            candidate, gate = (projected + masked(h, mask) @ recurrent_kernel).chunk(2, -1)
            results: dict[int, Tensor] = {0: torch.lerp(h, candidate.tanh(), gate.sigmoid())}
            for source, nodes, kernel in plan:
                both = masked(results[source], mask) @ kernel
                self._add(results, source, nodes, both)
            return (torch.stack([results[n] for n in sorted(results) if n]).mean(dim=0),)

        return step

    def _joined(self, nodes: list[int]) -> Tensor:
        """Return the weights of k nodes side by side, (H, 2kH): all candidates, then all gates."""
        kernels: list[Tensor] = [self.node_kernels[node - 1] for node in nodes]
        if len(kernels) == 1:
            return kernels[0]
        halves = [kernel.chunk(2, -1) for kernel in kernels]
        return torch.cat([half[part] for part in (0, 1) for half in halves], dim=-1)

    def _add(self, results: dict[int, Tensor], source: int, nodes: list[int], both: Tensor) -> None:
        """Add the results of nodes that take ``source``, from its products, (B, 2kH)."""
        candidates, gates = both.chunk(2, -1)
        parts = (candidates.chunk(len(nodes), -1), gates.sigmoid().chunk(len(nodes), -1))
        for node, candidate, gate in zip(nodes, *parts, strict=True):
            activate = ACTIVATIONS[self.architecture.nodes[node - 1][1]]
            results[node] = torch.lerp(results[source], activate(candidate), gate)
