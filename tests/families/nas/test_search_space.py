"""NAS's search space: its decisions, sizes, depth schedule, and which chains are the same network.

Figures: Zoph & Le 2017, https://arxiv.org/abs/1611.01578, sections 3 and 4.1. No size is published;
those here follow from the choices.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Architecture, InvalidArchitecture, InvalidSettings, NASSearchSpace
from nas_gym.search_spaces import ChainArchitecture, Convolution, MaxPooling
from nas_gym.search_spaces.chains import Layer


def conv(*inputs: int, size: int = 3, filters: int = 24) -> Convolution:
    return Convolution(
        filter_height=size, filter_width=size, number_of_filters=filters, inputs=inputs
    )


def renumbered(architecture: ChainArchitecture, order: list[int]) -> ChainArchitecture:
    """The same network whose first layer is layer ``order[0]`` of the one given, and so on."""
    place = {number: new for new, number in enumerate(order, start=1)}
    layers = [architecture.layers[number - 1] for number in order]
    inputs = [tuple(sorted(place[source] for source in layer.inputs)) for layer in layers]
    pairs = zip(layers, inputs, strict=True)
    return ChainArchitecture(tuple(replace(layer, inputs=taken) for layer, taken in pairs))


def random_order(architecture: ChainArchitecture, rng: np.random.Generator) -> list[int]:
    """The layers' numbers in a random order in which each comes after what it takes."""
    order: list[int] = []
    while len(order) < len(architecture.layers):
        ready = [
            number
            for number, layer in enumerate(architecture.layers, start=1)
            if number not in order and set(layer.inputs) <= set(order)
        ]
        order.append(int(rng.choice(ready)))
    return order


def sparse_chain(seed: int, layers: int = 7) -> ChainArchitecture:
    """A chain with few skips and few distinct choices, in which much may be renumbered."""
    rng = np.random.default_rng(seed)
    chosen: list[Layer] = []
    for number in range(1, layers + 1):
        inputs = tuple(source for source in range(1, number) if rng.random() < 0.3)
        chosen.append(conv(*inputs, size=int(rng.choice([1, 3]))))
    return ChainArchitecture(tuple(chosen))


