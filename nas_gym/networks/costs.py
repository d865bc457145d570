"""Costs of a network that are counted: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from nas_gym.architecture import Architecture
from nas_gym.networks.base import ChildNetwork, InputShape, NetworkSettings, build_network
from nas_gym.networks.limits import weightless


@dataclass(frozen=True)
class Cost:
    """Cost of a network in inference on one image, without its auxiliary head."""

    parameters: int
    multiply_adds: int


def count_parameters(network: nn.Module) -> int:
    """Return the number of trainable parameters, without those of an auxiliary head."""
    named = network.named_parameters()
    return sum(each.numel() for name, each in named if not name.startswith("auxiliary_head."))


def multiply_adds(network: nn.Module, input_shape: InputShape) -> int:
    """Return the multiply-adds of convolutions and dense layers in inference on one image.

    The network runs once, on its device, and keeps its mode.
    """
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, evaluating(network):
        network(input_shape.batch(1, next(network.parameters()).device))
    return counter.get_total_flops() // 2


def measure_cost(
    architecture: Architecture, input_shape: InputShape, settings: NetworkSettings | None = None
) -> Cost:
    """Return parameters and multiply-adds of an architecture, without drawing its weights.

    Arguments and errors are those of `nas_gym.networks.build_network`.
    """
    network = weightless_network(architecture, input_shape, settings)
    return Cost(count_parameters(network), multiply_adds(network, input_shape))


def weightless_network(
    architecture: Architecture, input_shape: InputShape, settings: NetworkSettings | None = None
) -> ChildNetwork:
    """Build a network as `build_network` does, on torch's meta device: shapes, but no numbers."""
    with weightless():
        return build_network(architecture, input_shape, settings)


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """Put the network in evaluation mode within it, and back in its mode afterwards."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)
