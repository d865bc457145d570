"""Chains of layers as NAS builds them (Zoph & Le 2017, https://arxiv.org/abs/1611.01578).

A layer concatenates its inputs in the depth dimension; smaller inputs are padded with zeros to
the largest (section 3.3). A convolution is followed by batch normalization and a ReLU (section
4.1). The paper leaves open where the zeros lie (here: evenly around), how large pooling is (here:
2x2 with stride 2), and what the classifier is (here: global average pooling and a dense layer).
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.operations import concatenate, conv, initialize
from nas_gym.search_spaces.chains import ChainArchitecture, Convolution
from nas_gym.settings import Scale, settings


@settings
class ChainNetworkSettings(NetworkSettings):
    """Settings of a chain's network beside the choices."""

    width_setting = "filter_scale"

    filter_scale: Scale = 1.0
    """Factor of every layer's number of filters (rounded, at least one); the paper's is 1."""

    def scaled(self, filters: int) -> int:
        """Return the filters of a layer for which ``filters`` were chosen."""
        return max(1, round(self.filter_scale * filters))


class ChainNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    settings_type = ChainNetworkSettings
    members = 1

    def __init__(
        self,
        architecture: ChainArchitecture,
        image_shape: ImageShape,
        settings: ChainNetworkSettings,
    ) -> None:
        super().__init__()
        self.inputs = [layer.inputs or (0,) for layer in architecture.layers]
        """Of each layer, the numbers of its inputs; 0 is the image."""
        self.loose_ends = architecture.loose_ends
        self.layers = nn.ModuleList()
        channels = [image_shape.channels]  # of the image and of each layer
        for layer, inputs in zip(architecture.layers, self.inputs, strict=True):
            width = sum(channels[number] for number in inputs)
            if isinstance(layer, Convolution):
                channels.append(settings.scaled(layer.number_of_filters))
                self.layers.append(_conv_bn_relu(layer, width, channels[-1]))
            else:
                channels.append(width)
                self.layers.append(nn.MaxPool2d(2, ceil_mode=True))
        features = sum(channels[number] for number in self.loose_ends)
        self.classifier = nn.Linear(features, image_shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        outputs = [x]
        for layer, inputs in zip(self.layers, self.inputs, strict=True):
            outputs.append(layer(_joined([outputs[number] for number in inputs], self.members)))
        logits: Tensor = self.classifier(
            _averages([outputs[n] for n in self.loose_ends], self.members)
        )
        return logits


class SameConv2d(nn.Conv2d):
    """A "SAME" convolution that pads explicitly where parts of the filter cover padding alone.

    Repeated strides leave images smaller than the filters. For weights that cover padding alone
    oneDNN returns uninitialized gradients, unless the padding is part of the image.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        steps = zip(input.shape[2:], self.stride, strict=True)
        last = [(pixels - 1) // stride * stride for pixels, stride in steps]
        down, across = ((size - 1) // 2 for size in self.kernel_size)
        if last[0] >= down and last[1] >= across:
            return super().forward(input)
        padded = F.pad(input, (across, across, down, down))
        return F.conv2d(padded, self.weight, None, self.stride, groups=self.groups)


def _conv_bn_relu(layer: Convolution, channels: int, filters: int) -> nn.Sequential:
    """Return a layer: (B, C, H, W) to (B, filters, H / stride height, W / stride width)."""
    size = (layer.filter_height, layer.filter_width)
    strides = (layer.stride_height, layer.stride_width)
    padding = ((size[0] - 1) // 2, (size[1] - 1) // 2)
    if size == strides == (1, 1):
        convolution = conv(channels, filters)
    else:
        convolution = SameConv2d(channels, filters, size, strides, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(filters), nn.ReLU(inplace=True))


def _largest(states: Sequence[Tensor]) -> tuple[int, int]:
    """Return the height of the highest and the width of the widest."""
    return max(state.shape[2] for state in states), max(state.shape[3] for state in states)


def _joined(states: Sequence[Tensor], members: int) -> Tensor:
    """Pad and join states (B, C_i, H_i, W_i): (B, sum of C_i, largest H, largest W)."""
    height, width = _largest(states)
    padded = []
    for state in states:
        down, across = height - state.shape[2], width - state.shape[3]
        sides = (across // 2, across - across // 2, down // 2, down - down // 2)
        padded.append(F.pad(state, sides) if any(sides) else state)
    return concatenate(padded, members)


def _averages(states: Sequence[Tensor], members: int) -> Tensor:
    """Return the averages over all pixels of `_joined`, without joining: (B, sum of C_i)."""
    height, width = _largest(states)
    shares = [state.shape[2] * state.shape[3] / (height * width) for state in states]
    averages = [
        state.mean(dim=(2, 3), keepdim=True) * share
        for state, share in zip(states, shares, strict=True)
    ]
    return concatenate(averages, members).flatten(1)
