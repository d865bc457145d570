"""TuNAS's search spaces, their networks' exact counts, and their drawings."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nas_gym import Architecture, published
from nas_gym.architecture import InvalidArchitecture
from nas_gym.families.tunas.architecture import Bottleneck, TuNASArchitecture
from nas_gym.families.tunas.search_space import TuNASSearchSpace, Variant
from nas_gym.networks import ImageShape, build_network, measure_cost
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.rendering import draw, picture_size, write
from nas_gym.rendering.canvas import MARGIN
from nas_gym.rendering.layout import layout

IMAGENET = ImageShape(3, 224, 224, 1000)
SIZES: dict[Variant, tuple[int, float, float]] = {
    "proxylessnas": (58, 2156489995751704756224, 664506689423701824),
    "proxylessnas_enlarged": (67, 1.392e28, 4.289e24),
    "mobilenet_v3_like": (86, 8.481e42, 2.602e38),
}
"""Decisions, product of their numbers of choices, and sequences of valid choices."""


@pytest.mark.parametrize("variant", SIZES)
def test_sizes(variant: Variant) -> None:
    search_space, (decisions, raw, distinct) = TuNASSearchSpace(variant), SIZES[variant]
    assert len(search_space.decisions) == decisions
    assert math.prod(search_space.num_choices) == pytest.approx(raw, rel=2e-4)
    assert search_space.size == pytest.approx(distinct, rel=2e-4)
    if variant == "proxylessnas":
        assert (math.prod(search_space.num_choices), search_space.size) == (raw, distinct)


@pytest.mark.parametrize("variant", SIZES)
@pytest.mark.parametrize("seed", range(4))
def test_round_trips_and_drawings_of_every_kind_of_prefix(variant: Variant, seed: int) -> None:
    search_space = TuNASSearchSpace(variant)
    choices = search_space.sample(np.random.default_rng(seed))
    made = search_space.decode(choices)
    np.testing.assert_array_equal(search_space.encode(made), choices)
    assert Architecture.from_json(made.to_json()) == made
    size = picture_size(search_space)
    for length in (*range(8), len(choices) // 2, len(choices) - 1, len(choices)):
        assert draw(search_space, choices[:length]).size == size
        assert "stem" in write(search_space, choices[:length])


@pytest.mark.parametrize("variant", SIZES)
def test_a_network_without_zero_layers_fills_its_picture(variant: Variant) -> None:
    search_space = TuNASSearchSpace(variant)
    boxes = layout(search_space, np.zeros(len(search_space.decisions), dtype=np.int64)).boxes
    assert len(boxes) == 24
    assert min(top for _, top, _, _ in boxes) < MARGIN + 10


def test_the_stem_is_written_once_its_kernel_is_decided() -> None:
    search_space = TuNASSearchSpace("mobilenet_v3_like")
    choices = np.array([1, 1, 1, 0])  # 16 filters, 5x5, no separable convolution
    lines = [write(search_space, choices[:step]).splitlines()[1:] for step in range(5)]
    stem = "  stem: 5x5, 16 filters"
    undecided = ["  stem: not decided yet"]
    assert lines == [undecided, undecided, [stem], [stem, "  zero"], [stem, "  zero"]]


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("MobileNetV2 (TuNAS)", (3504872, 300774272)),
        ("MnasNet-B1 (TuNAS)", (4383312, 314415872)),
        ("ProxylessNAS-Mobile (TuNAS)", (4080512, 320427584)),
    ],
)
def test_published_networks_have_their_counts(name: str, counts: tuple[int, int]) -> None:
    made = published(name)
    cost = measure_cost(made, IMAGENET)
    assert (cost.parameters, cost.multiply_adds) == counts
    variant: Variant = "proxylessnas" if "Proxyless" in name else "proxylessnas_enlarged"
    search_space = TuNASSearchSpace(variant)
    assert search_space.decode(search_space.encode(made)) == made


def test_the_form_of_mobilenet_v3_counts_by_hand() -> None:
    layer = Bottleneck(5, 1, squeeze=True)
    made = TuNASArchitecture("mobilenet-v3", 5, 3, (8, 16, 24, 32), ((layer, None, layer),))
    stem = 3 * 8 * 25 + 16 + (8 * 9 + 16 + 8 * 8 + 16)
    first = (8 * 8 + 16 + 8 * 25 + 16) + (8 * 8 + 8 + 8 * 8 + 8) + (8 * 16 + 32)
    second = (16 * 16 + 32 + 16 * 25 + 32) + (16 * 8 + 8 + 8 * 16 + 16) + (16 * 16 + 32)
    head = (16 * 24 + 48) + (24 * 32 + 32) + (32 * 10 + 10)
    cost = measure_cost(made, ImageShape(3, 16, 16, 10))
    assert cost.parameters == stem + first + second + head


def test_zero_layers_make_no_difference() -> None:
    layer = Bottleneck(3, 3)
    stages = ((layer, None, layer), (layer, None))
    made = TuNASArchitecture("mobilenet-v3", 3, None, (8, 8, 16, 24, 32), stages)
    assert made != made.canonical()
    assert made.key == made.canonical().key
    shape = ImageShape(1, 8, 8, 10)
    assert measure_cost(made, shape) == measure_cost(made.canonical(), shape)
    build_network(made, shape, MobileNetworkSettings(width=0.25, divisor=1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "v3"}, "form: 'v3' is not known"),
        ({"kernel": 4}, "kernel: expected an odd size, got 4"),
        ({"separable": None}, "separable: it cannot be left out"),
        ({"filters": [8, 8]}, "filters: expected 4 numbers"),
        ({"filters": [8, 8, 8, 0]}, r"filters\[3\]: expected an integer"),
        ({"stages": []}, "stages: expected at least one"),
        ({"stages": [[None]]}, r"stages\[0\]: the first layer cannot be zero"),
        ({"stages": [[[3, 3]]]}, r"stages\[0\]\[0\]: expected \[kernel, expansion, squeeze\]"),
        ({"stages": [[[3, 0, False]]]}, r"stages\[0\]\[0\].expansion: expected an integer"),
        ({"stages": [[[3, 1, 1]]]}, r"stages\[0\]\[0\].squeeze: expected true or false"),
    ],
)
def test_wrong_parts_are_refused(change: dict[str, object], message: str) -> None:
    sound = TuNASArchitecture("relu", 3, 3, (8, 8, 8, 8), ((Bottleneck(3, 3),),)).to_dict()
    with pytest.raises(InvalidArchitecture, match=message):
        Architecture.from_dict({**sound, **change})


def test_others_are_not_in_the_search_space() -> None:
    small = TuNASArchitecture("relu", 3, 3, (8, 8, 8, 8), ((Bottleneck(3, 3),),))
    with pytest.raises(InvalidArchitecture, match="it is not in TuNAS proxylessnas; expected"):
        TuNASSearchSpace().encode(small)
    with pytest.raises(InvalidArchitecture, match="stage_5/filters: 96 is not in TuNAS mob"):
        TuNASSearchSpace("mobilenet_v3_like").encode(published("MobileNetV2 (TuNAS)"))
