"""Architectures become torch modules; importing this package registers every family's builder."""

from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings, build_network
from nas_gym.networks.cell_network import CellNetwork, CellNetworkSettings
from nas_gym.networks.cost import Cost, count_parameters, measure_cost, multiply_adds

__all__ = [
    "CellNetwork",
    "CellNetworkSettings",
    "ChildNetwork",
    "Cost",
    "ImageShape",
    "NetworkSettings",
    "build_network",
    "count_parameters",
    "measure_cost",
    "multiply_adds",
]
