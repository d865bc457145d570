"""Texts and pictures of architectures, and of episodes on their way to one."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from nas_gym import NASNetSearchSpace, SearchSpace, published, rendering
from nas_gym.rendering import SHORT_LABELS, draw, picture_size, write
from nas_gym.search_spaces import PUBLISHED, Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD, CONCATENATE, OPERATIONS
from tests.helpers import LayersArchitecture, LayersSearchSpace, random_architecture

Box = tuple[float, float, float, float]


@dataclass
class Drawing:
    """Where the texts and the boxes of one picture lie."""

    size: tuple[float, float]
    texts: list[tuple[str, Box]] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)


class RecordingCanvas(rendering._Canvas):
    """Draws no pixel, and remembers what would be where, in pixels of the finished picture."""

    drawings: list[Drawing]

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.drawing = Drawing((width, height))
        self.drawings.append(self.drawing)
        self._pen = ImageDraw.Draw(Image.new("L", (1, 1)))

    def finished(self) -> Image.Image:
        return Image.new("L", (1, 1))

    def text(self, at: tuple[float, float], text: str, size: int = 12, anchor: str = "mm") -> None:
        if text:
            font = rendering._font(2 * size)
            at = (2 * at[0], 2 * at[1])
            corners = self._pen.multiline_textbbox(at, text, font, anchor, 3, "center")
            x0, y0, x1, y1 = (corner / 2 for corner in corners)
            self.drawing.texts.append((text, (x0, y0, x1, y1)))

    def box(
        self,
        box: tuple[float, ...],
        text: str,
        outline: str = "",
        radius: float = 5,
    ) -> None:
        x0, y0, x1, y1 = box
        self.drawing.boxes.append((x0, y0, x1, y1))
        self.text(((x0 + x1) / 2, (y0 + y1) / 2), text)

    def line(self, *_: Any, **__: Any) -> None:
        pass

    def curve(self, *_: Any, **__: Any) -> None:
        pass

    def rise(
        self, start: tuple[float, float], end: tuple[float, float], *_: Any, **__: Any
    ) -> None:
        assert end[1] <= start[1], "lines go upwards"


@pytest.fixture
def drawings(monkeypatch: pytest.MonkeyPatch) -> list[Drawing]:
    """What is drawn from now on."""
    recorded: list[Drawing] = []
    monkeypatch.setattr(RecordingCanvas, "drawings", recorded, raising=False)
    monkeypatch.setattr(rendering, "_Canvas", RecordingCanvas)
    return recorded


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def within(inner: Box, outer: Box) -> bool:
    return (
        outer[0] <= inner[0]
        and outer[1] <= inner[1]
        and inner[2] <= outer[2]
        and inner[3] <= outer[3]
    )


def check_layout(drawing: Drawing) -> None:
    """Nothing overlaps, nothing sticks out of the picture, and a box's text stays inside it."""
    picture = (0.0, 0.0, *drawing.size)
    for text, place in drawing.texts:
        assert within(place, picture), text
    for box in drawing.boxes:
        assert within(box, picture), box
    for (text, place), (other_text, other_place) in combinations(drawing.texts, 2):
        assert not overlap(place, other_place), (text, other_text)
    for one, other in combinations(drawing.boxes, 2):
        assert not overlap(one, other), (one, other)
    for text, place in drawing.texts:
        for box in drawing.boxes:
            assert within(place, box) or not overlap(place, box), (text, box)


def test_text_of_nasnet_a() -> None:
    assert write(published("NASNet-A")).splitlines() == [
        "normal cell",
        "  block_1 = 5x5 depthwise-seperable conv of h_i + 3x3 depthwise-separable conv of h_{i-1}",
        "  block_2 = 5x5 depthwise-seperable conv of h_{i-1}"
        " + 3x3 depthwise-separable conv of h_{i-1}",
        "  block_3 = 3x3 average pooling of h_i + identity of h_{i-1}",
        "  block_4 = 3x3 average pooling of h_{i-1} + 3x3 average pooling of h_{i-1}",
        "  block_5 = 3x3 depthwise-separable conv of h_i + identity of h_i",
        "  output = concatenation of h_{i-1}, block_1, block_2, block_3, block_4, block_5",
        "reduction cell",
        "  block_1 = 5x5 depthwise-seperable conv of h_i + 7x7 depthwise-separable conv of h_{i-1}",
        "  block_2 = 3x3 max pooling of h_i + 7x7 depthwise-separable conv of h_{i-1}",
        "  block_3 = 3x3 average pooling of h_i + 5x5 depthwise-seperable conv of h_{i-1}",
        "  block_4 = identity of block_2 + 3x3 average pooling of block_1",
        "  block_5 = 3x3 depthwise-separable conv of block_1 + 3x3 max pooling of h_i",
        "  output = concatenation of block_2, block_3, block_4, block_5",
    ]


def test_text_tells_addition_from_concatenation() -> None:
    blocks = tuple(Block(0, 1, "identity", "identity", combine) for combine in (ADD, CONCATENATE))
    lines = write(CellArchitecture(*[Cell.with_unused_concatenated(blocks)] * 2)).splitlines()
    assert lines[1] == "  block_1 = identity of h_i + identity of h_{i-1}"
    assert lines[2] == "  block_2 = identity of h_i | identity of h_{i-1}"


