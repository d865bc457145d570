"""The papers' operation labels as modules.

Every operation maps images (batch, channels, height, width) to (batch, filters, height', width'),
where height' is height divided by the stride, rounded up ("SAME" padding). Convolutions follow the
order ReLU, convolution, batch normalization, without biases (NASNet paper, appendix A), as in
the released code: https://github.com/tensorflow/models, research/slim/nets/nasnet, and for the full
convolutions https://github.com/tensorflow/tpu, models/official/amoeba_net/network_utils.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.networks.convolutions import AveragePool2d, DepthwiseConv2d, PointwiseConv2d

Builder: TypeAlias = Callable[[int, int, int], nn.Module]
"""(channels, filters, stride) -> module."""
Sides: TypeAlias = int | tuple[int, int]
"""Height and width."""


def conv(
    channels: int,
    filters: int,
    size: Sides = 1,
    stride: Sides = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Return a convolution without bias, padded so that stride 1 keeps the size."""
    sides = (size, size) if isinstance(size, int) else size
    padding = (dilation * (sides[0] - 1) // 2, dilation * (sides[1] - 1) // 2)
    kind = PointwiseConv2d if (*sides, stride) == (1, 1, 1) else nn.Conv2d
    kind = DepthwiseConv2d if groups == channels > 1 else kind
    return kind(channels, filters, sides, stride, padding, dilation, groups, bias=False)


class _Cat(torch.autograd.Function):
    """Concatenates along channels; its gradients are contiguous.

    Autograd's gradients are views into the whole gradient, on which a CPU's batch normalization
    takes a path that was measured to be 8 times as slow. By the name "CatBackward" in autograd's
    graph, Torch-Pruning knows that it is a concatenation.
    """

    @staticmethod
    def forward(ctx: Any, *states: Tensor) -> Tensor:
        ctx.widths = [state.shape[1] for state in states]
        return torch.cat(states, dim=1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        last = gradient.is_contiguous(memory_format=torch.channels_last)
        layout = torch.channels_last if last else torch.contiguous_format
        parts = gradient.split(ctx.widths, dim=1)
        return tuple(part.contiguous(memory_format=layout) for part in parts)


def concatenate(states: Sequence[Tensor], members: int = 1) -> Tensor:
    """Join states (B, C_i, H, W) along channels: (B, sum of C_i, H, W).

    The channels of several ``members`` of a fused network stay together.
    """
    if len(states) == 1:
        return states[0]
    if members > 1:
        apart = [state.permute(0, 2, 3, 1).unflatten(-1, (members, -1)) for state in states]
        return torch.cat(apart, dim=-1).flatten(-2).permute(0, 3, 1, 2)
    if not torch.is_grad_enabled() or states[0].device.type != "cpu":
        return torch.cat(tuple(states), dim=1)
    return cast(Tensor, _Cat.apply(*states))


def with_channels(state: Tensor, channels: int, members: int = 1) -> Tensor:
    """Return a state's first channels, or the state and zeros: (B, members * channels, H, W)."""
    added = channels - state.shape[1] // members
    if members == 1:
        return F.pad(state, (0, 0, 0, 0, 0, added)) if added else state
    apart = state.permute(0, 2, 3, 1).unflatten(-1, (members, -1))
    return F.pad(apart, (0, added)).flatten(-2).permute(0, 3, 1, 2) if added else state


def relu_conv_bn(
    channels: int, filters: int, size: Sides = 1, stride: Sides = 1, dilation: int = 1
) -> list[nn.Module]:
    """Return ReLU, convolution, batch normalization."""
    convolution = conv(channels, filters, size, stride, dilation)
    return [nn.ReLU(), convolution, nn.BatchNorm2d(filters)]


def squeeze(channels: int, filters: int, stride: int = 1) -> nn.Sequential:
    """Return the 1x1 convolution, with ReLU and batch normalization, that makes shapes agree."""
    return nn.Sequential(*relu_conv_bn(channels, filters, stride=stride))


def identity(channels: int, filters: int, stride: int) -> nn.Module:
    """Return the identity; a 1x1 convolution where the shape has to change."""
    if stride == 1 and channels == filters:
        return nn.Identity()
    return squeeze(channels, filters, stride)


def separable(size: int, channels: int, filters: int, stride: int) -> nn.Module:
    """Return a depthwise-separable convolution, applied twice; the first has the stride."""

    def once(channels: int, stride: int) -> list[nn.Module]:
        depthwise = conv(channels, channels, size, stride, groups=channels)
        return [nn.ReLU(), depthwise, conv(channels, filters), nn.BatchNorm2d(filters)]

    return nn.Sequential(*once(channels, stride), *once(filters, 1))


def pooling(kind: str, size: int, channels: int, filters: int, stride: int) -> nn.Module:
    """Return average (padding not counted) or max pooling, and 1x1 where widths differ."""
    average = kind == "average"
    pool = AveragePool2d(size, stride) if average else nn.MaxPool2d(size, stride, size // 2)
    if channels == filters:
        return pool
    return nn.Sequential(pool, conv(channels, filters), nn.BatchNorm2d(filters))


def full_conv(size: int, dilation: int, channels: int, filters: int, stride: int) -> nn.Module:
    """Return a full convolution; above 1x1, between 1x1 ones to and from filters / 4."""
    if size == 1:
        return squeeze(channels, filters, stride)
    narrow = max(1, filters // 4)
    return nn.Sequential(
        *relu_conv_bn(channels, narrow),
        *relu_conv_bn(narrow, narrow, size, stride, dilation),
        *relu_conv_bn(narrow, filters),
    )


def factorized_conv(size: int, eighths: int, channels: int, filters: int, stride: int) -> nn.Module:
    """Return 1 x size, then size x 1, between 1x1 to and from filters * eighths / 8."""
    narrow = max(1, filters * eighths // 8)
    return nn.Sequential(
        *relu_conv_bn(channels, narrow),
        *relu_conv_bn(narrow, narrow, (1, size), (1, stride)),
        *relu_conv_bn(narrow, narrow, (size, 1), (stride, 1)),
        *relu_conv_bn(narrow, filters),
    )


OPERATIONS: dict[str, Builder] = {
    "identity": identity,
    "1x3 then 3x1 convolution": partial(factorized_conv, 3, 3),
    "1x7 then 7x1 convolution": partial(factorized_conv, 7, 2),
    "3x3 dilated convolution": partial(full_conv, 3, 2),
    "3x3 average pooling": partial(pooling, "average", 3),
    "3x3 max pooling": partial(pooling, "max", 3),
    "5x5 max pooling": partial(pooling, "max", 5),
    "7x7 max pooling": partial(pooling, "max", 7),
    "1x1 convolution": partial(full_conv, 1, 1),
    "3x3 convolution": partial(full_conv, 3, 1),
    "3x3 depthwise-separable conv": partial(separable, 3),
    "5x5 depthwise-seperable conv": partial(separable, 5),
    "7x7 depthwise-separable conv": partial(separable, 7),
}
"""Builders of the labels of `nas_gym.search_spaces.cells.OPERATIONS`."""


class FactorizedReduction(nn.Module):
    """Halves the size and sets the width without ignoring every other pixel.

    One 1x1 convolution sees the even pixels, another the odd ones (shifted by one); their outputs
    are concatenated and normalized together.
    """

    members = 1

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.even = conv(channels, filters // 2, stride=2) if filters > 1 else None
        self.odd = conv(channels, filters - filters // 2, stride=2)
        self.norm = nn.BatchNorm2d(filters)

    def forward(self, x: Tensor) -> Tensor:
        odd: Tensor = self.odd(F.pad(x, (-1, 1, -1, 1)))
        joined = odd if self.even is None else concatenate((self.even(x), odd), self.members)
        return cast(Tensor, self.norm(joined))


class DropPath(nn.Module):
    """Drops a path's output for whole examples, and scales the others up to compensate.

    The probability of keeping falls linearly with the cell's depth, to ``keep`` in this one at the
    end, and with training's progress (NASNet paper, appendix A, "ScheduledDropPath").
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep
        self.progress: float | Tensor = 0.0
        self.generators: Sequence[torch.Generator | None] = (None,)
        """Of each member of a fused network; None for torch's global one."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:  # nor is the progress read, which may be a GPU's tensor
            return x
        keep = 1.0 - self.progress * (1.0 - self.keep)
        if not isinstance(keep, Tensor) and keep >= 1.0:
            return x
        members = len(self.generators)
        kept = torch.empty((members, x.shape[0]), dtype=x.dtype, device=x.device)
        for row, generator in zip(kept, self.generators, strict=True):
            row.bernoulli_(keep, generator=generator)
        factors = kept.div_(keep).T[:, :, None, None, None]
        dropped: Tensor = x.unflatten(1, (members, -1)) * factors
        return dropped.flatten(1, 2)


def initialize(network: nn.Module) -> None:
    """Draw weights by fan-out; set biases to zero (as slim's argument scopes)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
            nn.init.normal_(module.weight, std=(2.0 / fan_out) ** 0.5)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