@pytest.mark.parametrize(
    ("arguments", "decisions"),
    [
        ({"layers": 6}, 33),
        ({"layers": 6, "strides": True}, 45),
        ({"layers": 15}, 150),
        ({"layers": 20, "strides": True}, 290),
        ({"layers": 39, "pooling_layers": [13, 24]}, 3 * 37 + 39 * 38 // 2),
    ],
)
def test_numbers_of_decisions(arguments: dict[str, Any], decisions: int) -> None:
    assert len(NASSearchSpace(**arguments).decisions) == decisions


def test_sizes() -> None:
    fifteen = 50216813883093446110686315385661331328818843555712276103168
    assert NASSearchSpace(15).size == fifteen
    assert NASSearchSpace(15, strides=True).size == fifteen * 9**15
    assert NASSearchSpace(15, filters=[24, 36]).size == fifteen // 2**15
    assert NASSearchSpace(15, pooling_layers=[13]).size == fifteen // 64


def test_decisions_of_a_layer_come_in_the_papers_order() -> None:
    search_space = NASSearchSpace(3, strides=True)
    labels = {d.name: d.choices for d in search_space.decisions if d.name.startswith("layer_3/")}
    sizes, strides, skips = ("1", "3", "5", "7"), ("1", "2", "3"), ("not an input", "an input")
    assert list(labels.items()) == [
        ("layer_3/filter_height", sizes),
        ("layer_3/filter_width", sizes),
        ("layer_3/stride_height", strides),
        ("layer_3/stride_width", strides),
        ("layer_3/number_of_filters", ("24", "36", "48", "64")),
        ("layer_3/anchor_point/layer_1", skips),
        ("layer_3/anchor_point/layer_2", skips),
    ]


def test_every_choice_means_what_its_label_says() -> None:
    search_space = NASSearchSpace(3, strides=True, pooling_layers=[2])
    made = [3, 0, 2, 1, 2, 1, 1, 2, 0, 1, 0, 0, 1]
    first = Convolution(
        filter_height=7, filter_width=1, stride_height=3, stride_width=2, number_of_filters=48
    )
    third = Convolution(
        filter_height=3,
        filter_width=5,
        stride_height=1,
        stride_width=2,
        number_of_filters=24,
        inputs=(2,),
    )
    architecture = search_space.decode(made)
    assert architecture == ChainArchitecture((first, MaxPooling(inputs=(1,)), third))
    assert architecture.loose_ends == (3,)


def test_loose_ends_are_the_outputs_that_no_layer_takes() -> None:
    assert ChainArchitecture((conv(), conv(1), conv(1), conv())).loose_ends == (2, 3, 4)
    assert ChainArchitecture((conv(), conv(1), conv(1, 2))).loose_ends == (3,)


def test_the_depth_schedule_is_the_papers() -> None:
    search_space = NASSearchSpace(20, depth_schedule=(6, 2, 1600))
    depths = {}
    for samples in (0, 1, 1599, 1600, 3199, 3200, 11_199, 11_200, 12_800, 10**6):
        stage = search_space.stage(samples)
        assert isinstance(stage, NASSearchSpace)
        assert stage.decisions == search_space.decisions
        depths[samples] = stage.depth
        assert len(stage.decode(stage.sample(np.random.default_rng(0))).layers) == stage.depth
    assert list(depths.values()) == [6, 6, 6, 8, 8, 10, 18, 20, 20, 20]
    assert search_space.stage(1).stage(1600) is search_space.stage(1601)
    assert search_space.stage(0).size == NASSearchSpace(6).size
    assert search_space.size == search_space.stage(12_800).size == NASSearchSpace(20).size


def test_layers_that_do_not_exist_yet_have_one_valid_choice() -> None:
    stage = NASSearchSpace(4, strides=True, depth_schedule=(2, 1, 10)).stage(0)
    choices = stage.sample(np.random.default_rng(3))
    for step, decision in enumerate(stage.decisions):
        exists = decision.name.startswith(("layer_1/", "layer_2/"))
        expected = len(decision.choices) if exists else 1
        assert stage.action_mask(choices[:step]).sum() == expected
    with pytest.raises(InvalidArchitecture, match=r"layer_3/filter_height.*valid choices: 0$"):
        stage.decode([*choices[:11], 1, *choices[12:]])


def test_a_stage_refuses_other_depths() -> None:
    search_space = NASSearchSpace(4, depth_schedule=(2, 1, 10))
    two = ChainArchitecture((conv(), conv(1)))
    assert search_space.stage(0).encode(two).tolist() == [1, 1, 0, 1, 1, 0, 1, *[0] * 11]
    with pytest.raises(InvalidArchitecture, match="2 are given; this search space has 4"):
        search_space.encode(two)


@given(seed=st.integers(0, 10**6))
def test_chains_renumbered_have_one_key(seed: int) -> None:
    architecture = sparse_chain(seed)
    other = renumbered(architecture, random_order(architecture, np.random.default_rng(seed)))
    assert other.key == architecture.key


@given(seed=st.integers(0, 10**6))
def test_the_canonical_chain_is_a_renumbering(seed: int) -> None:
    architecture = sparse_chain(seed, layers=5)
    canonical = architecture.canonical()
    assert canonical.canonical() == canonical
    orders = all_orders(architecture)
    assert canonical in [renumbered(architecture, order) for order in orders]


def all_orders(architecture: ChainArchitecture) -> list[list[int]]:
    """Every order of the layers in which each comes after what it takes."""
    orders: list[list[int]] = [[]]
    for _ in architecture.layers:
        orders = [
            [*order, number]
            for order in orders
            for number, layer in enumerate(architecture.layers, start=1)
            if number not in order and set(layer.inputs) <= set(order)
        ]
    return orders


def test_renumbering_is_found_in_most_chains_and_unlike_ones_stay_unlike() -> None:
    architectures = [sparse_chain(seed) for seed in range(100)]
    assert sum(a.canonical() != a for a in architectures) > 50
    wider = [ChainArchitecture((conv(size=7), *a.layers[1:])) for a in architectures]
    assert not {a.key for a in architectures} & {a.key for a in wider}
    two_images = ChainArchitecture((conv(), conv(), conv(1, 2)))
    one_after_the_other = ChainArchitecture((conv(), conv(1), conv(2)))
    assert two_images.key != one_after_the_other.key


def test_json_round_trip() -> None:
    architecture = ChainArchitecture((conv(), MaxPooling(inputs=(1,)), conv(1, 2, size=5)))
    assert Architecture.from_json(architecture.to_json()) == architecture
    assert architecture.to_dict()["layers"][1:] == [
        {"type": "max pooling", "inputs": [1]},
        {
            "type": "convolution",
            "filter_height": 5,
            "filter_width": 5,
            "stride_height": 1,
            "stride_width": 1,
            "number_of_filters": 24,
            "inputs": [1, 2],
        },
    ]


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((), "expected at least one"),
        ((conv(1),), r"layers\[0\].inputs: \[1\]"),
        ((conv(), conv(2)), r"layers\[1\].inputs: \[2\] are not .* 1 to below 2"),
        ((conv(), conv(0)), r"layers\[1\].inputs: \[0\]"),
        ((conv(), conv(1), conv(2, 1)), r"layers\[2\].inputs: \[2, 1\]"),
        ((conv(), conv(1, 1)), r"layers\[1\].inputs: \[1, 1\]"),
        ((conv(), MaxPooling(inputs=(3,))), r"layers\[1\].inputs: \[3\]"),
        ((conv(size=2),), r"layers\[0\].filter_height: expected an odd number, got 2"),
        ((conv(filters=0),), r"layers\[0\].number_of_filters: .* got 0"),
        ((replace(conv(), stride_width=0),), r"layers\[0\].stride_width: .* got 0"),
    ],
)
def test_bad_chains(layers: tuple[Layer, ...], says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        ChainArchitecture(layers)


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        ({"inputs": []}, r"layers\[0\].type: None is not known; valid choices: 'convolution'"),
        ({"type": ["convolution"], "inputs": []}, r"layers\[0\].type: \['convolution'\] is not"),
        ({"type": "max pooling"}, r"layers\[0\]: missing inputs"),
        ({"type": "max pooling", "inputs": 3}, r"layers\[0\].inputs: expected a list"),
        ({"type": "max pooling", "inputs": ["1"]}, r"layers\[0\].inputs: \['1'\]"),
        ({"type": "max pooling", "inputs": [[]]}, r"layers\[0\].inputs: \[\[\]\]"),
        (3, r"layers\[0\]: expected an object"),
    ],
)
def test_bad_json(layer: object, says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        Architecture.from_dict({"version": 1, "kind": "chain", "layers": [layer]})


@pytest.mark.parametrize(
    ("layer", "says"),
    [
        (conv(size=9), r"layers\[0\].filter_height: 9 is not in .* 1, 3, 5, 7"),
        (conv(filters=20), r"layers\[0\].number_of_filters: 20 is not in"),
        (replace(conv(), stride_width=2), r"layers\[0\]: its strides are 1 and 2; .*strides=True"),
        (MaxPooling(), r"layers\[0\].type: 'max pooling' .* layer 1 is 'convolution'"),
    ],
)
def test_chains_outside_the_search_space(layer: Layer, says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        NASSearchSpace(1).encode(ChainArchitecture((layer,)))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"layers": 0}, "layers: .* greater than or equal to 1, got 0"),
        ({"strides": 1}, "strides: expected a valid boolean"),
        ({"filters": []}, "filters: the list is empty"),
        ({"filters": 24}, "filters: expected a list"),
        ({"filters": [24, 24]}, "filters: 24 stands twice"),
        ({"filters": [24, 0]}, "filters.1: .* greater than or equal to 1, got 0"),
        ({"pooling_layers": [7]}, "pooling_layers: 7 is more than layers, 6"),
        ({"pooling_layers": "13"}, "pooling_layers: expected a list"),
        ({"layers": 1, "pooling_layers": [1]}, "leave at least one convolution"),
        ({"depth_schedule": 6}, "depth_schedule: expected a list, got 6"),
        ({"depth_schedule": [6, 2]}, r"depth_schedule: expected \(start, step, samples\)"),
        ({"depth_schedule": [6, 0, 1600]}, "depth_schedule.1: .* greater than or equal to 1"),
        ({"depth_schedule": [8, 2, 1600]}, "starts at 8 layers; layers is only 6"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        NASSearchSpace(**arguments)
