"""Architectures become torch modules; importing this package registers every family's builder."""

from nas_gym.networks.base import (
    ChildNetwork,
    ImageShape,
    NetworkSettings,
    build_network,
    default_settings,
)
from nas_gym.networks.cell_network import CellNetwork, CellNetworkSettings
from nas_gym.networks.chain_network import ChainNetwork, ChainNetworkSettings
from nas_gym.networks.cost import (
    Cost,
    Latency,
    LatencySettings,
    count_parameters,
    measure_cost,
    measure_latency,
    multiply_adds,
    weightless_network,
)
from nas_gym.networks.enas_cell_network import ENASCellNetworkSettings
from nas_gym.networks.macro_network import MacroNetworkSettings
from nas_gym.networks.mobile_network import MobileNetworkSettings
from nas_gym.networks.nasbench101_network import NASBench101Settings
from nas_gym.networks.nasbench201_network import NASBench201Settings

__all__ = [
    "CellNetwork",
    "CellNetworkSettings",
    "ChainNetwork",
    "ChainNetworkSettings",
    "ChildNetwork",
    "Cost",
    "ENASCellNetworkSettings",
    "ImageShape",
    "Latency",
    "LatencySettings",
    "MacroNetworkSettings",
    "MobileNetworkSettings",
    "NASBench101Settings",
    "NASBench201Settings",
    "NetworkSettings",
    "build_network",
    "count_parameters",
    "default_settings",
    "measure_cost",
    "measure_latency",
    "multiply_adds",
    "weightless_network",
]
