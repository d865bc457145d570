"""Parts of all mobile networks: the settings of their skeleton, and squeeze-and-excitation."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.networks.base import ImageShape, NetworkSettings
from nas_gym.networks.operations import conv
from nas_gym.search_spaces.filters import divisible
from nas_gym.settings import Count, Scale, Share, Size, settings


@settings
class MobileNetworkSettings(NetworkSettings):
    """The skeleton around the blocks of a mobile network."""

    width_setting = "width"

    width: Scale = 1.0
    """Multiplies the filters of the stem and of the blocks (the paper's depth multiplier), and of
    the head where the search space has one."""
    divisor: Size = 8
    """Filters at a width other than 1 are multiples of this."""
    halvings: Count | None = None
    """Most halvings of height and width; the first strides of 2 beyond it become 1. Default: down
    to 3 pixels, which is 5 times (all) from 65 pixels on, 3 times for 32, once for 8."""
    dropout: Share = 0.0
    """The probability of dropping a feature before the classifier; 0.2 in MnasNet's final
    training."""

    def scaled(self, filters: int) -> int:
        """Return the filters at this width, at least 0.9 times the exact product."""
        if self.width == 1:
            return filters
        return divisible(self.width * filters, self.divisor)

    def strides(self, wanted: Sequence[int], image_shape: ImageShape) -> list[int]:
        """Return the strides of a network's layers, of which the first ones too many are 1."""
        strides = list(wanted)
        spare = strides.count(2) - self.resolved_halvings(image_shape)
        for place, stride in enumerate(strides):
            if stride == 2 and spare > 0:
                strides[place], spare = 1, spare - 1
        return strides

    def resolved_halvings(self, image_shape: ImageShape) -> int:
        """Return the most halvings of images of this shape."""
        if self.halvings is not None:
            return self.halvings
        # Down to a 3x3 kernel's size, as MobileNetV2 at the smallest resolution it has, 96.
        size, times = min(image_shape.height, image_shape.width), 0
        while (size := (size + 1) // 2) >= 3:
            times += 1
        return times


def conv_bn(
    channels: int,
    filters: int,
    size: int = 1,
    stride: int = 1,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> list[nn.Module]:
    """Return convolution, batch normalization and, if wanted, an activation."""
    layers = [conv(channels, filters, size, stride, groups=groups), nn.BatchNorm2d(filters)]
    return layers if activation is None else [*layers, activation()]


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that depends on all channels: (B, C, H, W), unchanged."""

    def __init__(
        self, channels: int, squeezed: int, gate: Callable[[Tensor], Tensor] = torch.sigmoid
    ) -> None:
        super().__init__()
        self.gate = gate
        self.squeeze = nn.Linear(channels, squeezed)
        self.excite = nn.Linear(squeezed, channels)

    def forward(self, x: Tensor) -> Tensor:
        gates = self.gate(self.excite(F.relu(self.squeeze(x.mean(dim=(2, 3))))))
        return x * gates[:, :, None, None]
