"""MnasNet's networks: exact costs, what a layer computes, and that they fit any image.

Counts: timm's semnasnet_* (A1), mnasnet_* (B1) and mnasnet_small; torchvision's mobilenet_v2.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nas_gym import InvalidSettings, published
from nas_gym.families.mnasnet.network import (
    LayerModule,
    MnasNetNetwork,
    MnasNetSettings,
    PoolingSkip,
)
from nas_gym.families.mnasnet.search_space import (
    MnasNetArchitecture,
    MnasNetSearchSpace,
    MobileBlock,
)
from nas_gym.networks import ImageShape, build_network, measure_cost

IMAGENET = ImageShape(channels=3, height=224, width=224, classes=1000)
SMALL = MnasNetSettings(width=0.25, divisor=1, head_filters=16)


@pytest.mark.parametrize(
    ("name", "width", "parameters"),
    [
        ("MnasNet-A1", 1.0, 3_887_038),
        ("MnasNet-A1", 0.5, 2_082_006),
        ("MnasNet-A1", 0.75, 2_912_278),
        ("MnasNet-A1", 1.4, 6_105_992),
        ("MnasNet-B1", 1.0, 4_383_312),
        ("MnasNet-B1", 0.5, 2_218_512),
        ("MnasNet-B1", 0.75, 3_170_208),
        ("MnasNet-B1", 1.4, 7_115_728),
        ("MnasNet-small", 1.0, 2_030_264),
        ("MobileNetV2", 1.0, 3_504_872),
    ],
)
def test_parameters_are_exact(name: str, width: float, parameters: int) -> None:
    settings = MnasNetSettings(width=width)
    assert measure_cost(published(name), IMAGENET, settings).parameters == parameters


@pytest.mark.parametrize(("name", "millions"), [("MnasNet-A1", 312), ("MobileNetV2", 301)])
def test_multiply_adds_are_the_published_ones(name: str, millions: int) -> None:
    assert round(measure_cost(published(name), IMAGENET).multiply_adds / 1e6) == millions


def network(architecture: Any, size: int = 32, settings: MnasNetSettings = SMALL) -> MnasNetNetwork:
    shape = ImageShape(channels=3, height=size, width=size, classes=5)
    built = build_network(architecture, shape, settings)
    assert isinstance(built, MnasNetNetwork)
    return built


@pytest.mark.parametrize("size", [8, 9, 32])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_forward_and_backward(size: int, dtype: torch.dtype) -> None:
    search_space = MnasNetSearchSpace()
    for seed in range(4):
        choices = search_space.sample(np.random.default_rng(seed))
        built = network(search_space.decode(choices), size)
        built = built.to(memory_format=torch.channels_last)
        images = torch.randn(3, 3, size, size).to(memory_format=torch.channels_last)
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            logits = built(images)
        assert logits.shape == (3, 5)
        logits.float().square().sum().backward()
        gradients = [parameter.grad for parameter in built.parameters()]
        assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)


def test_a_seed_makes_the_weights() -> None:
    states = []
    for _ in range(2):
        torch.manual_seed(3)
        states.append(network(published("MnasNet-A1")).state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


def test_the_canonical_form_is_the_same_network() -> None:
    search_space = MnasNetSearchSpace()
    changed = 0
    images = torch.randn(2, 3, 16, 16)
    for seed in range(12):
        architecture = search_space.decode(search_space.sample(np.random.default_rng(seed)))
        canonical = architecture.canonical()
        changed += canonical != architecture
        outputs = []
        for one in (architecture, canonical):
            torch.manual_seed(0)
            outputs.append(network(one, 16).eval()(images))
        assert torch.equal(*outputs)
    assert changed > 3


def sizes_of(size: int, halvings: int | None = None) -> list[int]:
    """The heights after the stem and after each layer of MnasNet-A1, without repetitions."""
    built = network(published("MnasNet-A1"), size, replace(SMALL, halvings=halvings)).eval()
    x, heights = torch.zeros(1, 3, size, size), [size]
    with torch.no_grad():
        for module in (built.stem, *built.layers):
            x = module(x)
            if x.shape[2] != heights[-1]:
                heights.append(x.shape[2])
    return heights


@pytest.mark.parametrize(
    ("size", "heights"),
    [
        (8, [8, 4]),
        (28, [28, 14, 7, 4]),
        (32, [32, 16, 8, 4]),
        (64, [64, 32, 16, 8, 4]),
        (96, [96, 48, 24, 12, 6, 3]),
        (224, [224, 112, 56, 28, 14, 7]),
        (2, [2]),
    ],
)
def test_small_images_are_halved_less(size: int, heights: list[int]) -> None:
    assert sizes_of(size) == heights


@pytest.mark.parametrize(
    ("halvings", "heights"), [(0, [16]), (2, [16, 8, 4]), (9, [16, 8, 4, 2, 1])]
)
def test_halvings_can_be_set(halvings: int, heights: list[int]) -> None:
    assert sizes_of(16, halvings) == heights


def test_the_first_strides_give_way() -> None:
    built = network(published("MnasNet-A1"), 8)
    strided = [
        place
        for place, layer in enumerate(built.layers)
        if any(isinstance(m, nn.Conv2d) and m.stride == (2, 2) for m in layer.modules())
    ]
    assert strided == [12]  # the first layer of block 6


def layer(skip_op: str, filters: int, stride: int = 1, **changes: Any) -> LayerModule:
    block = MobileBlock("conv", 3, 0.0, skip_op, filters, layers=1, stride=stride)
    architecture = MnasNetArchitecture((replace(block, **changes),), stem_filters=4)
    [plan] = architecture.layers()
    return LayerModule(plan, 4, filters, stride).eval()


def test_an_identity_is_added_where_shapes_agree() -> None:
    x = torch.randn(2, 4, 6, 6)
    same = layer("identity residual", 4)
    torch.testing.assert_close(same(x), same.body(x) + x)
    for other in (layer("identity residual", 8), layer("identity residual", 4, stride=2)):
        torch.testing.assert_close(other(x), other.body(x))


@pytest.mark.parametrize(("filters", "stride"), [(4, 1), (7, 1), (3, 2)])
def test_pooling_is_added_whatever_the_shapes(filters: int, stride: int) -> None:
    x = torch.randn(2, 4, 6, 6)
    pooled = layer("pooling", filters, stride)
    shared = min(4, filters)
    skipped = pooled(x) - pooled.body(x)
    window = x[:, :shared, 1:4, 1:4]  # around pixel 2, output 2 or 1
    place = 2 // stride
    torch.testing.assert_close(skipped[:, :shared, place, place], window.mean(dim=(2, 3)))
    assert not skipped[:, shared:].any()


def test_pooling_does_not_count_padding() -> None:
    skip = PoolingSkip(4, 4, stride=2)
    torch.testing.assert_close(skip(torch.ones(1, 4, 5, 5)), torch.ones(1, 4, 3, 3))
    assert skip(torch.ones(1, 4, 1, 1)).shape == (1, 4, 1, 1)


def test_squeeze_and_excitation_scale_channels() -> None:
    x = torch.randn(2, 4, 6, 6)
    gated = layer("no skip", 4, se_ratio=0.25)
    excitation = gated.body[-1]
    nn.init.zeros_(excitation.excite.weight)  # type: ignore[union-attr, arg-type]
    nn.init.zeros_(excitation.excite.bias)  # type: ignore[union-attr, arg-type]
    torch.testing.assert_close(gated(x), gated.body[:-1](x) / 2)
    assert excitation.squeeze.out_features == 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("width", "divisor", "filters", "scaled"),
    [(1.0, 8, 18, 18), (0.75, 8, 24, 24), (0.5, 8, 24, 16), (1.4, 8, 40, 56), (0.25, 1, 18, 5)],
)
def test_widths_round(width: float, divisor: int, filters: int, scaled: int) -> None:
    assert MnasNetSettings(width=width, divisor=divisor).scaled(filters) == scaled


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"width": 0}, "width: expected a number greater than 0, got 0"),
        ({"width": "1"}, "width: .* got '1'"),
        ({"divisor": 0}, "divisor: .* got 0"),
        ({"head_filters": 0}, "head_filters: .* got 0"),
        ({"halvings": -1}, "halvings: .* got -1"),
        ({"dropout": 1}, "dropout: .* got 1"),
    ],
)
def test_bad_settings(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        MnasNetSettings(**changes)
