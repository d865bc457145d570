"""Once-for-All's elastic network (Cai et al. 2020, https://arxiv.org/abs/1908.09791, section 3.3).

It holds the weights of the largest network of `OFASearchSpace`, and a sub-network has a part of
them (released code: https://github.com/mit-han-lab/once-for-all, ofa/imagenet_classification/
elastic_nn): the first layers of each stage; the first channels of each layer, which are the most
important ones once `sort_channels` has sorted them; and of each depthwise kernel its centre, which
a matrix of the layer transforms, from 7x7 to 5x5 and from there to 3x3.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.families.mobile.architecture import OFAArchitecture
from nas_gym.families.mobile.network import InvertedBottleneck, OFANetwork
from nas_gym.families.mobile.ofa import MOST, OFASearchSpace
from nas_gym.networks import ImageShape
from nas_gym.networks.mobile import MobileNetworkSettings, SqueezeExcitation
from nas_gym.weight_sharing.sliced import SlicedSupernet, first_of

SMALLER = ((7, 5), (5, 3))
"""Sizes of the kernels that are transformed, and of what becomes of them."""


class ElasticNetwork(SlicedSupernet):
    """All sub-networks of an `OFASearchSpace`: images (B, C, H, W) in, logits (B, classes) out.

    >>> space = OFASearchSpace()
    >>> elastic = ElasticNetwork(space, ImageShape(3, 32, 32, 10))
    >>> smallest = space.decode(np.zeros(len(space.decisions), dtype=np.int64))
    >>> elastic.set_architecture(smallest)
    >>> tuple(elastic(torch.zeros(2, 3, 32, 32)).shape)
    (2, 10)

    Args:
        search_space: Its search space.
        image_shape: Of the images.
        settings: The skeleton's; default: the family's.
    """

    def __init__(
        self,
        search_space: OFASearchSpace,
        image_shape: ImageShape,
        settings: MobileNetworkSettings | None = None,
    ) -> None:
        settings = settings or MobileNetworkSettings()
        super().__init__("ofa", image_shape, settings)
        self.search_space = search_space
        self.largest = search_space.of_labels(
            {each.name: max(each.choices, key=int) for each in search_space.decisions}
        )
        self.full = OFANetwork(self.largest, image_shape, settings)
        self.transforms = nn.ModuleDict(
            {
                str(place): nn.ParameterDict(
                    {f"{large}to{small}": torch.eye(small**2) for large, small in SMALLER}
                )
                for place in range(1, len(self.full.layers))
            }
        )
        self.set_architecture(self.largest)

    def keys(self, architecture: OFAArchitecture) -> tuple[Hashable, list[Hashable]]:
        size, places = architecture.resolution, self._places(architecture)
        pairs = zip(places, architecture.layers(), strict=True)
        return size, [(size, place, layer.block) for place, layer in pairs]

    def weights(
        self, architecture: OFAArchitecture, network: nn.Module
    ) -> Iterator[tuple[str, Tensor]]:
        shared, places = dict(self.full.named_parameters()), self._places(architecture)
        for name, own in network.named_parameters():
            where, _, rest = name.partition(".")
            if where != "layers":
                yield name, shared[name]
                continue
            number, _, rest = rest.partition(".")
            place = places[int(number)]
            value: Tensor = shared[f"layers.{place}.{rest}"]
            if own.shape[2:] != value.shape[2:]:
                value = self._transformed(value[: len(own)], place, own.shape[-1])
            yield name, first_of(value, own.shape)

    def _places(self, architecture: OFAArchitecture) -> list[int]:
        """Return the place of each of a sub-network's layers among the largest's."""
        self.search_space.encode(architecture)  # raises if it is of another width
        places, stages = [], [each.stage for each in architecture.layers()]
        for number, stage in enumerate(stages):
            places.append(1 + MOST * (stage - 1) + number - stages.index(stage) if stage else 0)
        return places

    def _transformed(self, kernels: Tensor, place: int, size: int) -> Tensor:
        """Return kernels (C, 1, 7, 7) as ones of a smaller size, (C, 1, size, size)."""
        for large, small in SMALLER:
            if size <= small:
                edge = (large - small) // 2
                centre = kernels[..., edge:-edge, edge:-edge].flatten(1)
                matrix = self.transforms[str(place)][f"{large}to{small}"]  # type: ignore[index]
                kernels = F.linear(centre, matrix).view(-1, 1, small, small)
        return kernels

    @torch.no_grad()
    def sort_channels(self, kept: int | None = None) -> None:
        """Sort each layer's expanded channels by importance; the largest network stays the same.

        The importance is the L1 norm of the weights by which the next convolution takes a channel.

        Args:
            kept: An expansion whose channels stay the first, and are sorted by themselves.
        """
        for layer in self.full.layers[1:]:
            assert isinstance(layer, InvertedBottleneck)
            body: Any = layer.body
            expand, depthwise, project = body[0], body[3], body[-2]
            importance = project.weight.abs().sum(dim=(0, 2, 3))
            first = expand.in_channels * kept if kept else len(importance)
            parts = importance[:first].argsort(descending=True), importance[first:]
            order = torch.cat([parts[0], first + parts[1].argsort(descending=True)])
            for convolution, norm in ((expand, body[1]), (depthwise, body[4])):
                for tensor in (convolution.weight, norm.weight, norm.bias):
                    tensor.copy_(tensor[order])
            project.weight.copy_(project.weight[:, order])
            for module in body:
                if isinstance(module, SqueezeExcitation):
                    _sort_gates(module, order)


def _sort_gates(gates: SqueezeExcitation, order: Tensor) -> None:
    """Follow the channels' new order, and sort the squeezed features alike."""
    squeeze, excite = gates.squeeze, gates.excite
    hidden = excite.weight.abs().sum(dim=0).argsort(descending=True)
    squeeze.weight.copy_(squeeze.weight[hidden][:, order])
    squeeze.bias.copy_(squeeze.bias[hidden])
    excite.weight.copy_(excite.weight[order][:, hidden])
    excite.bias.copy_(excite.bias[order])
