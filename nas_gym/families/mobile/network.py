"""Networks of ProxylessNAS and of Once-for-All's MobileNetV3 form.

Released code: https://github.com/mit-han-lab/once-for-all, ofa/imagenet_classification/networks
(proxyless_nets.py, mobilenet_v3.py). Every convolution is followed by batch normalization, and by
an activation unless it is the last of an inverted bottleneck.
"""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.families.mobile.architecture import MobileArchitecture, MobileLayer
from nas_gym.families.mobile.ofa import HSWISH, SQUEEZED
from nas_gym.networks.base import ChildNetwork, ImageShape
from nas_gym.networks.mobile import MobileNetworkSettings, SqueezeExcitation, conv_bn
from nas_gym.networks.operations import conv, initialize
from nas_gym.search_spaces.filters import divisible


class InvertedBottleneck(nn.Module):
    """One layer: (B, channels, H, W) in, (B, filters, H / stride, W / stride) out."""

    def __init__(
        self, layer: MobileLayer, channels: int, filters: int, stride: int, form: Form
    ) -> None:
        super().__init__()
        block, activation = layer.block, form.activation(layer.stage)
        expanded = channels * block.expansion
        body = conv_bn(channels, expanded, activation=activation) if block.expansion > 1 else []
        body += conv_bn(expanded, expanded, block.kernel, stride, expanded, activation)
        if form.squeezed(layer.stage):
            squeezed = divisible(expanded // 4)
            body.append(SqueezeExcitation(expanded, squeezed, F.hardsigmoid))
        self.body = nn.Sequential(*body, *conv_bn(expanded, filters))
        self.shortcut = layer.shortcut and (stride, filters) == (1, channels)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.body(x)
        return x + output if self.shortcut else output


class Form:
    """ProxylessNAS's form: ReLU6 everywhere, and a 1x1 convolution as the head."""

    stem: type[nn.Module] = nn.ReLU6

    def activation(self, stage: int) -> type[nn.Module]:
        """Return the activation in a stage."""
        return nn.ReLU6

    def squeezed(self, stage: int) -> bool:
        """Return True if a stage has squeeze-and-excitation."""
        return False

    def head(self, channels: int, features: int) -> list[nn.Module]:
        """Return the layers from the last inverted bottleneck to the features, (B, features)."""
        pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
        return [*conv_bn(channels, features, activation=nn.ReLU6), *pool]


class MobileNetV3Form(Form):
    """MobileNetV3's form; its head widens, pools, and then sets the features."""

    stem = nn.Hardswish

    def activation(self, stage: int) -> type[nn.Module]:
        return nn.Hardswish if HSWISH[min(stage, len(HSWISH) - 1)] else nn.ReLU

    def squeezed(self, stage: int) -> bool:
        return SQUEEZED[min(stage, len(SQUEEZED) - 1)]

    def head(self, channels: int, features: int) -> list[nn.Module]:
        widened = divisible(6 * channels)
        return [
            *conv_bn(channels, widened, activation=nn.Hardswish),
            nn.AdaptiveAvgPool2d(1),
            conv(widened, features),
            nn.Hardswish(),
            nn.Flatten(),
        ]


class ProxylessNASNetwork(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out; they are scaled to a ``resolution``."""

    settings_type = MobileNetworkSettings
    form: ClassVar[Form] = Form()

    def __init__(
        self, architecture: MobileArchitecture, shape: ImageShape, settings: MobileNetworkSettings
    ) -> None:
        super().__init__()
        self.resolution = architecture.resolution
        if self.resolution is not None:
            shape = replace(shape, height=self.resolution, width=self.resolution)
        plan = architecture.layers()
        strides = settings.strides([2, *(layer.block.stride for layer in plan)], shape)
        width = settings.scaled(architecture.stem)
        stem = conv_bn(shape.channels, width, 3, strides[0], activation=self.form.stem)
        self.stem = nn.Sequential(*stem)
        self.layers = nn.Sequential()
        for layer, stride in zip(plan, strides[1:], strict=True):
            filters = settings.scaled(layer.block.filters)
            self.layers.append(InvertedBottleneck(layer, width, filters, stride, self.form))
            width = filters
        features = settings.scaled(architecture.head)
        self.head = nn.Sequential(*self.form.head(width, features))
        self.dropout = nn.Dropout(settings.dropout)
        self.classifier = nn.Linear(features, shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        if self.resolution is not None and x.shape[2:] != (self.resolution, self.resolution):
            size = (self.resolution, self.resolution)
            x = F.interpolate(x, size, mode="bilinear", align_corners=False)
        logits: Tensor = self.classifier(self.dropout(self.head(self.layers(self.stem(x)))))
        return logits


class OFANetwork(ProxylessNASNetwork):
    """The same with MobileNetV3's activations, squeeze-and-excitation and head."""

    form = MobileNetV3Form()
