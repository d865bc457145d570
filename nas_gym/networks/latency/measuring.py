"""Latency of a network, measured, or predicted by a table of its operations."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nas_gym.architecture import Architecture
from nas_gym.errors import require
from nas_gym.networks.base import InputShape, NetworkSettings, build_network
from nas_gym.networks.costs import Watcher, evaluating, weightless_network
from nas_gym.networks.devices import cpu_threads, device_here, hardware_name, resolve_device
from nas_gym.networks.latency.calls import times_of
from nas_gym.networks.latency.table import LatencyTable
from nas_gym.networks.limits import require_memory
from nas_gym.settings import Size, settings


@settings
class LatencySettings:
    """How latency is measured; the defaults are MnasNet's batch of one image on one thread."""

    device: str | None = None
    """"auto", "cpu", "cuda", "cuda:N" or "mps"; default: the network's."""
    batch_size: Size = 1
    """Images per batch."""
    threads: Annotated[int, Ge(1), Le(1024)] = 1
    """Threads of a CPU."""
    warmup: Annotated[int, Ge(0), Le(2**16)] = 5
    """Batches before the first measured one."""
    repeats: Size = 20
    """Measured batches."""
    table: str | None = None
    """A file of `nas-gym latency record`, by which latency is predicted instead, as on the device
    on which it was recorded; device, batch size and threads are the table's."""

    def __post_init__(self) -> None:
        if self.table is not None:
            own = "the table says device, batch size and threads; leave them out"
            given = (self.device, self.batch_size, self.threads)
            require(given == (None, 1, 1), f"table: {own}")
            LatencyTable.load(self.table)

    def facts(self, device: torch.device) -> dict[str, Any]:
        """Return what the latency of a network on a device follows from, as JSON data.

        `InvalidSettings` if it is to be measured on a device that does not exist here.
        """
        if self.table is not None:
            return {"table": LatencyTable.load(self.table).digest}
        settings = {name: value for name, value in vars(self).items() if name != "table"}
        measured_on = device if self.device is None else device_here(self.device)
        return {**settings, "hardware": hardware_name(measured_on)}


@dataclass(frozen=True)
class Latency:
    """Duration of inference, in seconds per batch."""

    seconds: float
    """The median."""
    spread: float
    """The interquartile range; 0 for a prediction."""
    device: torch.device


def measure_latency(
    subject: Architecture | nn.Module,
    input_shape: InputShape,
    settings: LatencySettings | None = None,
    network_settings: NetworkSettings | None = None,
) -> Latency:
    """Measure the latency of a network in float32, its images already on the device.

    The result holds for this machine under its present load, or, by a table, for the device where
    it was recorded. The network stays where and as it was, and so do torch's random numbers.

    Args:
        subject: A network, or an architecture, whose network is built on the CPU.
        input_shape: Of the inputs.
        settings: How to measure.
        network_settings: Of an architecture's network; default: those of its family.

    Raises:
        InvalidSettings: the device does not exist here, the images or the states of the network do
            not fit into the memory, the table lacks an operation, or as
            `nas_gym.networks.build_network`.
        InvalidArchitecture: as `nas_gym.networks.build_network`.
    """
    settings = settings or LatencySettings()
    network = subject
    if settings.table is not None:
        table = LatencyTable.load(settings.table)
        if isinstance(network, Architecture):
            network = weightless_network(network, input_shape, network_settings)
            network.to(memory_format=torch.channels_last)
        return Latency(table.predict(network, input_shape), 0.0, torch.device(table.device))
    if isinstance(network, Architecture):
        # The largest state, beside its input of the same size, must fit.
        weightless = weightless_network(network, input_shape, network_settings)
        largest = _LargestTensor()
        with torch.no_grad(), evaluating(weightless), largest:
            weightless(input_shape.batch(settings.batch_size, torch.device("meta")))
        require_memory("latency", 2 * largest.num_bytes)
        with torch.random.fork_rng([]):
            network = build_network(network, input_shape, network_settings)
        network.to(memory_format=torch.channels_last)
    device = here = next(network.parameters()).device
    if settings.device is not None:
        device = resolve_device(settings.device)
    if device != here:
        network = copy.deepcopy(network).to(device)

    images = input_shape.batch(settings.batch_size, device)
    with cpu_threads(settings.threads), torch.inference_mode(), evaluating(network):
        run = partial(network, images)
        times = times_of(run, images.device, settings.warmup, settings.repeats)
    quarter, median, three_quarters = np.percentile(times, (25, 50, 75)).tolist()
    return Latency(median, three_quarters - quarter, device)


class _LargestTensor(Watcher):
    """Records the size in bytes of the largest tensor that an operation returns within it."""

    num_bytes = 0

    def watch(self, operation: Any, args: tuple[Any, ...], kwargs: Any, made: Any) -> None:
        self.num_bytes = max(self.num_bytes, made.nbytes if isinstance(made, Tensor) else 0)
