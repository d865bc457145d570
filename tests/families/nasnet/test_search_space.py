"""The NASNet search space against the paper (https://arxiv.org/abs/1707.07012, section 3)."""

from itertools import pairwise
from typing import Any

import pytest

from nas_gym import InvalidArchitecture, InvalidSettings, NASNetSearchSpace, published
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD, CONCATENATE
from tests.helpers import random_architecture

PAPER_OPERATIONS = (
    "identity",
    "1x3 then 3x1 convolution",
    "1x7 then 7x1 convolution",
    "3x3 dilated convolution",
    "3x3 average pooling",
    "3x3 max pooling",
    "5x5 max pooling",
    "7x7 max pooling",
    "1x1 convolution",
    "3x3 convolution",
    "3x3 depthwise-separable conv",
    "5x5 depthwise-seperable conv",
    "7x7 depthwise-separable conv",
)
PAPER_COMBINES = (
    "element-wise addition between two hidden states",
    "concatenation between two hidden states along the filter dimension",
)


def chain(*hidden: tuple[int, int]) -> tuple[Block, ...]:
    """Blocks of identities that take these hidden states."""
    return tuple(Block(one, two, "identity", "identity", ADD) for one, two in hidden)


def test_fifty_decisions_in_the_papers_order() -> None:
    names = [decision.name for decision in NASNetSearchSpace().decisions]
    steps = ("hidden_1", "hidden_2", "op_1", "op_2", "combine")
    assert names == [
        f"{cell}/block_{block}/{step}"
        for cell in ("normal", "reduction")
        for block in (1, 2, 3, 4, 5)
        for step in steps
    ]
    assert len(names) == 50


def test_numbers_of_choices() -> None:
    cell = [n for states in (2, 3, 4, 5, 6) for n in (states, states, 13, 13, 2)]
    assert list(NASNetSearchSpace().num_choices) == cell * 2


def test_labels_are_the_papers_own() -> None:
    decisions = {decision.name: decision.choices for decision in NASNetSearchSpace().decisions}
    for cell in ("normal", "reduction"):
        assert decisions[f"{cell}/block_1/hidden_1"] == ("h_i", "h_{i-1}")
        assert decisions[f"{cell}/block_3/hidden_2"] == ("h_i", "h_{i-1}", "block_1", "block_2")
        for block in range(1, 6):
            assert decisions[f"{cell}/block_{block}/op_1"] == PAPER_OPERATIONS
            assert decisions[f"{cell}/block_{block}/op_2"] == PAPER_OPERATIONS
            assert decisions[f"{cell}/block_{block}/combine"] == PAPER_COMBINES


def test_size() -> None:
    search_space = NASNetSearchSpace()
    assert search_space.size == 5229943396058757337940161399357440000
    assert search_space.num_actions == 13


def test_choices_mean_what_the_decisions_name() -> None:
    choices = [1, 0, 2, 12, 1, 2, 1, 5, 0, 0, *([0] * 10)]
    architecture = NASNetSearchSpace(blocks=2).decode(choices)
    assert architecture.normal.blocks == (
        Block(1, 0, "1x7 then 7x1 convolution", "7x7 depthwise-separable conv", CONCATENATE),
        Block(2, 1, "3x3 max pooling", "identity", ADD),
    )
    assert architecture.reduction.blocks == chain((0, 0), (0, 0))


@pytest.mark.parametrize(
    ("hidden", "concat"),
    [
        ([(0, 1), (0, 1), (0, 0)], (2, 3, 4)),
        ([(0, 1), (2, 2), (3, 0)], (4,)),
        ([(0, 1), (0, 1), (2, 0)], (3, 4)),
        ([(0, 1), (2, 1), (2, 0)], (3, 4)),
    ],
)
def test_unused_blocks_are_concatenated(
    hidden: list[tuple[int, int]], concat: tuple[int, ...]
) -> None:
    blocks = chain(*hidden)
    assert Cell.with_unused_concatenated(blocks).concat == concat
    choices = [c for one, two in hidden for c in (one, two, 0, 0, 0)]
    architecture = NASNetSearchSpace(blocks=3).decode(choices * 2)
    assert architecture == CellArchitecture(Cell(blocks, concat), Cell(blocks, concat))


