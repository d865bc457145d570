"""The supernet of ProxylessNAS's search space (Cai et al. 2019, section 3.1).

As in the released code, https://github.com/mit-han-lab/proxylessnas, search/models, every candidate
of a layer has weights of its own, and a forward pass runs one path: that of the candidate chosen.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator

from torch import Tensor, nn

from nas_gym.families.mobile.architecture import MBConv, ProxylessNASArchitecture
from nas_gym.families.mobile.network import ProxylessNASNetwork
from nas_gym.families.mobile.proxylessnas import CANDIDATES, ProxylessNASSearchSpace
from nas_gym.networks import ImageShape, NetworkSettings
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.weight_sharing.sliced import SlicedSupernet, check_batch_statistics
from nas_gym.weight_sharing.supernet import fitting


class ProxylessNASSupernet(SlicedSupernet):
    """All candidates of `ProxylessNASSearchSpace`."""

    def __init__(
        self,
        search_space: ProxylessNASSearchSpace,
        image_shape: ImageShape,
        settings: MobileNetworkSettings,
    ) -> None:
        super().__init__("proxylessnas", image_shape, settings)
        self.search_space = search_space
        self.candidates = nn.ModuleDict()
        for number in range(len(CANDIDATES)):
            uniform = search_space.decode(len(search_space.decisions) * [number])
            self.rest = ProxylessNASNetwork(uniform, image_shape, settings)
            for name, layer in zip(self._names(uniform), self.rest.layers, strict=True):
                if name not in self.candidates:
                    self.candidates[name] = layer
        self.rest.layers = nn.Sequential()

    def keys(self, architecture: ProxylessNASArchitecture) -> tuple[Hashable, list[Hashable]]:
        return None, [*self._names(architecture)]

    def _names(self, architecture: ProxylessNASArchitecture) -> list[str]:
        """Return the names of a child's candidates, layer by layer; a zero layer has none."""
        self.search_space.encode(architecture)  # raises if it is of another space
        blocks = enumerate(architecture.blocks)
        return [_name(place, block) for place, block in blocks if block is not None]

    def weights(
        self, architecture: ProxylessNASArchitecture, network: nn.Module
    ) -> Iterator[tuple[str, Tensor]]:
        yield from self.rest.named_parameters()
        for number, name in enumerate(self._names(architecture)):
            for own, value in self.candidates[name].named_parameters():
                yield f"layers.{number}.{own}", value


def _name(place: int, block: MBConv) -> str:
    return f"{place}_{block.kernel}x{block.kernel}_MBConv{block.expansion}"


def proxylessnas_supernet(
    search_space: ProxylessNASSearchSpace,
    image_shape: ImageShape,
    settings: NetworkSettings | None = None,
    batch_statistics: bool | None = None,
) -> ProxylessNASSupernet:
    """Build the supernet; see `nas_gym.weight_sharing.supernet.build_supernet`."""
    check_batch_statistics(batch_statistics)
    own = fitting(MobileNetworkSettings, settings or MobileNetworkSettings())
    return ProxylessNASSupernet(search_space, image_shape, own)
