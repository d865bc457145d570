"""Peak bytes of activations, of networks small enough to be counted by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nas_gym import published
from nas_gym.networks import ImageShape, peak_activation_bytes, weightless_network

SHAPE = ImageShape(3, 8, 8, 10)
PIXELS = 64 * 4  # bytes of a channel


class Residual(nn.Module):
    """The input waits for two convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Conv2d(4, 4, 3, padding=1) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        added: Tensor = self.second(torch.relu(self.first(x)))
        return x + torch.relu(added)


class ReadTwice(nn.Module):
    """What is normalized is read afterwards, so that nothing can be done in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        normalized: Tensor = self.norm(x)
        return normalized + x


def chain(*channels: int) -> nn.Sequential:
    pairs = zip((3, *channels), channels, strict=False)
    layers = [
        (nn.Conv2d(i, o, 3, padding=1, bias=False), nn.BatchNorm2d(o), nn.ReLU6()) for i, o in pairs
    ]
    return nn.Sequential(*(part for layer in layers for part in layer))


@pytest.mark.parametrize(
    ("network", "channels"),
    [
        (chain(5), 3 + 5),
        (chain(16, 8), 16 + 8),
        (chain(8, 4, 12), 4 + 12),
        (nn.Sequential(nn.Conv2d(3, 4, 1), Residual()), 4 + 4 + 4),
        (ReadTwice(), 3 + 3 + 3),
        (nn.Sequential(nn.Conv2d(3, 16, 1), nn.MaxPool2d(2), nn.Conv2d(16, 4, 1)), 16 + 4),
    ],
)
def test_an_operation_needs_its_inputs_and_its_output(network: nn.Module, channels: int) -> None:
    training = network.training
    assert peak_activation_bytes(network, SHAPE) == channels * PIXELS
    assert network.training == training
    assert peak_activation_bytes(network.to("meta"), SHAPE) == channels * PIXELS
    assert peak_activation_bytes(network, ImageShape(3, 16, 16, 10)) == 4 * channels * PIXELS


def test_an_imagenet_networks_peak_is_its_widest_depthwise_convolution() -> None:
    """MnasNet-A1: 96 channels of 112x112, and of 56x56 after the stride."""
    shape = ImageShape(3, 224, 224, 1000)
    network = weightless_network(published("MnasNet-A1"), shape)
    assert peak_activation_bytes(network, shape) == 4 * 96 * (112**2 + 56**2)
