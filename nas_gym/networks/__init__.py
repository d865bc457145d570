"""What a child network is: modules, operations, and what they cost."""

from nas_gym.networks.base import (
    ChildNetwork,
    ImageShape,
    NetworkSettings,
    build_network,
    default_settings,
)
from nas_gym.networks.costs import (
    Cost,
    Latency,
    LatencySettings,
    count_parameters,
    measure_cost,
    measure_latency,
    multiply_adds,
    weightless_network,
)

__all__ = [
    "ChildNetwork",
    "Cost",
    "ImageShape",
    "Latency",
    "LatencySettings",
    "NetworkSettings",
    "build_network",
    "count_parameters",
    "default_settings",
    "measure_cost",
    "measure_latency",
    "multiply_adds",
    "weightless_network",
]
