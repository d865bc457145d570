"""NAS's networks: the paper's rules of section 3.3, and what a chain costs.

Source: Zoph & Le 2017, https://arxiv.org/abs/1611.01578.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym import InvalidSettings, NASSearchSpace
from nas_gym.families.nas.network import ChainNetwork, ChainNetworkSettings, SameConv2d
from nas_gym.networks import Cost, ImageShape, build_network, count_parameters, measure_cost
from nas_gym.search_spaces import ChainArchitecture, Convolution, MaxPooling

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)
SMALL = ChainNetworkSettings(filter_scale=0.1)
SEARCH_SPACE = NASSearchSpace(7, strides=True, pooling_layers=[4])


def random_chain(seed: int) -> ChainArchitecture:
    return SEARCH_SPACE.decode(SEARCH_SPACE.sample(np.random.default_rng(seed)))


def conv(height: int, width: int, filters: int, *inputs: int, **strides: int) -> Convolution:
    return Convolution(
        filter_height=height,
        filter_width=width,
        number_of_filters=filters,
        inputs=inputs,
        **strides,
    )


def built(architecture: ChainArchitecture, shape: ImageShape = CIFAR) -> ChainNetwork:
    torch.manual_seed(0)
    network = build_network(architecture, shape, SMALL)
    assert isinstance(network, ChainNetwork)
    return network


def images(shape: ImageShape, batch: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, shape.channels, shape.height, shape.width, generator=generator)


def test_costs_of_a_chain_by_hand() -> None:
    architecture = ChainArchitecture(
        (
            conv(3, 5, 24),
            conv(1, 1, 36, 1, stride_height=2, stride_width=3),
            MaxPooling(inputs=(1, 2)),
            conv(7, 1, 48),
            conv(5, 5, 64, 2, 3, 4),
        )
    )
    weights = [3 * 5 * 3 * 24, 24 * 36, 7 * 3 * 48, 25 * (36 + (24 + 36) + 48) * 64]
    norms, classifier = 2 * (24 + 36 + 48 + 64), 64 * 10
    pixels = [32 * 32, 16 * 11, 32 * 32, 32 * 32]  # 16x11 and 16x16 are padded to 32x32
    operations = sum(w * p for w, p in zip(weights, pixels, strict=True)) + classifier
    parameters = sum(weights) + norms + classifier + 10
    assert measure_cost(architecture, CIFAR) == Cost(parameters, operations)


def by_the_rules(network: ChainNetwork, architecture: ChainArchitecture, x: Tensor) -> Tensor:
    """What the network should compute, with everything joined as the paper says it."""
    outputs = {0: x}

    def joined(numbers: tuple[int, ...]) -> Tensor:
        states = [outputs[number] for number in numbers]
        height, width = (max(state.shape[axis] for state in states) for axis in (2, 3))
        canvas = x.new_zeros(len(x), sum(state.shape[1] for state in states), height, width)
        start = 0
        for state in states:
            stop, top = start + state.shape[1], (height - state.shape[2]) // 2
            left = (width - state.shape[3]) // 2
            rows, columns = top + state.shape[2], left + state.shape[3]
            canvas[:, start:stop, top:rows, left:columns] = state
            start = stop
        return canvas

    for number, layer in enumerate(architecture.layers, start=1):
        state = joined(layer.inputs or (0,))
        if isinstance(layer, MaxPooling):
            outputs[number] = F.max_pool2d(state, 2, ceil_mode=True)
            continue
        modules = network.layers[number - 1]
        assert isinstance(modules, nn.Sequential)
        outputs[number] = F.relu(modules[1](modules[0](state)))
        assert outputs[number].shape[2] == -(-state.shape[2] // layer.stride_height)
        assert outputs[number].shape[3] == -(-state.shape[3] // layer.stride_width)
    logits: Tensor = network.classifier(joined(architecture.loose_ends).mean(dim=(2, 3)))
    return logits


@pytest.mark.parametrize("seed", range(8))
def test_forward_follows_the_papers_rules(seed: int) -> None:
    shape = ImageShape(channels=2, height=13, width=10, classes=5)
    architecture = random_chain(seed)
    network, x = built(architecture, shape).double(), images(shape).double()
    torch.testing.assert_close(network(x), by_the_rules(network, architecture, x))


@pytest.mark.parametrize("size", [(8, 8), (9, 32), (1, 1)])
@pytest.mark.parametrize("autocast", [False, True])
def test_forward_and_backward(size: tuple[int, int], autocast: bool) -> None:
    shape = ImageShape(1, *size, classes=4)
    for seed in range(4):
        network = built(random_chain(seed), shape).to(memory_format=torch.channels_last)
        x = images(shape).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            logits = network(x)
        assert logits.shape == (3, 4)
        logits.float().square().sum().backward()
        for parameter in network.parameters():
            assert parameter.grad is not None
            assert parameter.grad.isfinite().all()


def test_repeated_strides_do_not_make_a_network_vanish() -> None:
    first = conv(7, 7, 24, stride_height=3, stride_width=3)
    rest = [conv(7, 7, 24, n, stride_height=3, stride_width=3) for n in range(1, 12)]
    architecture = ChainArchitecture((first, *rest, MaxPooling(inputs=(12,))))
    assert built(architecture)(images(CIFAR)).isfinite().all()


@pytest.mark.parametrize("seed", range(3))
def test_channels_last_changes_no_result(seed: int) -> None:
    network, x = built(random_chain(seed)).double(), images(CIFAR).double()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        network.zero_grad()
        network.to(memory_format=layout)
        logits = network(x.to(memory_format=layout))
        logits.square().sum().backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append([logits.detach(), *gradients])
    for contiguous, channels_last in zip(*results, strict=True):
        torch.testing.assert_close(channels_last, contiguous)


@pytest.mark.parametrize("seed", range(3))
def test_costs_do_not_depend_on_the_numbering_nor_on_having_weights(seed: int) -> None:
    architecture = random_chain(seed)
    cost = measure_cost(architecture, CIFAR, SMALL)
    assert measure_cost(architecture.canonical(), CIFAR, SMALL) == cost
    assert count_parameters(built(architecture)) == cost.parameters


def test_weights_are_deterministic_under_a_seed() -> None:
    first, again = (list(built(random_chain(0)).parameters()) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize(("scale", "filters"), [(1, 36), (0.5, 18), (0.01, 1), (1.5, 54)])
def test_filter_scale_multiplies_the_filters(scale: float, filters: int) -> None:
    network = build_network(
        ChainArchitecture((conv(3, 3, 36),)), CIFAR, ChainNetworkSettings(filter_scale=scale)
    )
    assert isinstance(network, ChainNetwork)
    assert network.classifier.in_features == filters


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan"), "1", True, None])
def test_bad_filter_scales(scale: Any) -> None:
    with pytest.raises(InvalidSettings, match=r"^filter_scale: expected a .*number"):
        ChainNetworkSettings(filter_scale=scale)


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (4, 9)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_convolutions_of_images_smaller_than_the_filter_equal_torchs(
    size: tuple[int, int], stride: tuple[int, int]
) -> None:
    module = SameConv2d(4, 3, (7, 5), stride, (3, 2), bias=False).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    output, expected = module(x), F.conv2d(x, module.weight, None, stride, (3, 2))
    torch.testing.assert_close(output, expected)
    gradients = [
        torch.autograd.grad(y.square().sum(), module.weight)[0] for y in (output, expected)
    ]
    torch.testing.assert_close(*gradients)
    if size == (1, 1):
        assert not gradients[0][:, :, :3].any()  # these rows see padding alone
