"""Texts and pictures of ENAS's macro networks."""

import numpy as np
import pytest

from nas_gym import ENASMacroSearchSpace, published
from nas_gym.families.enas.macro_search_space import ENASMacroArchitecture, MacroLayer
from nas_gym.rendering import draw, overlaps, picture_size, write
from nas_gym.rendering.layout import layout


def test_text() -> None:
    architecture = ENASMacroArchitecture.from_arc("0  3 1  5 0 1  2 1 0 1")
    assert write(architecture).splitlines() == [
        "  layer_1 = conv_3x3 of stem",
        "  reduction of every output to half its size",
        "  layer_2 = separable_conv_5x5 of layer_1; skips from stem",
        "  reduction of every output to half its size",
        "  layer_3 = max_pooling of layer_2; skips from layer_1",
        "  layer_4 = conv_5x5 of layer_3; skips from stem, layer_2",
    ]


def test_text_of_an_episode_says_how_far_it_is() -> None:
    search_space = ENASMacroSearchSpace(4)
    lines = write(search_space, np.array([0, 3, 1, 5])).splitlines()
    assert lines[0] == "ENASMacro: 4 of 10 decisions, next: layer_3/skip_1"
    assert lines[-1] == "  layer_3 = max_pooling of layer_2"


@pytest.mark.parametrize("layers", [1, 2, 3, 12, 24, 60])
@pytest.mark.parametrize("skip", [0, 1])
def test_extreme_networks_are_laid_out_well(layers: int, skip: int) -> None:
    search_space = ENASMacroSearchSpace(layers)
    choices = np.array([skip if n == 2 else 3 for n in search_space.num_choices])
    assert overlaps(search_space, choices) == []
    assert draw(search_space, choices).size == picture_size(search_space)


def test_every_step_of_an_episode_is_laid_out_well() -> None:
    search_space = ENASMacroSearchSpace()
    for seed in range(5):
        choices = search_space.sample(np.random.default_rng(seed))
        for step in range(len(choices) + 1):
            assert overlaps(search_space, choices[:step]) == []


def test_layers_are_named_from_the_bottom_to_the_top() -> None:
    texts = layout(published("ENAS-macro")).texts
    names = [text for text, _ in sorted(texts, key=lambda item: -item[1][1])]
    assert names[:3] == ["stem: 3x3 convolution", "1   conv_3x3", "2   separable_conv_5x5"]
    assert names[9] == names[18] == "reduction of every output to half its size"
    assert names[-2:] == ["24   conv_3x3", "classifier"]


@pytest.mark.parametrize(("taker", "source"), [(3, 0), (3, 1), (12, 0), (12, 9), (12, 10)])
def test_every_skip_is_seen(taker: int, source: int) -> None:
    layers = [MacroLayer("conv_3x3")] * 12
    plain = np.asarray(draw(ENASMacroArchitecture(tuple(layers))))
    layers[taker - 1] = MacroLayer("conv_3x3", (source,))
    skipping = np.asarray(draw(ENASMacroArchitecture(tuple(layers))))
    rows, columns = np.nonzero((plain != skipping).any(axis=2))
    assert len(rows) > 200
    left = columns < 300
    assert left.all() if source % 2 == 0 else not left.any()
