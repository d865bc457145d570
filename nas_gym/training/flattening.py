"""A network's parameters in one tensor."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def flattened(network: nn.Module) -> tuple[nn.Parameter, Tensor]:
    """Lay a network's P parameters and their gradients out in one tensor each, (P,).

    The network's parameters become views of these. A supernet has thousands of small ones, most of
    them off a child's path; an optimizer's step, with weight decay and momentum for all of them,
    then updates a single tensor. The network must not be moved or converted from then on.

    Returns:
        The weights, and the gradients, which are the weights' ``grad``.
    """
    parameters = list(network.parameters())
    sizes = [each.numel() for each in parameters]
    weights = nn.Parameter(parameters[0].new_empty(sum(sizes)))
    gradients = weights.grad = torch.zeros_like(weights)
    parts = zip(weights.detach().split(sizes), gradients.split(sizes), strict=True)
    for parameter, both in zip(parameters, parts, strict=True):
        shape, strides = parameter.shape, parameter.stride()  # of channels_last, for instance
        weight, gradient = (each.as_strided(shape, strides, each.storage_offset()) for each in both)
        weight.copy_(parameter.detach())
        parameter.data, parameter.grad = weight, gradient
    return weights, gradients
