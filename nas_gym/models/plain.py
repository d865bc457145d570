"""A model in torch's own modules alone, which every exporter knows."""

from __future__ import annotations

from copy import deepcopy

import torch
from torch import nn

from nas_gym.models.model import Model

CONTAINERS = (nn.Module, nn.Sequential, nn.ModuleList, nn.ModuleDict)


def plain(model: Model) -> Model:
    """Return a copy on the CPU, in evaluation mode, for inference by torch's own modules.

    A subclass of a layer of `torch.nn`, such as `nas_gym.networks.convolutions.DepthwiseConv2d`,
    becomes that layer: such classes compute the same in another way. Exporters compare the
    outputs.
    """
    copy = deepcopy(model).cpu().eval()
    for module in copy.modules():
        layer = next(base for base in type(module).__mro__ if of_torch(base))
        if layer not in CONTAINERS:
            module.__class__ = layer
    for tensor in (*copy.parameters(), *copy.buffers()):
        # `contiguous` keeps the strides of channels last where a side is 1; layers follow them.
        tensor.data = tensor.detach().clone(memory_format=torch.contiguous_format)
    return copy.requires_grad_(False)


def of_torch(module_type: type) -> bool:
    """Return True for the classes of `torch.nn` itself."""
    return module_type.__module__.startswith("torch.nn.modules.")


def is_layer(module: nn.Module) -> bool:
    """Return True for a module of `torch.nn` that holds such modules alone."""
    own = of_torch(type(module)) and not isinstance(module, (nn.ModuleList, nn.ModuleDict))
    return own and all(is_layer(child) for child in module.children())
