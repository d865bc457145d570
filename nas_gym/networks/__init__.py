"""Child networks: modules, operations, and their costs.

`build_network` turns an architecture into a module, by the builder that its family declares.
"""

from nas_gym.networks.base import (
    ChildNetwork,
    ImageShape,
    NetworkSettings,
    build_network,
    default_settings,
)
from nas_gym.networks.costs import (
    Cost,
    count_parameters,
    measure_cost,
    multiply_adds,
    weightless_network,
)
from nas_gym.networks.latency import Latency, LatencySettings, measure_latency

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
