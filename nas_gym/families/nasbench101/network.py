"""The networks of NAS-Bench-101 (Ying et al. 2019, https://arxiv.org/abs/1902.09635, section 2.1).

A 3x3 convolution, three stacks of three cells, a 2x2 max pooling before the second and the third
stack, which double the channels; then global average pooling and a classifier. Every convolution is
followed by batch normalization and a ReLU. Released code:
https://github.com/google-research/nasbench, nasbench/lib/model_builder.py.
"""

from __future__ import annotations

from functools import reduce
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor, nn

from nas_gym.families.nasbench101.architecture import MAX_VERTICES, NASBench101Architecture
from nas_gym.networks.base import ChildNetwork, ImageShape, NetworkSettings
from nas_gym.networks.operations import concatenate, conv, initialize, with_channels
from nas_gym.settings import Cells, Size, settings


@settings
class NASBench101Settings(NetworkSettings):
    """The skeleton around the cells; the defaults are the benchmark's."""

    cells: Cells = 3
    """Cells ("modules") in each stack."""
    filters: Annotated[Size, Ge(MAX_VERTICES - 2)] = 128
    """Filters of the first stack; at least 5, since up to five vertices share a cell's output."""
    stacks: Annotated[int, Ge(1), Le(8)] = 3
    """Stacks of cells; each but the first halves the size and doubles the filters."""


def conv_bn_relu(channels: int, filters: int, size: int = 1) -> nn.Sequential:
    """Return convolution, batch normalization, ReLU; of size 1, an input's projection."""
    return nn.Sequential(conv(channels, filters, size), nn.BatchNorm2d(filters), nn.ReLU())


def vertex_channels(cell: NASBench101Architecture, channels: int, filters: int) -> list[int]:
    """Return the channels of each vertex's output in a pruned cell, (V,).

    The vertices that feed the output share its ``filters`` evenly, the first of them getting one
    more where they do not divide; any other has as many as the widest vertex that it feeds. The
    cell's input has ``channels``.
    """
    last = len(cell.operations) - 1
    widths = [channels, *[0] * (last - 1), filters]
    feeding = [source for source, target in cell.edges if target == last and source > 0]
    for place, vertex in enumerate(feeding):
        widths[vertex] = filters // len(feeding) + (place < filters % len(feeding))
    for vertex in reversed(range(1, last)):
        if vertex not in feeding:
            widths[vertex] = max(widths[t] for s, t in cell.edges if s == vertex)
    return widths


class VertexCell(nn.Module):
    """A cell: (B, channels, H, W) to (B, filters, H, W).

    A vertex adds the states of its edges: the cell's input through a projection, a wider state
    without its last channels. The output concatenates, and adds the input's projection.
    """

    members = 1

    def __init__(self, cell: NASBench101Architecture, channels: int, filters: int) -> None:
        super().__init__()
        self.widths = vertex_channels(cell, channels, filters)
        last = len(cell.operations) - 1
        self.sources = [
            [source for source, target in cell.edges if target == vertex and source > 0]
            for vertex in range(1, last + 1)
        ]
        of_input = [target for source, target in cell.edges if source == 0]
        self.projections = nn.ModuleDict(
            {str(target): conv_bn_relu(channels, self.widths[target]) for target in of_input}
        )
        self.operations = nn.ModuleList(
            _operation(label, width)
            for label, width in zip(cell.operations[1:-1], self.widths[1:-1], strict=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        states = [x]
        for vertex, operation in enumerate(self.operations, start=1):
            width = self.widths[vertex]
            sources = self.sources[vertex - 1]
            terms = [with_channels(states[source], width, self.members) for source in sources]
            states.append(operation(self._sum(terms, x, vertex)))
        feeding = [states[source] for source in self.sources[-1]]
        return self._sum([concatenate(feeding, self.members)] if feeding else [], x, len(states))

    def _sum(self, terms: list[Tensor], x: Tensor, vertex: int) -> Tensor:
        """Return the sum of the terms, and of the projected input where an edge brings it."""
        if str(vertex) in self.projections:
            terms = [*terms, self.projections[str(vertex)](x)]
        return reduce(torch.add, terms)


def _operation(label: str, width: int) -> nn.Module:
    """Return a vertex's operation: (B, width, H, W) in, the same shape out."""
    if label == "maxpool3x3":
        return nn.MaxPool2d(3, 1, 1)
    return conv_bn_relu(width, width, {"conv1x1-bn-relu": 1, "conv3x3-bn-relu": 3}[label])


class NASBench101Network(ChildNetwork):
    """Images (B, C, H, W) in, logits (B, classes) out."""

    settings_type = NASBench101Settings

    def __init__(
        self, cell: NASBench101Architecture, image_shape: ImageShape, settings: NASBench101Settings
    ) -> None:
        super().__init__()
        pruned = cell.pruned()
        channels = filters = settings.filters
        layers: list[nn.Module] = [conv_bn_relu(image_shape.channels, filters, 3)]
        for stack in range(settings.stacks):
            if stack:
                layers.append(nn.MaxPool2d(2, 2, ceil_mode=True))
                filters *= 2
            for _ in range(settings.cells):
                layers.append(VertexCell(pruned, channels, filters))
                channels = filters
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Linear(filters, image_shape.classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.layers(x).mean(dim=(2, 3)))
        return logits
