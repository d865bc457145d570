"""Texts and pictures of cells."""

from collections import Counter
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from nas_gym import ENASMicroSearchSpace, NASNetSearchSpace, published
from nas_gym.families.enas.micro_search_space import MICRO_OPERATIONS
from nas_gym.rendering import draw, overlaps, write
from nas_gym.rendering.cells import SHORT_LABELS
from nas_gym.rendering.layout import layout
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD, CONCATENATE, OPERATIONS, TwoCells
from tests.helpers import random_architecture


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


def test_every_operation_has_a_short_label_of_its_own() -> None:
    assert set(SHORT_LABELS) == {*OPERATIONS, *MICRO_OPERATIONS}
    for operations in (OPERATIONS, MICRO_OPERATIONS):
        assert len({SHORT_LABELS[label] for label in operations}) == len(operations)


def test_text_of_enas_names_nodes_and_inputs_as_its_decisions_do() -> None:
    lines = write(published("ENAS-micro")).splitlines()
    assert lines[1] == "  node_2 = average_pooling of h_{i-1} + separable_conv_3x3 of h_{i-1}"
    assert lines[10] == "  node_4 = separable_conv_5x5 of h_i + separable_conv_5x5 of node_3"
    assert lines[13] == "  output = concatenation of node_2, node_4, node_5, node_6"


@pytest.mark.parametrize("blocks", [1, 5, 8])
def test_enas_cells_are_laid_out_well(blocks: int) -> None:
    search_space = ENASMicroSearchSpace(blocks)
    for seed in range(20):
        choices = search_space.sample(np.random.default_rng(seed))
        for step in range(0, len(choices) + 1, 4):
            assert overlaps(search_space, choices[:step]) == []


def test_unlike_architectures_have_unlike_pictures() -> None:
    one, two = (np.asarray(draw(published(name))) for name in ("NASNet-A", "AmoebaNet-A"))
    assert one.shape != two.shape or (one != two).any()
    np.testing.assert_array_equal(one, np.asarray(draw(published("NASNet-A"))))


def test_episodes_draw_a_little_more_at_a_time() -> None:
    search_space = NASNetSearchSpace()
    choices = search_space.sample(np.random.default_rng(3))
    counts, sizes = [], set()
    for step in range(51):
        canvas = layout(search_space, choices[:step])
        counts.append(len(canvas.boxes))
        sizes.add((canvas.width, canvas.height))
        assert overlaps(search_space, choices[:step]) == []
    expected = [4 + 3 * (step // 5) + (step >= 25) + (step == 50) for step in range(51)]
    assert counts == expected
    assert len(sizes) == 1


@pytest.mark.parametrize("blocks", [1, 2, 5, 8])
def test_no_texts_and_no_boxes_overlap(blocks: int) -> None:
    for seed in range(50):
        assert overlaps(random_architecture(seed, blocks)) == []
        assert len(layout(random_architecture(seed, blocks)).boxes) == 2 * (2 + 3 * blocks + 1)


@pytest.mark.parametrize("name", ["NASNet-A", "AmoebaNet-A", "ENAS-micro"])
def test_pictures_of_cells_name_every_operation(name: str) -> None:
    architecture = published(name)
    assert isinstance(architecture, TwoCells)
    texts = [text for text, _ in layout(architecture).texts]
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
def test_extreme_cells_are_laid_out_well(blocks: int) -> None:
    label = "1x7 then 7x1 convolution"
    wide = tuple(Block(0, 1, label, label, CONCATENATE) for _ in range(blocks))
    deep = tuple(Block(index + 1, index, label, label, CONCATENATE) for index in range(blocks))
    everything = tuple(range(blocks + 2))
    architecture = CellArchitecture(Cell(wide, everything), Cell(deep, everything))
    assert overlaps(architecture) == []


class OwnCell(Cell):
    """A cell of operations, and of a way to combine, that nobody else has."""

    operations: ClassVar[tuple[str, ...]] = ("swish", "my_operation_of_many_words", "w" * 200)
    combines: ClassVar[tuple[str, ...]] = (ADD, "a gate between the two hidden states")


@dataclass(frozen=True)
class OwnCells(CellArchitecture, kind="test-own-cells"):
    """Two of these cells."""

    cell_type: ClassVar[type[Cell]] = OwnCell


def test_cells_of_ones_own_operations_are_drawn() -> None:
    swish, words, wide = OwnCell.operations
    blocks = (Block(0, 1, swish, words, ADD), Block(2, 1, wide, swish, OwnCell.combines[1]))
    cell = OwnCell.with_unused_concatenated(blocks)
    architecture = OwnCells(cell, cell)
    assert overlaps(architecture) == []
    texts = [text for text, _ in layout(architecture).texts]
    assert texts.count("swish") == 4
    assert any(text.startswith("my op") for text in texts)
    assert f"{wide} of block_1 {OwnCell.combines[1]} swish of h_{{i-1}}" in write(architecture)
