"""Convolutions and pooling in the forms that a CPU computes fast; elsewhere they are torch's own.

Each takes the place of a module of `torch.nn`, has its parameters and its name in a ``state_dict``,
and gives its results up to rounding. ``examples/benchmarks/child_training.py`` prints their gain,
step by step. All of them take images (B, C, H, W), channels last in memory.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

Pair: TypeAlias = tuple[int, int]
_WIDEST = 3
"""Most columns of a depthwise kernel for which oneDNN has a fast weight gradient; beyond it, or
where the kernel is higher than the image, it takes 5 to 30 times as long."""
_WORTH_IT = 810_000
"""Multiply-adds of a depthwise convolution from which on an extra step in Python saves time."""
_LARGE_STATE = 2**18
"""Numbers in a batch of states from which on arithmetic takes the time, not the calls."""


class PointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of stride 1: on a CPU, one matrix product over channels-last images.

    oneDNN's convolution spends more time on setup than on computing small images.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        if self.groups > 1 or not is_channels_last_on_cpu(input):
            return super().forward(input)
        return F.linear(input.permute(0, 2, 3, 1), self.weight.flatten(1)).permute(0, 3, 1, 2)


class DepthwiseConv2d(nn.Conv2d):
    """A depthwise convolution whose gradients a CPU computes by oneDNN's fast kernels.

    Small ones, and those with a stride, stay in float32 under autocast on a CPU: their gradients by
    oneDNN's own take 4 to 60 times as long in bfloat16.
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.Conv2d's name)
        fast = self._pays(input)
        if input.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            narrow = fast and self.stride == (1, 1)
            dtype = torch.get_autocast_dtype("cpu") if narrow else torch.float32
            with torch.autocast("cpu", enabled=False):
                return self._convolved(input.to(dtype), self.weight.to(dtype), fast)
        return self._convolved(input, self.weight, fast)

    def _pays(self, images: Tensor) -> bool:
        """Return True if the fast form applies, and saves more time than its step in Python."""
        window = self.kernel_size[0] * self.kernel_size[1]
        work = images.numel() * window // (self.stride[0] * self.stride[1])
        return work >= _WORTH_IT and self.dilation == (1, 1) and is_channels_last_on_cpu(images)

    def _convolved(self, images: Tensor, weight: Tensor, fast: bool) -> Tensor:
        output: Tensor
        if fast:
            output = _Depthwise.apply(images, weight, self.stride, self.padding)
        else:
            output = self._conv_forward(images, weight, self.bias)
        return output


class _Depthwise(torch.autograd.Function):
    """A depthwise convolution: images (B, C, H, W) and weights (C, 1, h, w) in, images out."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, stride: Pair, padding: Pair) -> Tensor:
        ctx.save_for_backward(images, weight)
        ctx.stride, ctx.padding = stride, padding
        return F.conv2d(images, weight, None, stride, padding, 1, len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        images, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        given = (gradient, images, weight, ctx.stride, ctx.padding)
        of_images, of_weight = ctx.needs_input_grad[:2]
        return (
            _images_gradient(*given) if of_images else None,
            _weight_gradient(*given) if of_weight else None,
            None,
            None,
        )


def _images_gradient(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair
) -> Tensor:
    """Return the gradient of ``images``.

    Without strides it is the convolution with the flipped kernel, which takes half the time of
    oneDNN's own gradient.
    """
    if stride != (1, 1):
        return _gradients(gradient, images, weight, stride, padding, [True, False, False])[0]
    height, width = weight.shape[2:]
    around = (height - 1 - padding[0], width - 1 - padding[1])
    return F.conv2d(gradient, weight.flip(2, 3), None, 1, around, 1, len(weight))


def _weight_gradient(
    gradient: Tensor, images: Tensor, weight: Tensor, stride: Pair, padding: Pair
) -> Tensor:
    """Return the gradient of ``weight``, a few columns at a time, from the pixels they cover.

    The columns are shared out as evenly as possible: oneDNN is slow with single ones.
    """
    height, width = weight.shape[2:]
    if width <= _WIDEST:
        return _gradients(gradient, images, weight, stride, padding, [False, True, False])[1]
    seen_height = (gradient.shape[2] - 1) * stride[0] + height
    below = seen_height - padding[0] - images.shape[2]
    parts, left = [], padding[1]
    for part in weight.tensor_split(-(-width // _WIDEST), dim=3):
        seen_width = (gradient.shape[3] - 1) * stride[1] + part.shape[3]
        right = seen_width - left - images.shape[3]
        seen = F.pad(images, (left, right, padding[0], below))
        parts.append(_gradients(gradient, seen, part, stride, (0, 0), [False, True, False])[1])
        left -= part.shape[3]
    return torch.cat(parts, dim=3)


def _gradients(
    gradient: Tensor,
    images: Tensor,
    weight: Tensor,
    stride: Pair,
    padding: Pair,
    wanted: list[bool],
) -> tuple[Tensor, Tensor, Tensor]:
    """Return torch's own gradients of images, weights and biases, as ``wanted``."""
    where = (None, stride, padding, (1, 1), False, (0, 0), len(weight))
    found: tuple[Tensor, Tensor, Tensor] = torch.ops.aten.convolution_backward(
        gradient, images, weight, *where, wanted
    )
    return found


class AveragePool2d(nn.AvgPool2d):
    """Average pooling that does not count the padding.

    On a CPU, 3x3 pooling of large images with stride 1 is a depthwise convolution with ones:
    torch's own pooling takes 5 times as long, and its gradient 4 to 10 times.
    """

    def __init__(self, size: int, stride: int) -> None:
        super().__init__(size, stride, size // 2, count_include_pad=False)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (nn.AvgPool2d's name)
        pays = input.numel() >= _LARGE_STATE and min(input.shape[2:]) > 1
        pays &= torch.is_grad_enabled()  # what only counts multiply-adds must see pooling
        if pays and (self.kernel_size, self.stride) == (3, 1) and is_channels_last_on_cpu(input):
            output: Tensor = _AveragePool3x3.apply(input)
            return output
        return super().forward(input)


class _AveragePool3x3(torch.autograd.Function):
    """3x3 average pooling with stride 1, padding not counted: (B, C, H, W) in, the same out."""

    @staticmethod
    def forward(ctx: Any, images: Tensor) -> Tensor:
        return _share_counts(_sums3x3(images))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        gradient = gradient.clone(memory_format=torch.channels_last)
        return _sums3x3(_share_counts(gradient))


def _sums3x3(images: Tensor) -> Tensor:
    """Return the sum of every pixel's 3x3 neighbourhood."""
    ones = torch.ones((images.shape[1], 1, 3, 3), dtype=images.dtype)
    with torch.autocast("cpu", enabled=False):
        return F.conv2d(images, ones, None, 1, 1, 1, len(ones))


def _share_counts(images: Tensor) -> Tensor:
    """Divide every pixel, in place, by the number of pixels in its neighbourhood: 9, 6 or 4."""
    images.mul_(1 / 9)
    for edge in (images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1]):
        edge.mul_(1.5)
    return images


def is_channels_last_on_cpu(images: Tensor) -> bool:
    """Return True if the fast forms apply."""
    return images.device.type == "cpu" and images.is_contiguous(memory_format=torch.channels_last)
