"""What a network costs: parameters and multiply-adds, without training it or giving it memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from nas_gym.architecture import Architecture
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings, build_network


@dataclass(frozen=True)
class Cost:
    """What a network costs in inference on one image, without its auxiliary head."""

    parameters: int
    multiply_adds: int


def count_parameters(network: nn.Module) -> int:
    """The trainable parameters of a network, without those of an auxiliary head."""
    return sum(
        parameter.numel()
        for name, parameter in network.named_parameters()
        if not name.startswith("auxiliary_head.")
    )


def multiply_adds(network: nn.Module, image_shape: ImageShape) -> int:
    """Multiply-adds of convolutions and dense layers in inference on one image.

    The network runs once, on the device where it lies, and is left in the mode it was in.
    """
    training = network.training
    image = torch.zeros(
        (1, image_shape.channels, image_shape.height, image_shape.width),
        device=next(network.parameters()).device,
    )
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(image)
    network.train(training)
    return counter.get_total_flops() // 2


class _NoInitialization(TorchFunctionMode):
    """Passes over `torch.nn.init`: on the meta device it sets nothing, and takes long over it."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        if getattr(func, "__module__", None) == "torch.nn.init":
            return given["tensor"] if "tensor" in given else args[0]
        return func(*args, **given)


def weightless_network(
    architecture: Architecture, image_shape: ImageShape, settings: NetworkSettings | None = None
) -> ChildNetwork:
    """The network of an architecture on torch's meta device: shapes, but no numbers.

    Raises:
        InvalidArchitecture, InvalidSettings: as `nas_gym.networks.build_network`.
    """
    with torch.device("meta"), _NoInitialization():
        return build_network(architecture, image_shape, settings)


def measure_cost(
    architecture: Architecture, image_shape: ImageShape, settings: NetworkSettings | None = None
) -> Cost:
    """Parameters and multiply-adds of an architecture.

    The network is built on torch's meta device: nothing is allocated, no number is drawn.

    Raises:
        InvalidArchitecture, InvalidSettings: as `nas_gym.networks.build_network`.
    """
    network = weightless_network(architecture, image_shape, settings)
    return Cost(count_parameters(network), multiply_adds(network, image_shape))
