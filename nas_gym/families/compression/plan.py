"""`Plan`: the decisions of a network, and the multiply-adds that each choice leaves."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nas_gym.errors import require
from nas_gym.families.compression.channels import Group, groups_of, pruned
from nas_gym.families.compression.network import sizes_of
from nas_gym.networks import ImageShape, multiply_adds
from nas_gym.networks.costs import evaluating


class LayerFacts(NamedTuple):
    """A convolution or a dense layer of the original network, as an agent sees it."""

    outputs: int  # n
    inputs: int  # c
    height: int  # of the input
    width: int
    stride: int
    kernel_size: int
    multiply_adds: int


class Plan:
    """A network's groups of channels, in the order of the decisions, and their costs.

    Multiply-adds of a layer are proportional to its inputs and to its outputs, so that those of
    each choice are known without cutting anything. The network, a trained classifier, stays as it
    is.
    """

    def __init__(self, network: nn.Module, shape: ImageShape, norm: Literal[1, 2] = 2) -> None:
        self.network, self.shape = network, shape
        device = next(network.parameters()).device
        with evaluating(network):
            self.layers = layer_facts(network, shape.batch(1, device))
            found = groups_of(network, shape.batch(1, device), list(self.layers), norm)
        self.total = multiply_adds(network, shape)
        """Multiply-adds of the original network."""
        self.groups: list[Group] = found
        if not self._sound(found[-1:]):
            self.groups = found[:-1]  # the last one's channels are the classes, as a rule
        if not self._sound(self.groups):
            self.groups = [each for each in found if self._sound([each])]
        none = "model: it has no convolution or dense layer whose channels can be cut"
        require(bool(self.groups), f"{none}, beside the last one, whose channels are the classes")
        self._count(self.groups)
        self.full = np.array([group.channels for group in self.groups])
        """The channels of each group, (T,)."""

    def multiply_adds(self, kept: Sequence[int] | NDArray[np.int64]) -> int:
        """Return the multiply-adds with these numbers of channels, (T,), in inference."""
        dropped = self.full - np.asarray(kept)
        inputs, outputs = self._sizes - self._shares @ dropped  # (L,) each
        return round(float(self._rest + (self._factors * inputs * outputs).sum()))

    def own(self, index: int) -> int:
        """Return the multiply-adds of the layers that make a group's channels."""
        cuts = self.groups[index].cuts
        made = {cut.layer for cut in cuts if cut.side == "prune_out_channels"}
        return sum(self.layers[name].multiply_adds for name in made & self.layers.keys())

    def cut(self, kept: Sequence[int]) -> nn.Module:
        """Return a copy of the network that keeps these numbers of channels, (T,)."""
        return pruned(self.network, self.groups, kept)

    def _sound(self, groups: list[Group]) -> bool:
        """Return True if a network with a channel less in each group still gives logits."""
        kept = [max(1, group.channels - group.unit) for group in groups]
        self._count(groups)
        self.full = np.array([group.channels for group in groups])
        images = self.shape.batch(2, next(self.network.parameters()).device)
        try:
            network = pruned(self.network, groups, kept)
            with torch.no_grad(), evaluating(network):
                logits = network(images)
            counted = multiply_adds(network, self.shape) == self.multiply_adds(kept)
        except Exception:
            return False
        return counted and logits.shape == (2, self.shape.classes)

    def _count(self, groups: list[Group]) -> None:
        """Count how many inputs and outputs of each layer go with each channel of a group."""
        places = {name: place for place, name in enumerate(self.layers)}
        shares = np.zeros((2, len(places), len(groups)))
        for number, group in enumerate(groups):
            for cut in group.cuts:
                if cut.layer in places:
                    side = int(cut.side == "prune_out_channels")
                    shares[side, places[cut.layer], number] = cut.indices.shape[1]
        sizes = sizes_of(self.network)
        full = np.array([sizes[name] for name in places], dtype=np.float64).T
        costs = np.array([facts.multiply_adds for facts in self.layers.values()], dtype=np.float64)
        for name, place in places.items():
            layer = self.network.get_submodule(name)
            if isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1:
                full[0, place], shares[0, place] = 1, 0  # depthwise: its outputs are its inputs
        self._sizes, self._shares, self._factors = full, shares, costs / full.prod(axis=0)
        self._rest = self.total - costs.sum()


def layer_facts(network: nn.Module, images: Tensor) -> dict[str, LayerFacts]:
    """Return the convolutions and dense layers by path, in the order in which they compute."""
    facts: dict[str, LayerFacts] = {}
    spent: dict[str, int] = defaultdict(int)

    def record(name: str, layer: Any, inputs: Tensor, outputs: Tensor) -> None:
        is_conv = isinstance(layer, nn.Conv2d)
        height, width = inputs.shape[2:] if is_conv else (1, 1)
        window = layer.weight[0].numel()  # multiply-adds of a number of the output
        spent[name] += outputs[0].numel() * window
        stride, kernel = (layer.stride[0], layer.kernel_size[0]) if is_conv else (1, 1)
        sizes = sizes_of(layer)[""]
        facts[name] = LayerFacts(sizes[1], sizes[0], height, width, stride, kernel, spent[name])

    hooks = [
        layer.register_forward_hook(
            lambda layer, given, output, name=name: record(name, layer, given[0], output)
        )
        for name, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.Linear))
    ]
    try:
        with torch.no_grad():
            network(images)
    finally:
        for hook in hooks:
            hook.remove()
    return facts
