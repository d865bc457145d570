"""Networks of TuNAS's search spaces.

Released code: https://github.com/google-research/google-research, tunas/rematlib
(mobile_model_v3.py).
Every convolution but that to the last features is followed by batch normalization.
"""

from __future__ import annotations

from torch import Tensor, nn

from nas_gym.families.tunas.architecture import Bottleneck, TuNASArchitecture
from nas_gym.networks.base import ChildNetwork, ImageShape
from nas_gym.networks.mobile import MobileNetworkSettings, SqueezeExcitation, conv_bn
from nas_gym.networks.operations import initialize
from nas_gym.search_spaces.filters import divisible

STRIDES = (2, 2, 2, 1, 2, 1)
"""Of the first layer of each stage; of stages beyond them, 1."""
RELUS = 2
"""Stages with ReLU in the form of MobileNetV3; those behind have h-swish."""


class Layer(nn.Module):
    """Convolutions, whose input is added to their output where they are ``residual``."""

    def __init__(self, body: list[nn.Module], residual: bool) -> None:
        super().__init__()
        self.body, self.residual = nn.Sequential(*body), residual

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        return x + output if self.residual else output


class InvertedBottleneck(Layer):
    """One layer: (B, channels, H, W) in, (B, filters, H / stride, W / stride) out.

    Other than MobileNetV2's, it has its first convolution at an expansion of 1, too.
    """

    def __init__(
        self,
        layer: Bottleneck,
        channels: int,
        filters: int,
        stride: int,
        activation: type[nn.Module],
        residual: bool,
    ) -> None:
        wide = channels * layer.expansion
        body = conv_bn(channels, wide, activation=activation)
        body += conv_bn(wide, wide, layer.kernel, stride, wide, activation)
        if layer.squeeze:
            body.append(SqueezeExcitation(wide, divisible(wide / 4)))
        super().__init__([*body, *conv_bn(wide, filters)], residual)


class Separable(Layer):
    """The separable convolution behind the first one: (B, channels, H, W) in, filters out."""

    def __init__(self, channels: int, filters: int, kernel: int, residual: bool) -> None:
        depthwise = conv_bn(channels, channels, kernel, 1, channels, nn.ReLU)
        super().__init__([*depthwise, *conv_bn(channels, filters)], residual)


class TuNASNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    settings_type = MobileNetworkSettings

    def __init__(
        self, architecture: TuNASArchitecture, shape: ImageShape, settings: MobileNetworkSettings
    ) -> None:
        super().__init__()
        is_v3 = architecture.form == "mobilenet-v3"
        swish = nn.Hardswish if is_v3 else nn.ReLU
        first, width = map(settings.scaled, architecture.stems)
        strides = settings.strides([2, *_strides(architecture)], shape)
        stem = conv_bn(shape.channels, first, architecture.kernel, strides[0], activation=swish)
        self.layers = nn.Sequential(nn.Sequential(*stem))
        if architecture.separable is not None:
            self.layers.append(Separable(first, width, architecture.separable, residual=is_v3))
        rest = iter(strides[1:])
        for number, stage in enumerate(architecture.stages):
            filters = settings.scaled(architecture.widths[number])
            activation = nn.ReLU if number < RELUS else swish
            for place, layer in enumerate(filter(None, stage)):
                made = (layer, width, filters, next(rest), activation, place > 0)
                self.layers.append(InvertedBottleneck(*made))
                width = filters
        features = [settings.scaled(each) for each in architecture.heads]
        self.head = nn.Sequential(
            *conv_bn(width, features[0], activation=swish), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        for wider in features[1:]:
            self.head.extend([nn.Linear(features[0], wider), swish()])
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(features[-1], shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.dropout(self.head(self.layers(x))))
        return logits


def _strides(architecture: TuNASArchitecture) -> list[int]:
    """Return the wanted stride of each layer that is not zero."""
    strides: list[int] = []
    for number, stage in enumerate(architecture.stages):
        first = STRIDES[number] if number < len(STRIDES) else 1
        strides += [first, *[1] * (len(list(filter(None, stage))) - 1)]
    return strides
