"""Mobile networks: MnasNet (Tan et al. 2019, https://arxiv.org/abs/1807.11626) and MobileNetV2.

Released code: https://github.com/tensorflow/tpu, models/official/mnasnet/mnasnet_model.py. A 3x3
convolution of stride 2, the blocks, a 1x1 convolution to 1280 filters, global average pooling and
a classifier. Every convolution is followed by batch normalization, and by ReLU unless it is the
last of an inverted bottleneck or of a depthwise-separable convolution.
"""

from __future__ import annotations

from torch import Tensor, nn

from nas_gym.families.mnasnet.search_space import (
    IDENTITY,
    POOLING,
    MnasNetArchitecture,
    MobileLayer,
)
from nas_gym.networks.base import ChildNetwork, ImageShape
from nas_gym.networks.convolutions import AveragePool2d
from nas_gym.networks.mobile import MobileNetworkSettings, SqueezeExcitation
from nas_gym.networks.operations import conv, initialize, with_channels
from nas_gym.settings import Size, settings

EXPANSIONS = {"dconv": 1, "MBConv3": 3, "MBConv6": 6}


@settings
class MnasNetSettings(MobileNetworkSettings):
    """The skeleton around the blocks; the defaults are MnasNet's."""

    head_filters: Size = 1280
    """Filters of the 1x1 convolution after the blocks, whatever the width."""


def _conv_bn_relu(
    channels: int, filters: int, size: int = 1, stride: int = 1, groups: int = 1
) -> list[nn.Module]:
    convolution = conv(channels, filters, size, stride, groups=groups)
    return [convolution, nn.BatchNorm2d(filters), nn.ReLU()]


def _body(layer: MobileLayer, channels: int, filters: int, stride: int) -> nn.Sequential:
    """Return the main path of a layer, beside its skip path."""
    block = layer.block
    is_conv = block.conv_op == "conv"
    expanded = filters if is_conv else channels * EXPANSIONS[block.conv_op]
    excitation: list[nn.Module] = []
    if block.se_ratio > 0:
        excitation = [SqueezeExcitation(expanded, max(1, int(channels * block.se_ratio)))]
    size = block.kernel_size
    if is_conv:
        return nn.Sequential(*_conv_bn_relu(channels, filters, size, stride), *excitation)
    expansion = _conv_bn_relu(channels, expanded) if expanded != channels else []
    depthwise = _conv_bn_relu(expanded, expanded, size, stride, groups=expanded)
    projection = (conv(expanded, filters), nn.BatchNorm2d(filters))
    return nn.Sequential(*expansion, *depthwise, *excitation, *projection)


class PoolingSkip(nn.Module):
    """A skip path without weights: (B, channels, H, W) to (B, filters, H / stride, W / stride).

    The paper says "pooling" and no more. Here it is 3x3 average pooling with the layer's stride;
    filters that the layer adds are zeros, and of more input channels the last are dropped.
    """

    members = 1

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.pool = AveragePool2d(3, stride)
        self.filters = filters

    def forward(self, x: Tensor) -> Tensor:
        return with_channels(self.pool(x), self.filters, self.members)


class LayerModule(nn.Module):
    """One layer: a convolution and its skip path, added."""

    def __init__(self, layer: MobileLayer, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.body = _body(layer, channels, filters, stride)
        self.skip: nn.Module | None = None
        if layer.skip_op == IDENTITY:
            self.skip = nn.Identity()
        elif layer.skip_op == POOLING:
            self.skip = PoolingSkip(channels, filters, stride)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        return output if self.skip is None else output + self.skip(x)


class MnasNetNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    settings_type = MnasNetSettings

    def __init__(
        self, architecture: MnasNetArchitecture, shape: ImageShape, settings: MnasNetSettings
    ) -> None:
        super().__init__()
        plan = architecture.layers()
        strides = settings.strides([2, *(layer.stride for layer in plan)], shape)
        width = settings.scaled(architecture.stem_filters)
        self.stem = nn.Sequential(*_conv_bn_relu(shape.channels, width, 3, strides[0]))
        self.layers = nn.Sequential()
        for layer, stride in zip(plan, strides[1:], strict=True):
            filters = settings.scaled(layer.block.filters)
            self.layers.append(LayerModule(layer, width, filters, stride))
            width = filters
        self.head = nn.Sequential(*_conv_bn_relu(width, settings.head_filters))
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(settings.head_filters, shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        features = self.head(self.layers(self.stem(x))).mean(dim=(2, 3))
        logits: Tensor = self.classifier(self.dropout(features))
        return logits
