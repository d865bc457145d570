"""Child networks: modules, operations, and their costs.

`build_network` turns an architecture into a module, by the builder that its family declares.
"""

from nas_gym.networks.activations import peak_activation_bytes as peak_activation_bytes
from nas_gym.networks.base import ChildNetwork as ChildNetwork
from nas_gym.networks.base import ImageShape as ImageShape
from nas_gym.networks.base import InputShape as InputShape
from nas_gym.networks.base import NetworkSettings as NetworkSettings
from nas_gym.networks.base import TokenShape as TokenShape
from nas_gym.networks.base import build_network as build_network
from nas_gym.networks.base import default_settings as default_settings
from nas_gym.networks.costs import Cost as Cost
from nas_gym.networks.costs import count_parameters as count_parameters
from nas_gym.networks.costs import measure_cost as measure_cost
from nas_gym.networks.costs import multiply_adds as multiply_adds
from nas_gym.networks.costs import weightless_network as weightless_network
from nas_gym.networks.latency import Latency as Latency
from nas_gym.networks.latency import LatencySettings as LatencySettings
from nas_gym.networks.latency import LatencyTable as LatencyTable
from nas_gym.networks.latency import measure_latency as measure_latency
