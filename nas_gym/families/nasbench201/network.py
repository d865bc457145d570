"""The networks of NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326, section 2.1).

A 3x3 convolution, three stacks of N cells with C, 2C and 4C filters, a residual block of stride 2
before the second and the third stack, then global average pooling and a classifier. Released code:
https://github.com/D-X-Y/AutoDL-Projects, xautodl/models/cell_infers/tiny_network.py.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym.families.nasbench201.search_space import EDGES, NODES, NASBench201Architecture
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.convolutions import AveragePool2d
from nas_gym.networks.operations import conv, initialize, relu_conv_bn
from nas_gym.settings import Cells, Size, settings


@settings
class NASBench201Settings(NetworkSettings):
    """The skeleton around the cells; the defaults are the benchmark's."""

    cells: Cells = 5
    """N, the number of cells in each of the three stacks."""
    filters: Size = 16
    """C, the filters of the first stack."""


def _operation(label: str, filters: int) -> nn.Module:
    """Return an edge's operation: (B, filters, H, W) in, the same shape out."""
    if label == "avg_pool_3x3":
        return AveragePool2d(3, 1)
    if label == "skip_connect":
        return nn.Identity()
    size = {"nor_conv_1x1": 1, "nor_conv_3x3": 3}[label]
    return nn.Sequential(*relu_conv_bn(filters, filters, size))


class GraphCell(nn.Module):
    """A cell: every node sums the states of its edges; an edge with ``none`` has none."""

    def __init__(self, architecture: NASBench201Architecture, filters: int) -> None:
        super().__init__()
        kept = {e: op for e, op in zip(EDGES, architecture.operations, strict=True) if op != "none"}
        self.edges = list(kept)
        self.operations = nn.ModuleList(_operation(label, filters) for label in kept.values())

    def forward(self, x: Tensor) -> Tensor:
        nodes: list[Tensor | None] = [x, *[None] * (NODES - 1)]
        for (source, target), operation in zip(self.edges, self.operations, strict=True):
            state, sum_so_far = nodes[source], nodes[target]
            if state is not None:
                brought: Tensor = operation(state)
                nodes[target] = brought if sum_so_far is None else sum_so_far + brought
        output = nodes[-1]
        return torch.zeros_like(x) if output is None else output


class ResidualBlock(nn.Module):
    """Halves the size and doubles the filters: (B, C, H, W) to (B, 2C, H / 2, W / 2)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        wide = 2 * channels
        halving = relu_conv_bn(channels, wide, 3, stride=2)
        self.body = nn.Sequential(*halving, *relu_conv_bn(wide, wide, 3))
        self.shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True), conv(channels, wide))

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.shortcut(x) + self.body(x)
        return output


class NASBench201Network(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    settings_type = NASBench201Settings

    def __init__(
        self, cell: NASBench201Architecture, image_shape: ImageShape, settings: NASBench201Settings
    ) -> None:
        super().__init__()
        filters = settings.filters
        stem = conv(image_shape.channels, filters, 3)
        layers: list[nn.Module] = [stem, nn.BatchNorm2d(filters)]
        for stack in range(3):
            if stack:
                layers.append(ResidualBlock(filters))
                filters *= 2
            layers += [GraphCell(cell, filters) for _ in range(settings.cells)]
        self.layers = nn.Sequential(*layers, nn.BatchNorm2d(filters))
        self.classifier = nn.Linear(filters, image_shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(F.relu(self.layers(x)).mean(dim=(2, 3)))
        return logits
