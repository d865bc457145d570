"""The supernet of ENAS's recurrent cells: one weight matrix a node, activation and predecessor."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.families.enas_recurrent.cell import HighwayCell
from nas_gym.families.enas_recurrent.network import ENASRecurrentNetwork
from nas_gym.families.enas_recurrent.search_space import (
    ENAS_ACTIVATIONS,
    ENASRecurrentArchitecture,
    ENASRecurrentSearchSpace,
)
from nas_gym.networks.base import NetworkSettings, TokenShape
from nas_gym.networks.language_model import LanguageModel, LanguageModelSettings
from nas_gym.weight_sharing.supernet import Supernet, built_child, fitting, no_child


class SharedKernels(nn.ModuleDict):
    """The weights of node l, (H, 2H) for each activation and each of its l predecessors."""

    def __init__(self, node: int, units: int) -> None:
        super().__init__()
        for label in ENAS_ACTIVATIONS:
            for source in range(node):
                kernel = nn.Parameter(torch.empty(units, 2 * units))
                self[f"{label}_{source}"] = nn.ParameterList([kernel])


class SharedCell(HighwayCell):
    """A cell whose nodes take the weights of the child that is set."""

    def __init__(self, nodes: int, inputs: int, units: int) -> None:
        super().__init__(ENASRecurrentArchitecture(((0, "tanh"),) * nodes), inputs, units)
        del self.node_kernels
        self.shared = nn.ModuleList(SharedKernels(n, units) for n in range(1, nodes + 1))

    def module_of(self, node: int) -> nn.Module:
        """Return the module that holds a node's weights alone."""
        source, label = self.architecture.nodes[node - 1]
        kernels = self.shared[node - 1]
        assert isinstance(kernels, SharedKernels)
        return kernels[f"{label}_{source}"]

    def kernel_of(self, node: int) -> Tensor:
        kernel: Tensor = next(self.module_of(node).parameters())
        return kernel


class RecurrentSupernet(LanguageModel, Supernet):
    """Words (T, B) in, logits (T, B, V) of one child, of L nodes, out (Pham et al. 2018, 2.2)."""

    def __init__(self, nodes: int, shape: TokenShape, settings: LanguageModelSettings) -> None:
        super().__init__(lambda *sizes: SharedCell(nodes, *sizes), shape, settings)
        self.nodes, self.shape = nodes, shape

    @property
    def _shared(self) -> list[SharedCell]:
        return [cell for cell in self.layers if isinstance(cell, SharedCell)]

    def set_architecture(self, architecture: Architecture) -> None:
        checked = self._checked(architecture)
        for cell in self._shared:
            cell.set_nodes(checked)

    def path(self, architecture: Architecture) -> list[nn.Module]:
        self.set_architecture(architecture)
        of_nodes = [cell.module_of(n + 1) for cell in self._shared for n in range(self.nodes)]
        outer = [nn.ParameterList([cell.kernel, cell.recurrent_kernel]) for cell in self._shared]
        return [nn.ModuleList([self.embedding, self.decoder]), *outer, *of_nodes]

    def child(self, architecture: Architecture) -> ENASRecurrentNetwork:
        self.set_architecture(architecture)
        network = built_child(ENASRecurrentNetwork, architecture, self.shape, self.settings)
        network.embedding.load_state_dict(self.embedding.state_dict())
        network.decoder.load_state_dict(self.decoder.state_dict())
        for shared, own in zip(self._shared, network.layers, strict=True):
            assert isinstance(own, HighwayCell)
            with torch.no_grad():
                own.kernel.copy_(shared.kernel)
                own.recurrent_kernel.copy_(shared.recurrent_kernel)
                for number, kernel in enumerate(own.node_kernels, start=1):
                    kernel.copy_(shared.kernel_of(number))
        return network.to(self.embedding.weight.device)

    def _checked(self, architecture: Architecture) -> ENASRecurrentArchitecture:
        if not isinstance(architecture, ENASRecurrentArchitecture):
            raise no_child(architecture, "enas-recurrent")
        number = len(architecture.nodes)
        if number != self.nodes:
            raise InvalidArchitecture(f"nodes: {number} nodes; this supernet has {self.nodes}")
        return architecture


def recurrent_supernet(
    search_space: ENASRecurrentSearchSpace,
    shape: TokenShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> Supernet:
    """Build the supernet; see `nas_gym.weight_sharing.supernet.build_supernet`."""
    own = fitting(LanguageModelSettings, settings or LanguageModelSettings())
    return RecurrentSupernet(search_space.nodes, shape, own)
