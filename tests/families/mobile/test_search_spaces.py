"""The search spaces of Once-for-All and ProxylessNAS: sizes, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from nas_gym import (
    InvalidSettings,
    MobileArchitecture,
    OFASearchSpace,
    ProxylessNASSearchSpace,
    published,
)
from nas_gym.architecture import InvalidArchitecture
from nas_gym.rendering import draw, overlaps, picture_size, write
from nas_gym.rendering.layout import layout

SPACES = [
    OFASearchSpace(),
    OFASearchSpace(filter_width=1.2, resolutions=(160, 224)),
    ProxylessNASSearchSpace(),
]


def test_sizes_are_the_papers() -> None:
    assert [each.size for each in SPACES] == [7371**5, 2 * 7371**5, 6**6 * 7**15]
    assert [len(each.decisions) for each in SPACES] == [45, 46, 21]


@pytest.mark.parametrize("search_space", SPACES)
@pytest.mark.parametrize("seed", range(5))
def test_every_prefix_is_drawn(
    search_space: OFASearchSpace | ProxylessNASSearchSpace, seed: int
) -> None:
    choices = search_space.sample(np.random.default_rng(seed))
    np.testing.assert_array_equal(search_space.encode(search_space.decode(choices)), choices)
    size = picture_size(search_space)
    for length in (0, 1, 2, len(choices) // 2, len(choices)):
        assert draw(search_space, choices[:length]).size == size
        assert "stem" in write(search_space, choices[:length])
    texts = [text for text, _ in layout(search_space, choices).texts]
    assert texts[0].startswith("stem, ")
    assert texts[-1] == f"head, {search_space.decode(choices).head} features"
    assert overlaps(search_space, choices) == []


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("flops@389M_top1@79.1_finetune@75", 1.2),
        ("note10_lat@30ms_top1@78.4_finetune@75", 1.2),
        ("pixel1_lat@58ms_top1@76.9_finetune@75", 1.0),
    ],
)
def test_specialized_networks_are_in_once_for_alls(name: str, width: float) -> None:
    architecture = published(name)
    assert isinstance(architecture, MobileArchitecture)
    assert architecture.resolution is not None
    search_space = OFASearchSpace(width, (architecture.resolution,))
    assert search_space.decode(search_space.encode(architecture)) == architecture
    with pytest.raises(InvalidArchitecture, match="not in the Once-for-All search space"):
        OFASearchSpace(0.5, (architecture.resolution,)).encode(architecture)
    with pytest.raises(InvalidArchitecture, match="resolution: expected one of 100"):
        OFASearchSpace(width, (100,)).encode(architecture)


def test_zero_is_in_every_layer_but_a_stages_first() -> None:
    labels = [decision.choices for decision in SPACES[2].decisions]
    assert ["zero" in each for each in labels] == [False, True, True, True] * 5 + [False]
    with pytest.raises(InvalidArchitecture, match="not in the ProxylessNAS search space"):
        SPACES[2].encode(published("ProxylessNAS-Mobile"))  # its first stage is wider


def test_bad_arguments() -> None:
    with pytest.raises(InvalidSettings, match="filter_width"):
        OFASearchSpace(filter_width=0)
    with pytest.raises(InvalidSettings, match=r"filter_width: at 0\.15, stages 3 and 4 both"):
        OFASearchSpace(filter_width=0.15)
    with pytest.raises(InvalidSettings, match=r"filter_width: at 60\.0, the head has 76,800 f"):
        OFASearchSpace(filter_width=60.0)
    with pytest.raises(InvalidSettings, match="resolutions"):
        OFASearchSpace(resolutions=(0,))
