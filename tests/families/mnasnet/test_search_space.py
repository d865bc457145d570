"""MnasNet's search space: its decisions, what is in it, and which choices are the same network."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Architecture, InvalidArchitecture, published
from nas_gym.families.mnasnet.search_space import (
    MnasNetArchitecture,
    MnasNetSearchSpace,
    MobileBlock,
)
from tests.helpers import sequences

SEARCH_SPACE = MnasNetSearchSpace()
BLOCK = MobileBlock("MBConv3", 3, 0.25, "identity residual", filters=32, layers=1, stride=1)


def mobile(name: str) -> MnasNetArchitecture:
    architecture = published(name)
    assert isinstance(architecture, MnasNetArchitecture)
    return architecture


def test_decisions_are_the_papers() -> None:
    assert len(SEARCH_SPACE.decisions) == 42
    assert [decision.name for decision in SEARCH_SPACE.decisions[6:12]] == [
        "block_2/ConvOp",
        "block_2/KernelSize",
        "block_2/SERatio",
        "block_2/SkipOp",
        "block_2/F",
        "block_2/N",
    ]
    assert [decision.choices for decision in SEARCH_SPACE.decisions[:6]] == [
        ("conv", "dconv", "MBConv3", "MBConv6"),
        ("3x3", "5x5"),
        ("0", "0.25"),
        ("pooling", "identity residual", "no skip"),
        ("0.75", "1.0", "1.25"),
        ("0", "+1", "-1"),
    ]


def test_a_block_has_the_published_432_choices() -> None:
    assert np.prod(SEARCH_SPACE.num_choices[:6]) == 432
    assert SEARCH_SPACE.size == 432**7


def test_the_centre_is_mobilenet_v2() -> None:
    centre = [3, 0, 0, 1, 1, 0] * 7
    centre[0] = 1  # its first block does not expand
    assert SEARCH_SPACE.decode(centre) == mobile("MobileNetV2")
    np.testing.assert_array_equal(SEARCH_SPACE.encode(mobile("MobileNetV2")), centre)


@pytest.mark.parametrize(
    ("name", "block", "filters", "nearest", "says"),
    [
        ("MnasNet-A1", 4, 112, 120, r"blocks\[4\].filters: 112 .* 72, 96, 120"),
        ("MnasNet-B1", 5, 192, 200, r"blocks\[5\].filters: 192 .* 120, 160, 200"),
    ],
)
def test_a1_and_b1_miss_the_search_space_by_one_blocks_filters(
    name: str, block: int, filters: int, nearest: int, says: str
) -> None:
    architecture = mobile(name)
    with pytest.raises(InvalidArchitecture, match=says):
        SEARCH_SPACE.encode(architecture)
    blocks = list(architecture.blocks)
    assert blocks[block].filters == filters
    blocks[block] = replace(blocks[block], filters=nearest)
    near = replace(architecture, blocks=tuple(blocks))
    assert SEARCH_SPACE.decode(SEARCH_SPACE.encode(near)) == near


def test_other_skeletons_are_not_in_it() -> None:
    with pytest.raises(InvalidArchitecture, match=r"stem_filters: 8 .* expected 32"):
        SEARCH_SPACE.encode(mobile("MnasNet-small"))
    with pytest.raises(InvalidArchitecture, match=r"strides: \(1,\) .* expected \(1, 2, 2, 2, 1"):
        SEARCH_SPACE.encode(MnasNetArchitecture((BLOCK,)))


@given(choices=sequences(SEARCH_SPACE))
def test_architectures_survive_json(choices: np.ndarray[Any, np.dtype[np.int64]]) -> None:
    architecture = SEARCH_SPACE.decode(choices)
    for one in (architecture, architecture.canonical()):
        assert Architecture.from_json(one.to_json()) == one


@given(choices=sequences(SEARCH_SPACE))
def test_canonical_is_idempotent_and_has_the_same_layers(
    choices: np.ndarray[Any, np.dtype[np.int64]],
) -> None:
    architecture = SEARCH_SPACE.decode(choices)
    canonical = architecture.canonical()
    assert canonical.canonical() == canonical

    def facts(one: MnasNetArchitecture) -> list[tuple[object, ...]]:
        return [
            (replace(layer.block, skip_op="no skip"), layer.channels, layer.stride, layer.skip_op)
            for layer in one.layers()
        ]

    assert facts(canonical) == facts(architecture)


@given(data=st.data())
def test_an_identity_that_no_layer_can_have_is_no_skip(data: st.DataObject) -> None:
    choices = data.draw(sequences(SEARCH_SPACE))
    choices[[3, 4, 5]] = 1, 1, 0  # block 1: one layer, from 32 filters to 16
    other = choices.copy()
    other[3] = 2
    assert SEARCH_SPACE.decode(choices).key == SEARCH_SPACE.decode(other).key
    other[3] = 0
    assert SEARCH_SPACE.decode(choices).key != SEARCH_SPACE.decode(other).key


def test_a_block_without_layers_is_left_out_whatever_else_it_has() -> None:
    keys = set()
    for seed in range(10):
        choices = SEARCH_SPACE.sample(np.random.default_rng(seed))
        choices[6:] = 0
        choices[5] = 2
        keys.add(SEARCH_SPACE.decode(choices).key)
    assert len(keys) == 1


def test_only_the_first_layer_of_a_block_changes_size_and_filters() -> None:
    layers = mobile("MnasNet-A1").layers()
    assert len(layers) == 16
    assert [layer.stride for layer in layers].count(2) == 4
    assert [layer.channels for layer in layers[:4]] == [32, 16, 24, 24]
    assert [layer.skip_op for layer in layers[:4]] == [
        "no skip",
        "no skip",
        "identity residual",
        "no skip",
    ]


def test_equal_blocks_in_one_network_are_told_apart() -> None:
    architecture = MnasNetArchitecture((BLOCK, BLOCK), stem_filters=16)
    skips = [block.skip_op for block in architecture.canonical().blocks]
    assert skips == ["no skip", "identity residual"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"conv_op": "MBConv4"}, r"blocks\[1\].conv_op: 'MBConv4' is not known; did you mean"),
        ({"skip_op": "identity"}, "skip_op: 'identity' is not known"),
        ({"kernel_size": 4}, "kernel_size: expected an odd size, got 4"),
        ({"se_ratio": 2}, "se_ratio: expected a number from 0 to 1, got 2"),
        ({"filters": 0}, "filters: expected an integer from 1 to 65,536, got 0"),
        ({"layers": -1}, "layers: expected an integer from 0 to 256, got -1"),
        ({"stride": 3}, "stride: expected an integer from 1 to 2, got 3"),
        ({"width": 3}, "unknown width"),
    ],
)
def test_mistakes_in_json_say_where(changes: dict[str, Any], says: str) -> None:
    data = json.loads(mobile("MnasNet-A1").to_json())
    data["blocks"][1].update(changes)
    with pytest.raises(InvalidArchitecture, match=says):
        Architecture.from_dict(data)


def test_a_network_needs_a_layer_and_a_stem() -> None:
    with pytest.raises(InvalidArchitecture, match="layers in all: expected an integer from 1"):
        MnasNetArchitecture((replace(BLOCK, layers=0),))
    with pytest.raises(InvalidArchitecture, match=r"stem_filters: .* got 0"):
        MnasNetArchitecture((BLOCK,), stem_filters=0)


def test_equal_values_have_one_json_text() -> None:
    one, other = (MnasNetArchitecture((replace(BLOCK, se_ratio=zero),)) for zero in (0, 0.0))
    assert one.to_json() == other.to_json()
