"""NAS-Bench-201's search space: its size, its strings, its isomorphism classes.

Figures: Dong & Yang 2020, https://arxiv.org/abs/2001.00326, section 2.1. The classes are compared
with the released table, where it is in NAS_GYM_DATA.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nas_gym import InvalidArchitecture, NASBench201SearchSpace, published
from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.search_space import (
    NASBENCH201_OPERATIONS,
    NASBench201Architecture,
)

BEST = (
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|"
    "+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
)


def every_cell() -> list[NASBench201Architecture]:
    return [
        NASBench201Architecture(operations)
        for operations in itertools.product(NASBENCH201_OPERATIONS, repeat=6)
    ]


def test_decisions_are_the_papers() -> None:
    search_space = NASBench201SearchSpace()
    assert [decision.name for decision in search_space.decisions] == [
        "edge 1<-0",
        "edge 2<-0",
        "edge 2<-1",
        "edge 3<-0",
        "edge 3<-1",
        "edge 3<-2",
    ]
    assert search_space.decisions[0].choices == (
        "none",
        "skip_connect",
        "nor_conv_1x1",
        "nor_conv_3x3",
        "avg_pool_3x3",
    )
    assert search_space.size == 15_625


def test_there_are_6466_distinct_cells() -> None:
    assert len({architecture.key for architecture in every_cell()}) == 6_466


def test_canonical_is_idempotent_and_one_of_its_class() -> None:
    for architecture in every_cell()[::97]:
        canonical = architecture.canonical()
        assert canonical.canonical() == canonical
        assert canonical.key == architecture.key


def test_classes_are_those_of_the_released_table() -> None:
    path = data_folder() / "nasbench201_cifar10.npz"
    if not path.is_file():
        pytest.skip(f"missed {path}")
    with np.load(path, allow_pickle=False) as table:
        strings, classes = table["arch_str"], table["iso_class"].tolist()
    keys = [NASBench201Architecture.from_string(text.decode()).key for text in strings]
    assert len(set(zip(keys, classes, strict=True))) == len(set(keys)) == len(set(classes))


def test_strings_round_trip() -> None:
    assert NASBench201Architecture.from_string(BEST) == published("NAS-Bench-201-best")
    for architecture in every_cell()[::97]:
        assert NASBench201Architecture.from_string(architecture.to_string()) == architecture


def test_edges_are_not_confused() -> None:
    search_space = NASBench201SearchSpace()
    assert search_space.decode(np.array([3, 3, 3, 1, 3, 2])).to_string() == BEST


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "expected"),
        (BEST.replace("~2|", "~1|"), "expected"),
        (BEST.replace("nor_conv_1x1", "conv"), "'conv' is not known"),
    ],
)
def test_bad_strings(text: str, says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        NASBench201Architecture.from_string(text)


def test_too_few_operations() -> None:
    with pytest.raises(InvalidArchitecture, match="expected 6"):
        NASBench201Architecture(("none",) * 5)
