"""Latency of a network: measured, or predicted by a table of its operations."""

from nas_gym.networks.latency.measuring import Latency as Latency
from nas_gym.networks.latency.measuring import LatencySettings as LatencySettings
from nas_gym.networks.latency.measuring import measure_latency as measure_latency
from nas_gym.networks.latency.table import LatencyTable as LatencyTable
