"""Layers of TuNAS's warm-up: the mean of all operations in the place of one.

Released code: https://github.com/google-research/google-research, tunas/controller.py, where the
mask of a choice that is warmed up is uniform.
"""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from typing import Any

import torch
from torch import Tensor, nn

from nas_gym.networks.limits import weightless
from nas_gym.networks.mobile import SqueezeExcitation, conv_bn
from nas_gym.weight_sharing.supernet import use_batch_statistics


class Mean(nn.Module):
    """The mean of the outputs of several modules."""

    def __init__(self, branches: list[nn.Module]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([branch(x) for branch in self.branches]).mean(dim=0)


class Half(nn.Module):
    """The mean of a layer's output and of zero."""

    def forward(self, x: Tensor) -> Tensor:
        return x / 2


def leaves(layer: nn.Module) -> tuple[list[nn.Module], list[nn.Module], int]:
    """Return a layer's convolutions and norms, its dense modules, and where its kernel is."""
    modules = [*layer.modules()]
    chain = [each for each in modules if isinstance(each, nn.Conv2d | nn.BatchNorm2d)]
    dense = [each for each in modules if isinstance(each, nn.Linear)]
    return [*chain], [*dense], next(map(chain.index, filter(_has_kernel, chain)))


def _has_kernel(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size != (1, 1)


def mixture(layer: nn.Module, mixed: Collection[str], kernels: Collection[str]) -> nn.Module:
    """Return a layer without numbers, where some choices are the mean of all operations.

    The layer is a stem, a separable convolution or an inverted bottleneck. ``mixed`` are "/kernel",
    "/squeeze", or "" for the choice between the layer and zero; ``kernels`` are all of its place.
    """
    chain: Any = getattr(layer, "body", layer)
    body: list[nn.Module] = [*chain]
    if "/squeeze" in mixed:
        body = [
            Mean([each, nn.Identity()]) if isinstance(each, SqueezeExcitation) else each
            for each in body
        ]
    if "/kernel" in mixed:
        at = next(map(body.index, filter(_has_kernel, body)))
        body[at : at + 3] = [_all_kernels(body[at], type(body[at + 2]), kernels)]
    if "" in mixed:
        body.append(Half())
    mixed_body = nn.Sequential(*body)
    if isinstance(layer, nn.Sequential):
        return mixed_body
    other = copy(layer)
    other._modules = {"body": mixed_body}
    return other


def _all_kernels(
    convolution: nn.Module, activation: type[nn.Module], kernels: Collection[str]
) -> Mean:
    assert isinstance(convolution, nn.Conv2d)
    channels, filters = convolution.in_channels, convolution.out_channels
    stride, groups = convolution.stride[0], convolution.groups
    with weightless():
        mean = Mean(
            [
                nn.Sequential(*conv_bn(channels, filters, int(k), stride, groups, activation))
                for k in kernels
            ]
        )
    use_batch_statistics(mean.modules())
    return mean
