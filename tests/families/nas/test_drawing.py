"""Texts and pictures of chains with skip connections."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import NASSearchSpace
from nas_gym.families.nas.drawing import draw as draw_sketch
from nas_gym.rendering import draw, overlaps, picture_size, write
from nas_gym.rendering.layout import LayoutCanvas, layout
from nas_gym.search_spaces import ChainArchitecture, Choices, Convolution
from tests.helpers import sequences

SEARCH_SPACES = {
    "one layer": NASSearchSpace(1),
    "6": NASSearchSpace(6),
    "strides and pooling": NASSearchSpace(15, True, pooling_layers=[3, 8]),
    "a stage": NASSearchSpace(9, depth_schedule=(4, 2, 10)).stage(10),
    "40": NASSearchSpace(40, strides=True),
}


class LinesCanvas(LayoutCanvas):
    """Remembers lines and curves too."""

    def __init__(self, width: int, height: int) -> None:
        super().__init__(width, height)
        self.verticals: list[tuple[float, float, float]] = []
        """(x, top, bottom) of each."""
        self.bends = 0
        self.arrows: list[tuple[float, float]] = []

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        if start[0] == end[0]:
            self.verticals.append((start[0], min(start[1], end[1]), max(start[1], end[1])))

    def rise(self, *arguments: Any, **more: Any) -> None:
        super().rise(*arguments, **more)
        self.arrows.append(arguments[1])

    def curve(
        self, controls: Sequence[tuple[float, float]], colour: str, arrow: bool = False
    ) -> None:
        if arrow:
            self.arrows.append(controls[3])
        else:
            self.bends += 1


def lines_of(architecture: ChainArchitecture) -> LinesCanvas:
    canvas = draw_sketch(architecture.sketch(), LinesCanvas)
    assert isinstance(canvas, LinesCanvas)
    return canvas


def chain(*inputs: tuple[int, ...]) -> ChainArchitecture:
    return ChainArchitecture(
        tuple(
            Convolution(filter_height=3, filter_width=3, number_of_filters=24, inputs=taken)
            for taken in inputs
        )
    )


def with_skips(search_space: NASSearchSpace, share: float) -> Choices:
    """Choices under which about a ``share`` of all skips exist."""
    rng = np.random.default_rng(0)
    choices = search_space.sample(rng)
    for step, decision in enumerate(search_space.decisions):
        if "anchor_point" in decision.name:
            choices[step] = rng.random() < share
    return choices


def test_text_of_a_chain() -> None:
    search_space = NASSearchSpace(3, strides=True, pooling_layers=[2])
    assert write(search_space.decode([3, 0, 2, 1, 2, 0, 1, 2, 0, 0, 3, 1, 1])).splitlines() == [
        "  layer 1: 7x1 conv, stride 3x2, 48 filters of the image",
        "  layer 2: max pooling of the image",
        "  layer 3: 3x5 conv, 64 filters of layers 1, 2",
        "  classifier of layer 3",
    ]


def test_text_of_an_episode_says_what_is_not_decided_yet() -> None:
    search_space = NASSearchSpace(3)
    choices = np.array([0, 1, 2, 3, 2, 1, 1, 0, 0, 0, 1, 0])
    head = "NAS: {} of 12 decisions, next: {}"
    first = "  layer 1: 1x3 conv, 48 filters of the image"
    begun = "  layer 2: 7x5 conv, 36 filters"
    second = f"{begun} of layer 1"
    third = "  layer 3: 1x1 conv, 24 filters of layer 1"
    expected = {
        0: [head.format(0, "layer_1/filter_height")],
        1: [head.format(1, "layer_1/filter_width"), "  layer 1: 1x? conv, ? filters"],
        3: [head.format(3, "layer_2/filter_height"), first],
        6: [head.format(6, "layer_2/anchor_point/layer_1"), first, begun],
        7: [head.format(7, "layer_3/filter_height"), first, second],
        11: [head.format(11, "layer_3/anchor_point/layer_2"), first, second, third],
        12: ["NAS: 12 of 12 decisions", first, second, third, "  classifier of layers 2, 3"],
    }
    for step, lines in expected.items():
        assert write(search_space, choices[:step]).splitlines() == lines


def test_text_of_a_stage_ends_with_its_last_layer() -> None:
    stage = NASSearchSpace(4, depth_schedule=(2, 2, 10)).stage(0)
    choices = stage.sample(np.random.default_rng(0))
    assert len(write(stage, choices).splitlines()) == 1 + 2 + 1


@given(data=st.data(), name=st.sampled_from(sorted(SEARCH_SPACES)))
def test_no_texts_and_no_boxes_overlap(data: st.DataObject, name: str) -> None:
    search_space = SEARCH_SPACES[name]
    choices = data.draw(sequences(search_space))
    prefix = choices[: data.draw(st.integers(0, len(choices)))]
    assert overlaps(search_space, prefix) == []
    assert overlaps(search_space.decode(choices)) == []


@pytest.mark.parametrize("layers", [1, 2, 15, 40])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_lanes_keep_apart_and_beside_the_chain(layers: int, share: float) -> None:
    search_space = NASSearchSpace(layers, strides=True)
    canvas = lines_of(search_space.decode(with_skips(search_space, share)))
    edges = {(box[0], box[2]) for box in canvas.boxes}
    assert len(edges) == 1
    [(left, right)] = edges
    by_place = defaultdict(list)
    for x, top, bottom in canvas.verticals:
        assert 0 < x < left - 10 or right + 10 < x < canvas.width
        by_place[x].append((top, bottom))
    for spans in by_place.values():
        for (_, bottom), (top, _) in pairwise(sorted(spans)):
            assert bottom < top
    places = sorted(by_place)
    assert all(other - one > 8 for one, other in pairwise(places))


@given(seed=st.integers(0, 10**6))
def test_every_connection_is_drawn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    architecture = chain(
        *(tuple(s for s in range(1, n) if rng.random() < 0.3) for n in range(1, 10))
    )
    rows = [*(layer.inputs or (0,) for layer in architecture.layers), architecture.loose_ends]
    taken = [(source, row) for row, sources in enumerate(rows, start=1) for source in sources]
    skips = [(source, row) for source, row in taken if source < row - 1]
    canvas = lines_of(architecture)
    lanes = {source for source, _ in skips}
    assert len(canvas.verticals) == len(lanes)
    assert canvas.bends == len(lanes) + len(skips)
    straight = [x for x, _ in canvas.arrows if x == canvas.width / 2]
    assert len(straight) == len(taken) - len(skips)
    assert {row for _, row in skips} == {
        row
        for row, (_, top, _, bottom) in enumerate(canvas.boxes)
        for x, y in canvas.arrows
        if top < y < bottom and x != canvas.width / 2
    }


def test_pictures_name_every_layer() -> None:
    search_space = NASSearchSpace(15, strides=True)
    architecture = search_space.decode(search_space.sample(np.random.default_rng(0)))
    texts = [text for text, _ in layout(architecture).texts]
    assert texts[0] == "image"
    assert texts[-1] == "classifier"
    assert texts[1:-1:2] == [layer.label for layer in architecture.layers]
    assert texts[2:-1:2] == [str(number) for number in range(1, 16)]


def test_pictures_have_one_size_throughout_an_episode_and_a_schedule() -> None:
    search_space = NASSearchSpace(9, depth_schedule=(4, 2, 10))
    sizes = {picture_size(search_space)}
    counts = []
    for samples in (0, 10, 100):
        stage = search_space.stage(samples)
        choices = stage.sample(np.random.default_rng(samples))
        for step in (0, 7, len(choices)):
            sizes.add(draw(stage, choices[:step]).size)
            counts.append(len(layout(stage, choices[:step]).boxes))
    assert len(sizes) == 1
    assert counts == [1, 3, 6, 1, 3, 8, 1, 3, 11]


def test_unlike_chains_have_unlike_pictures() -> None:
    one, two = (np.asarray(draw(chain((), (), taken))) for taken in ((1,), (1, 2)))
    assert one.shape == two.shape
    assert (one != two).any()
    assert 0.005 < (one < 128).any(axis=2).mean() < 0.5
