"""Exact networks: parameters and multiply-adds of the published ones, and of the spaces' ends."""

from __future__ import annotations

import pytest
import torch

from nas_gym import MobileArchitecture, OFASearchSpace, published
from nas_gym.architecture import InvalidArchitecture
from nas_gym.families.mobile.published import OFA, PROXYLESSNAS
from nas_gym.networks import ImageShape, build_network, measure_cost
from nas_gym.networks.mobile import MobileNetworkSettings

COUNTS = {
    "ProxylessNAS-CPU": (4361648, 439243864),
    "ProxylessNAS-GPU": (7119848, 465260160),
    "ProxylessNAS-Mobile": (4080512, 320427584),
    "ProxylessNAS-Mobile-14": (6857568, 580883408),
    "1080ti_gpu64@12ms_top1@72.6_finetune@25": (5903488, 164964352),
    "tx2_gpu16@80ms_top1@75.4_finetune@25": (5186720, 312808424),
    "v100_gpu64@11ms_top1@76.1_finetune@25": (6195512, 351764864),
    "LG-G8_lat@11ms_top1@73.0_finetune@25": (4965160, 103373272),
    "flops@389M_top1@79.1_finetune@75": (8386544, 389487856),
    "flops@595M_top1@80.0_finetune@75": (9135928, 595189032),
    "note10_lat@30ms_top1@78.4_finetune@75": (7465896, 339352816),
    "pixel1_lat@28ms_top1@73.3_finetune@25": (5196680, 108572320),
}
"""Parameters and multiply-adds with 1,000 classes, of the released networks' configurations."""


def imagenet(size: int) -> ImageShape:
    return ImageShape(3, size, size, 1000)


@pytest.mark.parametrize("name", COUNTS)
def test_published_networks_have_their_counts(name: str) -> None:
    cost = measure_cost(published(name), imagenet(224))
    assert (cost.parameters, cost.multiply_adds) == COUNTS[name]


def test_there_are_29_published_networks_and_all_are_plain_lists() -> None:
    assert (len(PROXYLESSNAS), len(OFA)) == (12, 17)
    for made in (*PROXYLESSNAS.values(), *OFA.values()):
        blocks, ends = made.to_blocks(), (made.stem, made.head)
        assert MobileArchitecture.from_blocks(blocks, *ends, made.space, made.resolution) == made
        assert MobileArchitecture.from_json(made.to_json()) == made
        some = [each and each[: 4 + place % 2] for place, each in enumerate(blocks)]
        assert MobileArchitecture.from_blocks(some, *ends, made.space, made.resolution) == made


@pytest.mark.parametrize(
    ("width", "choice", "size", "counts"),
    [
        (1.0, 2, 224, (7664760, 566170656)),
        (1.0, 0, 128, (3410792, 41476224)),
        (1.2, 2, 224, (10701632, 843101040)),
    ],
)
def test_the_largest_and_the_smallest_sub_network(
    width: float, choice: int, size: int, counts: tuple[int, int]
) -> None:
    search_space = OFASearchSpace(filter_width=width)
    largest = search_space.decode([choice] * len(search_space.decisions))
    cost = measure_cost(largest, imagenet(size))
    assert (cost.parameters, cost.multiply_adds) == counts


def test_zero_layers_make_no_difference() -> None:
    blocks = [[3, 1, 16, 1], [3, 3, 24, 2], None, [5, 6, 24, 1], None]
    made = MobileArchitecture.from_blocks(blocks, 16, 32)
    same = MobileArchitecture.from_blocks([each for each in blocks if each], 16, 32)
    assert made != same
    assert made.key == same.key
    assert measure_cost(made, imagenet(32)) == measure_cost(same, imagenet(32))


@pytest.mark.parametrize("space", ["ProxylessNASNets", "MobileNetV3"])
def test_images_are_scaled_to_the_resolution(space: str) -> None:
    blocks = [[3, 1, 4, 1], [5, 3, 8, 2], [5, 3, 8, 1]]
    shape = ImageShape(1, 8, 8, 10)
    made = MobileArchitecture.from_blocks(blocks, 4, 16, space, resolution=12)
    network = build_network(made, shape, MobileNetworkSettings(halvings=2))
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    plain = MobileArchitecture.from_blocks(blocks, 4, 16, space)
    settings = MobileNetworkSettings(halvings=2)
    larger = ImageShape(1, 12, 12, 10)
    assert measure_cost(made, shape, settings) == measure_cost(plain, larger, settings)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        ([], "at least one"),
        ([None], "at least one"),
        ([[3, 1, 16]], r"blocks\[0\]: expected \[kernel, expansion, filters, stride\] or null"),
        ([[4, 1, 16, 1]], r"blocks\[0\].kernel: expected an odd size, got 4"),
        ([[3, 0, 16, 1]], r"blocks\[0\].expansion: expected an integer"),
        ([[3, 1, 16, 3]], r"blocks\[0\].stride: expected an integer from 1 to 2"),
        ([[3, 1, 16, 1, False]], r"blocks\[0\]: a shortcut is where"),
        ([[3, 1, 8, 1, True]], r"blocks\[0\]: a shortcut is where"),
        ([3], r"blocks\[0\]: expected a list"),
    ],
)
def test_wrong_blocks_are_refused(blocks: list[list[int]], message: str) -> None:
    with pytest.raises(InvalidArchitecture, match=message):
        MobileArchitecture.from_blocks(blocks, 16, 32)
    with pytest.raises(InvalidArchitecture, match="space: 'V2' is not known"):
        MobileArchitecture.from_blocks([[3, 1, 16, 1]], 16, 32, "V2")
