"""What a network costs: parameters and multiply-adds, counted, and latency, measured."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from nas_gym.architecture import Architecture
from nas_gym.errors import require, require_integer
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings, build_network
from nas_gym.networks.devices import cpu_threads, resolve_device, synchronize


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
    image = torch.zeros(
        (1, image_shape.channels, image_shape.height, image_shape.width),
        device=next(network.parameters()).device,
    )
    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter, _evaluating(network):
        network(image)
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


@contextmanager
def _evaluating(network: nn.Module) -> Iterator[None]:
    """Within it, the network is in evaluation mode; after it, in the mode it was in."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


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


@dataclass(frozen=True)
class LatencySettings:
    """How latency is measured; the defaults are MnasNet's batch of one image on one thread.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    device: str | None = None
    """"auto", "cpu", "cuda", "cuda:N" or "mps"; default: where the network lies."""
    batch_size: int = 1
    threads: int = 1
    """Of a CPU."""
    warmup: int = 5
    """Batches before the first one whose time is taken."""
    repeats: int = 20
    """Batches whose time is taken."""

    def __post_init__(self) -> None:
        require(
            self.device is None or isinstance(self.device, str),
            f"device: expected a name, got {self.device!r}",
        )
        for name, least in (("batch_size", 1), ("threads", 1), ("warmup", 0), ("repeats", 1)):
            require_integer(name, getattr(self, name), least)


@dataclass(frozen=True)
class Latency:
    """How long inference takes, in seconds a batch."""

    seconds: float
    """The median."""
    spread: float
    """The interquartile range."""
    device: torch.device


def measure_latency(
    subject: Architecture | nn.Module,
    image_shape: ImageShape,
    settings: LatencySettings | None = None,
    network_settings: NetworkSettings | None = None,
) -> Latency:
    """The latency of a network in float32, its images already on the device.

    It says what it takes here and now: other work on the same device makes it longer. A network is
    left where and as it was, and so are torch's random numbers.

    Args:
        subject: A network, or an architecture, whose network is built on the CPU.
        image_shape: Of the images.
        settings: How to measure.
        network_settings: Of an architecture's network; default: its family's own.

    Raises:
        InvalidSettings: the device does not exist here, or as `nas_gym.networks.build_network`.
        InvalidArchitecture: as `nas_gym.networks.build_network`.
    """
    settings = settings or LatencySettings()
    if isinstance(subject, Architecture):
        with torch.random.fork_rng([]):
            network: nn.Module = build_network(subject, image_shape, network_settings)
        network.to(memory_format=torch.channels_last)
    else:
        network = subject
    device = next(network.parameters()).device
    if settings.device is not None and resolve_device(settings.device) != device:
        device = resolve_device(settings.device)
        network = copy.deepcopy(network).to(device)
    images = torch.zeros(
        (settings.batch_size, image_shape.channels, image_shape.height, image_shape.width),
        device=device,
    ).to(memory_format=torch.channels_last)
    with cpu_threads(settings.threads), torch.inference_mode(), _evaluating(network):
        for _ in range(settings.warmup):
            network(images)
        times = [_seconds(network, images) for _ in range(settings.repeats)]
    quarter, median, three_quarters = np.percentile(times, (25, 50, 75)).tolist()
    return Latency(median, three_quarters - quarter, device)


def _seconds(network: nn.Module, images: Tensor) -> float:
    """Of one pass; the device has nothing else to do before it, and is done after it."""
    synchronize(images.device)
    started = time.perf_counter()
    network(images)
    synchronize(images.device)
    return time.perf_counter() - started