def test_text_of_an_episode_says_how_far_it_is() -> None:
    search_space = NASNetSearchSpace(blocks=1)
    choices = np.array([0, 1, 0, 8, 0, 1, 1, 0, 0, 1])
    first = "NASNet: 0 of 10 decisions, next: normal/block_1/hidden_1"
    assert write(search_space, choices[:0]).splitlines() == [first, "normal cell", "reduction cell"]
    assert write(search_space, choices[:6]).splitlines() == [
        "NASNet: 6 of 10 decisions, next: reduction/block_1/hidden_2",
        "normal cell",
        "  block_1 = identity of h_i + 1x1 convolution of h_{i-1}",
        "  output = concatenation of block_1",
        "reduction cell",
    ]
    head, *rest = write(search_space, choices).splitlines()
    assert head == "NASNet: 10 of 10 decisions"
    assert rest == write(search_space.decode(choices)).splitlines()


def test_text_of_any_search_space_lists_its_decisions() -> None:
    assert write(LayersSearchSpace(), np.array([1, 2])).splitlines() == [
        "Layers: 2 of 4 decisions, next: layer_2",
        "  depth: 2",
        "  layer_1: 16",
    ]


def test_any_architecture_has_a_text_and_a_picture() -> None:
    architecture = LayersArchitecture(("8", "16"))
    assert "16" in write(architecture)
    assert np.asarray(draw(architecture)).min() < 128


def test_every_operation_has_a_short_label_of_its_own() -> None:
    assert tuple(SHORT_LABELS) == OPERATIONS
    assert len(set(SHORT_LABELS.values())) == len(OPERATIONS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_pictures_have_ink(name: str) -> None:
    picture = np.asarray(draw(published(name)))
    assert picture.dtype == np.uint8
    assert picture.ndim == 3
    assert picture.shape[1:] == (600, 3)
    assert 0.005 < (picture < 128).any(axis=2).mean() < 0.5
    assert (picture[[0, -1]] == 255).all()


def test_unlike_architectures_have_unlike_pictures() -> None:
    one, two = (np.asarray(draw(published(name))) for name in ("NASNet-A", "AmoebaNet-A"))
    assert one.shape != two.shape or (one != two).any()
    np.testing.assert_array_equal(one, np.asarray(draw(published("NASNet-A"))))


@pytest.mark.parametrize(
    "search_space",
    [NASNetSearchSpace(1), NASNetSearchSpace(2), NASNetSearchSpace(8), LayersSearchSpace()],
    ids=["1 block", "2 blocks", "8 blocks", "Layers"],
)
def test_pictures_have_one_size_throughout_an_episode(search_space: SearchSpace) -> None:
    choices = search_space.sample(np.random.default_rng(0))
    steps = range(0, len(choices) + 1, max(1, len(choices) // 8))
    sizes = {draw(search_space, choices[:step]).size for step in steps}
    assert sizes == {picture_size(search_space)}


def test_episodes_draw_a_little_more_at_a_time(drawings: list[Drawing]) -> None:
    search_space = NASNetSearchSpace()
    choices = search_space.sample(np.random.default_rng(3))
    counts = []
    for step in range(51):
        draw(search_space, choices[:step])
        counts.append(len(drawings[-1].boxes))
        check_layout(drawings[-1])
    expected = [4 + 3 * (step // 5) + (step >= 25) + (step == 50) for step in range(51)]
    assert counts == expected
    assert {drawing.size for drawing in drawings} == {drawings[0].size}


@pytest.mark.parametrize("blocks", [1, 2, 5, 8])
def test_no_texts_and_no_boxes_overlap(blocks: int, drawings: list[Drawing]) -> None:
    for seed in range(50):
        draw(random_architecture(seed, blocks))
        check_layout(drawings[-1])
        assert len(drawings[-1].boxes) == 2 * (2 + 3 * blocks + 1)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_architectures_are_laid_out_well(name: str, drawings: list[Drawing]) -> None:
    draw(published(name))
    assert len(drawings[-1].texts) >= 4
    check_layout(drawings[-1])


@pytest.mark.parametrize("name", ["NASNet-A", "AmoebaNet-A"])
def test_pictures_of_cells_name_every_operation(name: str, drawings: list[Drawing]) -> None:
    architecture = published(name)
    assert isinstance(architecture, CellArchitecture)
    draw(architecture)
    texts = [text for text, _ in drawings[-1].texts]
    labels = [
        label
        for cell in (architecture.normal, architecture.reduction)
        for block in cell.blocks
        for _, label in block.inputs
    ]
    for label, count in Counter(labels).items():
        assert texts.count(SHORT_LABELS[label]) == count
    assert texts.count("+") == 10
    assert texts.count("concatenation") == 2


@pytest.mark.parametrize("blocks", [1, 4, 5, 6, 8, 12])
def test_extreme_cells_are_laid_out_well(blocks: int, drawings: list[Drawing]) -> None:
    label = "1x7 then 7x1 convolution"
    wide = tuple(Block(0, 1, label, label, CONCATENATE) for _ in range(blocks))
    deep = tuple(Block(index + 1, index, label, label, CONCATENATE) for index in range(blocks))
    everything = tuple(range(blocks + 2))
    draw(CellArchitecture(Cell(wide, everything), Cell(deep, everything)))
    check_layout(drawings[-1])