def test_encode_of_nasnet_a_refuses_because_of_its_concat() -> None:
    with pytest.raises(InvalidArchitecture) as error:
        NASNetSearchSpace().encode(published("NASNet-A"))
    message = str(error.value)
    assert message.startswith("normal.concat: [1, 2, 3, 4, 5, 6]")
    assert "[2, 3, 4, 5, 6]" in message
    assert "with_unused_concatenated" in message


@pytest.mark.parametrize("name", ["NASNet-A", "AmoebaNet-A"])
def test_encode_works_once_the_concat_follows_the_rule(name: str) -> None:
    architecture = published(name)
    assert isinstance(architecture, CellArchitecture)
    searched = CellArchitecture(
        Cell.with_unused_concatenated(architecture.normal.blocks),
        Cell.with_unused_concatenated(architecture.reduction.blocks),
    )
    search_space = NASNetSearchSpace()
    assert search_space.decode(search_space.encode(searched)) == searched


def test_encode_accepts_a_concat_in_another_order() -> None:
    cell = Cell(chain((0, 1), (0, 1)), (3, 2))
    choices = NASNetSearchSpace(blocks=2).encode(CellArchitecture(cell, cell))
    assert choices.tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0] * 2


def test_encode_names_what_the_search_space_lacks() -> None:
    cell = Cell.with_unused_concatenated(chain((0, 1)))
    other = Cell.with_unused_concatenated(
        (Block(0, 1, "identity", "3x3 convolution", CONCATENATE),)
    )
    with pytest.raises(InvalidArchitecture, match=r"normal\.blocks: 1 blocks; .* has 2"):
        NASNetSearchSpace(2).encode(CellArchitecture(cell, cell))
    with pytest.raises(InvalidArchitecture, match=r"reduction\.blocks\[0\]\.op2: '3x3 conv"):
        NASNetSearchSpace(1, ["identity"]).encode(CellArchitecture(cell, other))
    with pytest.raises(InvalidArchitecture, match=r"reduction\.blocks\[0\]\.combine: 'concat"):
        NASNetSearchSpace(1, combines=[ADD]).encode(CellArchitecture(cell, other))


def test_fewer_operations_and_combines_keep_their_given_order() -> None:
    search_space = NASNetSearchSpace(1, ["3x3 convolution", "identity"], [CONCATENATE])
    assert search_space.num_choices == (2, 2, 2, 2, 1) * 2
    block = search_space.decode([0, 1, 0, 1, 0] * 2).normal.blocks[0]
    assert block == Block(0, 1, "3x3 convolution", "identity", CONCATENATE)


def test_sketch_grows_by_whole_blocks() -> None:
    search_space = NASNetSearchSpace()
    choices = search_space.encode(random_architecture(3))
    counts = []
    for step in range(51):
        sketch = search_space.sketch(choices[:step])
        counts.append([len(cell.blocks) for cell in sketch.cells])
        for cell in sketch.cells:
            assert (cell.concat is None) == (len(cell.blocks) < 5)
    assert counts[4] == [0, 0]
    assert counts[5] == [1, 0]
    assert counts[26:31] == [[5, 0]] * 4 + [[5, 1]]
    assert counts[50] == [5, 5]
    assert all(before <= after for before, after in pairwise(counts))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"blocks": 0}, "blocks: .* equal to 1, got 0"),
        ({"blocks": -3}, "blocks: .* got -3"),
        ({"blocks": 2.0}, "blocks: .* got 2.0"),
        ({"blocks": "5"}, "blocks: .* got '5'"),
        ({"blocks": True}, "blocks: .* got True"),
        ({"blocks": None}, "blocks: .* got None"),
        (
            {"operations": ["3x3 max poling"]},
            "operations: '3x3 max poling' .* did you mean '3x3 max pooling'",
        ),
        ({"operations": []}, "operations: the list is empty; .*'identity'"),
        ({"operations": ["identity", "identity"]}, "operations: .* twice"),
        ({"operations": "identity"}, "operations: expected a list, got 'identity'"),
        ({"operations": [3]}, "operations.0: expected a valid string, got 3"),
        ({"operations": 3}, "operations: expected a list"),
        ({"combines": ["addition"]}, "combines: 'addition' does not exist"),
        ({"combines": []}, "combines: the list is empty"),
        ({"combines": [ADD, ADD]}, "combines: .* twice"),
        ({"combines": ADD}, "combines: expected a list"),
    ],
)
def test_bad_parameters_are_refused_by_name(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        NASNetSearchSpace(**arguments)
