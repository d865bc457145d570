"""The networks of ENAS's macro search space (Pham et al. 2018, https://arxiv.org/abs/1802.03268).

A 3x3 convolution, L layers, global average pooling and a classifier without bias. After layers L/3
and 2L/3, every output that a later layer takes is halved by its own factorized reduction. The
released code, https://github.com/melodyguan/enas, src/cifar10/general_child.py, builds two unlike
networks, and the paper names operations that its final one does not have, so there are three forms:

- "released_search", of a sampled architecture: every operation starts with a 1x1 convolution; skips
  are added to its output, and the sum is normalized; the filters stay F.
- "released_final", of a fixed architecture: ReLU comes before convolutions; skips are concatenated
  with the operation's output, and a 1x1 convolution brings them back to the layer's width; the
  filters double at each reduction; "separable" operations are full convolutions.
- "paper": as "released_final", with depthwise-separable convolutions where they are named.

The released final network has no pooling operations (its architecture uses none); here they follow
the 1x1 convolution, as in the search. Its reductions of outputs that nothing reads later, which
nothing trains, are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from torch import Tensor, nn

from nas_gym.families.enas.macro_search_space import ENASMacroArchitecture, MacroLayer, pooled_after
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.operations import (
    FactorizedReduction,
    concatenate,
    conv,
    initialize,
    pooling,
    relu_conv_bn,
    squeeze,
)
from nas_gym.settings import Share, Size, settings


@settings
class MacroNetworkSettings(NetworkSettings):
    """The network around the layers; the defaults are those of the released final training."""

    filters: Size = 96
    """F, the filters of the first layers; 36 in the released search."""
    form: Literal["released_final", "released_search", "paper"] = "released_final"
    """"released_final", "released_search" or "paper": see `nas_gym.families.enas.macro_network`."""
    dropout: Share = 0.0
    """The probability of dropping a feature before the classifier."""


def operation(label: str, filters: int, form: str) -> nn.Module:
    """Return a layer's operation: (B, filters, H, W) in, the same shape out."""
    if form == "released_search":
        start = [conv(filters, filters), nn.BatchNorm2d(filters), nn.ReLU()]
    else:
        start = relu_conv_bn(filters, filters)
    if label.endswith("_pooling"):
        kind = label.removesuffix("_pooling")
        return nn.Sequential(*start, pooling(kind, 3, filters, filters, 1))
    size = 5 if label.endswith("5x5") else 3
    if label.startswith("separable") and form != "released_final":
        convolution = [conv(filters, filters, size, groups=filters), conv(filters, filters)]
    else:
        convolution = [conv(filters, filters, size)]
    if form == "released_search":
        return nn.Sequential(*start, *convolution, nn.BatchNorm2d(filters), nn.ReLU())
    return nn.Sequential(*start, nn.ReLU(), *convolution, nn.BatchNorm2d(filters))


class MacroLayerModule(nn.Module):
    """One layer: all outputs before it in, its own out; all of one shape, (B, filters, H, W)."""

    members = 1

    def __init__(self, layer: MacroLayer, filters: int, form: str, first: bool) -> None:
        super().__init__()
        self.skips = layer.skips
        self.operation = operation(layer.operation, filters, form)
        self.adds = form == "released_search"
        self.join: nn.Module
        if first:
            self.join = nn.Identity()
        elif self.adds:
            self.join = nn.BatchNorm2d(filters)
        else:
            self.join = squeeze(filters * (len(layer.skips) + 1), filters)

    def forward(self, outputs: list[Tensor]) -> Tensor:
        output: Tensor = self.operation(outputs[-1])
        kept = [outputs[source] for source in self.skips]
        joined = sum(kept, output) if self.adds else concatenate([*kept, output], self.members)
        result: Tensor = self.join(joined)
        return result


class MacroStack(ChildNetwork):
    """Stem, layers and classifier: images (B, C, H, W) in, logits (B, classes) out.

    ``build_layer`` returns a layer, given its number, from 1, and its filters: a module that takes
    the list of all outputs before it. ``halved`` has the outputs to be halved, by the number of the
    layer before.
    """

    def __init__(
        self,
        depth: int,
        shape: ImageShape,
        settings: MacroNetworkSettings,
        build_layer: Callable[[int, int], nn.Module],
        halved: dict[int, list[int]],
    ) -> None:
        super().__init__()
        filters, self.halved = settings.filters, halved
        self.stem = nn.Sequential(conv(shape.channels, filters, 3), nn.BatchNorm2d(filters))
        self.layers = nn.ModuleList()
        self.reductions = nn.ModuleDict()
        """The reductions by the number of the layer before, and by the number of the output."""
        for number in range(1, depth + 1):
            self.layers.append(build_layer(number, filters))
            if number in halved:
                wider = filters if settings.form == "released_search" else 2 * filters
                self.reductions[str(number)] = nn.ModuleDict(
                    {str(output): FactorizedReduction(filters, wider) for output in halved[number]}
                )
                filters = wider
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(filters, shape.classes, bias=False)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [self.stem(x)]
        for number, layer in enumerate(self.layers, start=1):
            outputs.append(layer(outputs))
            for output in self.halved.get(number, ()):
                outputs[output] = self.reduction(number, output)(outputs[output])
        logits: Tensor = self.classifier(self.dropout(outputs[-1].mean(dim=(2, 3))))
        return logits

    def reduction(self, number: int, output: int) -> nn.Module:
        """Return the module that halves an output after a layer, given their numbers."""
        return self.reductions.get_submodule(f"{number}.{output}")


class MacroNetwork(MacroStack):
    """The network of one architecture."""

    settings_type = MacroNetworkSettings

    def __init__(
        self, architecture: ENASMacroArchitecture, shape: ImageShape, settings: MacroNetworkSettings
    ) -> None:
        layers = architecture.layers

        def build(number: int, filters: int) -> MacroLayerModule:
            return MacroLayerModule(layers[number - 1], filters, settings.form, number == 1)

        super().__init__(len(layers), shape, settings, build, halved_by(layers))


def halved_by(layers: Sequence[MacroLayer]) -> dict[int, list[int]]:
    """Return the outputs that a network halves, those read later, by the layer's number before."""
    halved = {}
    for number in pooled_after(len(layers)):
        later = {source for layer in layers[number:] for source in layer.skips}
        halved[number] = [output for output in range(number) if output in later] + [number]
    return halved
