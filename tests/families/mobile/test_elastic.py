"""The elastic network: its sub-networks are plain networks, and sorting changes nothing."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_gym import Architecture, OFASearchSpace
from nas_gym.architecture import InvalidArchitecture
from nas_gym.families.mobile.elastic import SMALLER, ElasticNetwork
from nas_gym.families.mobile.network import InvertedBottleneck
from nas_gym.families.mobile.ofa import MOST
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.networks.mobile import MobileNetworkSettings, SqueezeExcitation
from nas_gym.search_spaces.filters import divisible

SPACE = OFASearchSpace()
SHAPE = ImageShape(3, 16, 16, 10)
SETTINGS = MobileNetworkSettings(width=0.25, divisor=1)
IMAGES = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).double()


@pytest.fixture
def elastic() -> ElasticNetwork:
    """One whose transformation matrices and gains are not as they begin."""
    torch.manual_seed(0)
    network = ElasticNetwork(SPACE, SHAPE, SETTINGS).double()
    with torch.no_grad():
        for parameter in [*network.transforms.parameters(), *network.full.parameters()]:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return network


def drawn(seed: int) -> Architecture:
    return SPACE.decode(SPACE.sample(np.random.default_rng(seed)))


@pytest.mark.parametrize("seed", range(3))
def test_a_sub_network_gives_what_the_masked_elastic_network_gives(
    elastic: ElasticNetwork, seed: int
) -> None:
    architecture = drawn(seed)
    elastic.set_architecture(architecture)
    expected = masked(elastic, architecture)(IMAGES)
    torch.testing.assert_close(elastic(IMAGES), expected)
    torch.testing.assert_close(elastic.child(architecture)(IMAGES), expected)
    cost = measure_cost(architecture, SHAPE, SETTINGS)
    assert elastic.cost(architecture) == cost
    assert elastic.count_parameters(architecture) == cost.parameters


@torch.no_grad()
def masked(elastic: ElasticNetwork, architecture: Architecture) -> nn.Module:
    """The largest network, where zeros stand for what the sub-network does not have."""
    full = deepcopy(elastic.full)
    blocks: dict[int, list[tuple[int, int]]] = {}
    for each in architecture.layers():  # type: ignore[attr-defined]
        blocks.setdefault(each.stage, []).append((each.block.kernel, each.block.expansion))
    for place, layer in enumerate(full.layers):
        stage, number = divmod(place - 1, MOST)
        if place == 0:
            continue
        assert isinstance(layer, InvertedBottleneck)
        body: Any = layer.body
        sizes = blocks[stage + 1]
        if number >= len(sizes):  # only the shortcut is left
            body[-1].weight.zero_()
            body[-1].bias.zero_()
            continue
        kernel, expansion = sizes[number]
        wide = body[0].in_channels * expansion
        body[-2].weight[:, wide:] = 0
        weight = body[3].weight
        for large, small in SMALLER:
            if kernel <= small:
                centre = weight[..., 1:-1, 1:-1].reshape(-1, small**2)
                matrix = elastic.transforms[str(place)][f"{large}to{small}"]  # type: ignore[index]
                weight = (centre @ matrix.T).reshape(-1, 1, small, small)
        edge = (7 - kernel) // 2
        body[3].weight.copy_(nn.functional.pad(weight, (edge,) * 4))
        for module in body:
            if isinstance(module, SqueezeExcitation):
                hidden = divisible(wide // 4)
                module.squeeze.weight[:, wide:] = 0
                module.excite.weight[:, hidden:] = 0
    return full


@pytest.mark.parametrize("kept", [None, 4])
def test_sorting_keeps_the_largest_network_and_orders_by_importance(
    elastic: ElasticNetwork, kept: int | None
) -> None:
    before = elastic(IMAGES)
    middle = drawn(1)
    elastic.sort_channels(kept)
    torch.testing.assert_close(elastic(IMAGES), before)
    for layer in list(elastic.full.layers)[1:]:
        body: Any = layer.body
        importance = body[-2].weight.abs().sum(dim=(0, 2, 3))
        first = body[0].in_channels * kept if kept else len(importance)
        assert torch.equal(importance[:first], importance[:first].sort(descending=True).values)
    elastic.set_architecture(middle)
    torch.testing.assert_close(elastic(IMAGES), elastic.child(middle)(IMAGES))


def test_gradients_reach_the_shared_weights_and_the_matrices(elastic: ElasticNetwork) -> None:
    smallest = SPACE.decode(np.zeros(len(SPACE.decisions), dtype=np.int64))
    elastic.set_architecture(smallest)
    elastic(IMAGES).square().sum().backward()
    body: Any = elastic.full.layers[1].body
    first = body[3].weight.grad
    assert first[:12].abs().sum() > 0
    assert first[12:].abs().sum() == 0
    assert all(each.grad is not None for each in elastic.transforms["1"].parameters())
    assert all(each.grad is None for each in elastic.transforms["4"].parameters())


def test_other_architectures_are_refused(elastic: ElasticNetwork) -> None:
    wider = OFASearchSpace(filter_width=1.2)
    other = wider.decode(np.zeros(len(wider.decisions), dtype=np.int64))
    with pytest.raises(InvalidArchitecture, match=r"width 1\.0"):
        elastic.child(other)
