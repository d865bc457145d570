"""Supernets whose weights are a largest network's, of which a child has a part.

A child's forward pass is that of its own network, with parts of the shared weights in the place of
its own; gradients flow back to the shared ones. So a child that is drawn as a separate network
gives the same outputs. Its network is a chain: a stem or layers in ``layers``, then the rest.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Iterator
from copy import copy
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.func import functional_call

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.networks import ChildNetwork, ImageShape, NetworkSettings, build_network
from nas_gym.networks.costs import Cost, count_parameters, weightless_network
from nas_gym.weight_sharing.supernet import Supernet, no_child, use_batch_statistics


class SlicedSupernet(Supernet):
    """A supernet of sliced weights; batch normalization takes the batch's statistics always.

    ``kind`` is that of its children; the settings are those of their networks.
    """

    costs: ClassVar[tuple[str, ...]] = ("parameters", "multiply_adds")

    def __init__(self, kind: str, image_shape: ImageShape, settings: NetworkSettings) -> None:
        super().__init__()
        self.child_kind, self.image_shape, self.settings = kind, image_shape, settings
        self._selected: list[tuple[Any, ChildNetwork]] = []  # a module in it is no part
        self._layers: dict[Hashable, nn.Module] = {}
        self._shells: dict[Hashable, ChildNetwork] = {}
        self._costed: tuple[Architecture, Cost] | None = None  # the last one

    @abstractmethod
    def weights(self, architecture: Any, network: nn.Module) -> Iterator[tuple[str, Tensor]]:
        """Yield name and value of each parameter of a child's network, from the shared weights."""

    @abstractmethod
    def keys(self, architecture: Any) -> tuple[Hashable, list[Hashable]]:
        """Return what a child's network follows from: all but its ``layers``, and each of these."""

    def set_architecture(self, architecture: Architecture) -> None:
        self._selected = [(architecture, self.skeleton(architecture))]

    def forward(self, x: Tensor) -> Tensor:
        [(architecture, network)] = self._selected
        network.train(self.training)
        logits: Tensor = functional_call(network, dict(self.weights(architecture, network)), (x,))
        return logits

    def skeleton(self, architecture: Architecture) -> ChildNetwork:
        """Return the child's network without numbers, of layers that earlier ones had."""
        if architecture.kind != self.child_kind:
            raise no_child(architecture, self.child_kind)
        rest, layers = self.keys(architecture)
        if rest not in self._shells or any(key not in self._layers for key in layers):
            network = weightless_network(architecture, self.image_shape, self.settings)
            use_batch_statistics(network.modules())
            self._layers.update(zip(layers, network.layers, strict=True))  # type: ignore[arg-type]
            self._shells.setdefault(rest, network)
        return with_layers(self._shells[rest], [self._layers[key] for key in layers])

    def path(self, architecture: Architecture) -> list[nn.Module]:
        """Return the child's network, without numbers."""
        return [self.skeleton(architecture)]

    def child(self, architecture: Architecture) -> ChildNetwork:
        network = self.uncalibrated(architecture)
        use_batch_statistics(network.modules())
        return network

    def uncalibrated(self, architecture: Architecture) -> ChildNetwork:
        """Return a child with running statistics, which are still those of a new network."""
        with torch.random.fork_rng([]):
            network = build_network(architecture, self.image_shape, self.settings)
        network.to(next(self.parameters())).to(memory_format=torch.channels_last)
        own = dict(network.named_parameters())
        with torch.no_grad():
            for name, value in self.weights(architecture, network):
                own[name].copy_(value)
        return network

    def count_parameters(self, architecture: Architecture) -> int:
        return self.cost(architecture).parameters

    def count_multiply_adds(self, architecture: Architecture) -> int:
        return self.cost(architecture).multiply_adds

    def cost(self, architecture: Architecture) -> Cost:
        """Return a child's parameters and multiply-adds."""
        if self._costed is None or self._costed[0] != architecture:
            network = self.skeleton(architecture)
            height = getattr(architecture, "resolution", None) or self.image_shape.height
            width = getattr(architecture, "resolution", None) or self.image_shape.width
            counted = count_parameters(network), _multiply_adds(network, height, width)
            self._costed = architecture, Cost(*counted)
        return self._costed[1]


def check_batch_statistics(wanted: bool | None) -> None:
    """Raise `InvalidSettings` if a supernet of sliced weights should take running statistics."""
    says = "batch_statistics: this supernet always takes them; leave it out"
    require(wanted is not False, says)


def with_layers(network: ChildNetwork, layers: list[nn.Module]) -> ChildNetwork:
    """Return a network that shares all its modules with another, but has other ``layers``."""
    other = copy(network)
    other._modules = {**network._modules, "layers": nn.Sequential(*layers)}
    return other


def first_of(shared: Tensor, shape: torch.Size) -> Tensor:
    """Return the first entries of shared weights in each dimension."""
    return shared[tuple(slice(length) for length in shape)]


def _multiply_adds(chain: nn.Module, height: int, width: int) -> int:
    """Return the multiply-adds of a chain of convolutions, as `nas_gym.networks.multiply_adds`.

    It is a hundred times as fast, since nothing is run.
    """
    total = 0
    for module in chain.modules():
        if isinstance(module, nn.AdaptiveAvgPool2d):
            height = width = 1
        elif isinstance(module, nn.Linear):
            total += module.weight.numel()
        elif isinstance(module, nn.Conv2d):
            height, width = (-(-size // module.stride[0]) for size in (height, width))
            total += module.weight.numel() * height * width
    return total
