"""Costs of a network that are counted: parameters and multiply-adds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

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
    return sum(each.numel() for name, each in named if "auxiliary_head" not in name.split("."))


def multiply_adds(network: nn.Module, input_shape: InputShape) -> int:
    """Return the multiply-adds of convolutions and dense layers in inference on one image.

    The network runs once, on its device, and keeps its mode.
    """
    counter = _Counter()
    with torch.no_grad(), counter, evaluating(network):
        network(input_shape.batch(1, next(network.parameters()).device))
    return counter.operations // 2


def _alike(inputs: Tensor) -> Tensor:
    shape, strides = inputs.shape, inputs.stride()
    return torch.empty_strided(shape, strides, dtype=inputs.dtype, device=inputs.device)


def _normalized(inputs: Tensor, *_: Any) -> tuple[Tensor, Tensor, Tensor]:
    mean, deviation = (torch.empty(inputs.shape[1], device=inputs.device) for _ in range(2))
    return _alike(inputs), mean, deviation


aten = torch.ops.aten
SHAPES: dict[Any, Any] = {
    aten.native_batch_norm.default: _normalized,
    **dict.fromkeys((aten.relu.default, aten.hardswish.default, aten.hardsigmoid.default), _alike),
}
"""Outputs of operations on the meta device; torch makes these in Python, in a millisecond."""


class Watcher(TorchDispatchMode):
    """Calls all operations within it, and those of `SHAPES` in less time than torch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """Return False: to hide the mode from torch's compiler, torch would import it, in 1 s."""
        return False

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs, shape = kwargs or {}, SHAPES.get(func)
        made = shape(*args) if shape and args[0].is_meta else func(*args, **kwargs)
        self.watch(func, args, kwargs, made)
        return made

    def watch(self, operation: Any, args: tuple[Any, ...], kwargs: Any, made: Any) -> None:
        """Take note of a call, and of what it returned."""
        raise NotImplementedError


class _Counter(Watcher):
    """Counts the floating-point operations of all that is called within it.

    It counts as torch's `FlopCounterMode`, but keeps no account of each module, which takes two
    thirds of that one's time.
    """

    operations = 0

    def watch(self, operation: Any, args: tuple[Any, ...], kwargs: Any, made: Any) -> None:
        count = flop_registry.get(operation.overloadpacket)
        if count is not None:
            self.operations += count(*args, **kwargs, out_val=made)


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
    """Put the network in evaluation mode within it; each part has its own mode again afterwards."""
    modes = [(part, part.training) for part in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for part, training in modes:
            part.training = training
