"""Texts and pictures of graphs whose vertices have operations."""

from __future__ import annotations

import numpy as np
from hypothesis import given

from nas_gym import NASBench101SearchSpace, published
from nas_gym.rendering import draw, overlaps, write
from nas_gym.rendering.layout import layout
from nas_gym.search_spaces import Choices
from tests.helpers import sequences

SEARCH_SPACE = NASBench101SearchSpace()


def test_text_of_the_inception_like_cell() -> None:
    assert write(published("NAS-Bench-101-Inception")).splitlines() == [
        "  vertex 1 = conv1x1-bn-relu of 0",
        "  vertex 2 = conv3x3-bn-relu of 0",
        "  vertex 3 = conv3x3-bn-relu of 0",
        "  vertex 4 = conv3x3-bn-relu of 3",
        "  vertex 5 = maxpool3x3 of 0",
        "  output = concatenation of 1, 2, 4, 5",
    ]


def test_text_tells_what_is_undecided_and_what_is_unused() -> None:
    edges = [1, 1, 0, 0, 0, 1, *[0] * 4, 1, *[0] * 3, 1, *[0] * 6]  # 0->1, 0->2, 0->6, 1->6, 2->6
    choices = np.array([*edges, 0, 2])
    assert write(SEARCH_SPACE, choices[:10]).splitlines() == [
        "NASBench101: 10 of 26 decisions, next: edge (1,6)",
        "  vertex 1 = ? of 0",
        "  vertex 2 = ? of 0",
        "  vertex 3 = ? of nothing",
        "  vertex 4 = ? of nothing",
        "  vertex 5 = ? of nothing",
        "  output = concatenation of nothing + 0",
    ]
    assert write(SEARCH_SPACE, choices).splitlines()[1:] == [
        "  vertex 1 = conv3x3-bn-relu of 0",
        "  vertex 2 = maxpool3x3 of 0",
        "  vertex 3 = ? of nothing (unused)",
        "  vertex 4 = ? of nothing (unused)",
        "  vertex 5 = ? of nothing (unused)",
        "  output = concatenation of 1, 2 + 0",
    ]


@given(choices=sequences(SEARCH_SPACE))
def test_no_texts_and_no_boxes_overlap_at_any_step(choices: Choices) -> None:
    for step in range(27):
        assert overlaps(SEARCH_SPACE, choices[:step]) == []
    canvas = layout(SEARCH_SPACE, choices)
    assert len(canvas.boxes) == 7
    assert overlaps(SEARCH_SPACE.decode(choices)) == []
    assert overlaps(SEARCH_SPACE.decode(choices).pruned()) == []


def test_an_edge_changes_the_picture() -> None:
    choices = SEARCH_SPACE.sample(np.random.default_rng(0))
    empty = np.asarray(draw(SEARCH_SPACE, choices[:0]))
    for edge in range(21):
        prefix = np.zeros(edge + 1, dtype=np.int64)
        prefix[edge] = 1
        assert (np.asarray(draw(SEARCH_SPACE, prefix)) != empty).any()
