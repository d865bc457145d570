"""ENAS's search spaces against the paper (https://arxiv.org/abs/1802.03268, section 2)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from nas_gym import (
    ENASMacroSearchSpace,
    ENASMicroSearchSpace,
    InvalidArchitecture,
    InvalidSettings,
    published,
)
from nas_gym.families.enas.macro_search_space import ENASMacroArchitecture, MacroLayer, pooled_after
from nas_gym.families.enas.micro_search_space import ENASCell, ENASMicroArchitecture
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD, CONCATENATE

MACRO_OPERATIONS = (
    "conv_3x3",
    "separable_conv_3x3",
    "conv_5x5",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
)
MICRO_OPERATIONS = (
    "separable_conv_3x3",
    "separable_conv_5x5",
    "average_pooling",
    "max_pooling",
    "identity",
)


def node(hidden1: int, hidden2: int, op1: str = "identity", op2: str = "identity") -> Block:
    return Block(hidden1, hidden2, op1, op2, ADD)


def test_macro_decisions_are_an_operation_and_then_skips() -> None:
    decisions = ENASMacroSearchSpace().decisions
    expected: list[tuple[str, tuple[str, ...]]] = []
    for layer in range(1, 13):
        expected.append((f"layer_{layer}/op", MACRO_OPERATIONS))
        expected += [(f"layer_{layer}/skip_{j}", ("no", "yes")) for j in range(1, layer)]
    assert [(decision.name, decision.choices) for decision in decisions] == expected
    assert len(decisions) == 78


def test_micro_decisions_are_indices_and_then_operations() -> None:
    decisions = ENASMicroSearchSpace().decisions
    expected: list[tuple[str, tuple[str, ...]]] = []
    for cell in ("normal", "reduction"):
        states = ["h_{i-1}", "h_i"]  # 0 is the older input
        for k in range(2, 7):
            indices = tuple(states)
            expected += [(f"{cell}/node_{k}/index_{side}", indices) for side in (1, 2)]
            expected += [(f"{cell}/node_{k}/op_{side}", MICRO_OPERATIONS) for side in (1, 2)]
            states.append(f"node_{k}")
    assert [(decision.name, decision.choices) for decision in decisions] == expected
    assert len(decisions) == 40


def test_sizes() -> None:
    assert ENASMacroSearchSpace().size == 160618186625454535808756219904 == 6**12 * 2**66
    assert ENASMicroSearchSpace().size == 25628906250000000000000000


def test_macro_choices_mean_what_the_decisions_name() -> None:
    architecture = ENASMacroSearchSpace(4).decode([0, 3, 1, 4, 0, 1, 5, 1, 0, 1])
    assert architecture.layers == (
        MacroLayer("conv_3x3"),
        MacroLayer("separable_conv_5x5", (0,)),
        MacroLayer("average_pooling", (1,)),
        MacroLayer("max_pooling", (0, 2)),
    )


def test_micro_choices_mean_what_the_decisions_name() -> None:
    cell = [0, 1, 2, 4, 2, 0, 0, 1]
    architecture = ENASMicroSearchSpace(2).decode(cell * 2)
    assert architecture.normal == architecture.reduction
    assert architecture.normal.blocks == (
        node(1, 0, "average_pooling", "identity"),
        node(2, 1, "separable_conv_3x3", "separable_conv_5x5"),
    )


@pytest.mark.parametrize(
    ("hidden", "concat"),
    [
        ([(0, 1), (0, 1)], (2, 3)),
        ([(0, 1), (2, 2)], (3,)),
        ([(0, 0), (0, 2)], (1, 3)),
        ([(1, 1), (2, 2)], (0, 3)),
    ],
)
def test_what_no_node_takes_is_concatenated_inputs_too(
    hidden: list[tuple[int, int]], concat: tuple[int, ...]
) -> None:
    cell = ENASCell.with_unused_concatenated(tuple(node(*pair) for pair in hidden))
    assert cell.concat == concat
    architecture = ENASMicroArchitecture(cell, cell)
    search_space = ENASMicroSearchSpace(2)
    assert search_space.decode(search_space.encode(architecture)) == architecture


def test_micro_best_is_the_papers() -> None:
    architecture = published("ENAS-micro")
    assert isinstance(architecture, ENASMicroArchitecture)
    assert architecture.normal.concat == (2, 3, 4, 5, 6)
    assert architecture.reduction.concat == (2, 4, 5, 6)
    assert architecture.normal.blocks[3] == node(0, 1, "separable_conv_3x3", "separable_conv_5x5")
    assert architecture.reduction.blocks[2] == node(
        0, 3, "separable_conv_5x5", "separable_conv_5x5"
    )
    assert ENASMicroSearchSpace().encode(architecture)[:8].tolist() == [0, 0, 2, 0, 0, 0, 4, 1]


def test_macro_best_is_the_papers() -> None:
    architecture = published("ENAS-macro")
    assert isinstance(architecture, ENASMacroArchitecture)
    assert len(architecture.layers) == 24
    assert architecture.layers[5] == MacroLayer("separable_conv_5x5", (0, 1, 3))
    assert architecture.layers[9] == MacroLayer("conv_3x3")
    assert sum(len(layer.skips) for layer in architecture.layers) == 98
    assert len(ENASMacroSearchSpace(24).encode(architecture)) == 24 + 276


@pytest.mark.parametrize("name", ["ENAS-micro", "ENAS-macro"])
def test_published_arcs_are_encoded_and_written_as_they_were_read(name: str) -> None:
    architecture = published(name)
    assert isinstance(architecture, (ENASMicroArchitecture, ENASMacroArchitecture))
    assert architecture.from_arc(architecture.to_arc()) == architecture
    search_space = ENASMicroSearchSpace() if name == "ENAS-micro" else ENASMacroSearchSpace(24)
    assert search_space.decode(search_space.encode(architecture)) == architecture


def test_random_arcs_survive() -> None:
    for search_space in (ENASMicroSearchSpace(3), ENASMacroSearchSpace(5)):
        for seed in range(30):
            architecture = search_space.decode(search_space.sample(np.random.default_rng(seed)))
            assert isinstance(architecture, (ENASMicroArchitecture, ENASMacroArchitecture))
            assert architecture.from_arc(architecture.to_arc()) == architecture


def test_the_order_of_nodes_and_of_their_halves_does_not_matter() -> None:
    def key(*blocks: Block) -> str:
        cell = ENASCell.with_unused_concatenated(blocks)
        return ENASMicroArchitecture(cell, cell).key

    pool, identity = node(0, 1, "max_pooling"), node(1, 1)
    assert (
        key(pool, identity) == key(identity, pool) == key(node(1, 0, op2="max_pooling"), identity)
    )
    assert key(pool, identity) != key(node(1, 0, "max_pooling"), identity)


def test_skips_make_another_network() -> None:
    layers = (MacroLayer("conv_3x3"), MacroLayer("conv_3x3"))
    skipping = (layers[0], MacroLayer("conv_3x3", (0,)))
    assert ENASMacroArchitecture(layers).key != ENASMacroArchitecture(skipping).key


@pytest.mark.parametrize(
    ("depth", "expected"),
    [(1, ()), (2, ()), (3, (1, 2)), (12, (4, 8)), (14, (4, 8)), (24, (8, 16))],
)
def test_layers_that_a_reduction_follows(depth: int, expected: tuple[int, ...]) -> None:
    assert pooled_after(depth) == expected


@pytest.mark.parametrize(
    ("layers", "says"),
    [
        ((), "expected at least one"),
        ((MacroLayer("conv3x3"),), r"layers\[0\]\.operation: .* did you mean 'conv_3x3'"),
        ((MacroLayer("conv_3x3", (0,)),), r"layers\[0\]\.skips: 0 .* valid choices: none"),
        ((MacroLayer("conv_3x3"), MacroLayer("conv_3x3", (1,))), "valid choices: 0 to 0"),
        ((MacroLayer("conv_3x3"),) * 2 + (MacroLayer("conv_3x3", (True,)),), "skips: True"),
        ((MacroLayer("conv_3x3"),) * 3 + (MacroLayer("conv_3x3", (1, 0)),), "ascending"),
        ((MacroLayer("conv_3x3"),) * 3 + (MacroLayer("conv_3x3", (1, 1)),), "ascending"),
    ],
)
def test_bad_layers_are_refused(layers: tuple[MacroLayer, ...], says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        ENASMacroArchitecture(layers)


@pytest.mark.parametrize(
    ("read", "arc", "says"),
    [
        (ENASMacroArchitecture.from_arc, "", "expected at least one"),
        (ENASMacroArchitecture.from_arc, "0 1 0 2", "the last layer 2 bits"),
        (ENASMacroArchitecture.from_arc, "0 1 2", r"last layer 1 bits; got \[0, 1, 2\]"),
        (ENASMacroArchitecture.from_arc, "6", "6 is no operation; valid choices: 0 to 5"),
        (ENASMacroArchitecture.from_arc, "0,1", "expected numbers"),
        (ENASMicroArchitecture.from_arc, "", "got 0"),
        (ENASMicroArchitecture.from_arc, "0 0 1 1", "got 4"),
        (ENASMicroArchitecture.from_arc, "0 0 1 5 0 0 1 1", "5 is no operation"),
        (ENASMicroArchitecture.from_arc, "0 0 2 1 0 0 1 1", "hidden2: 2 is not a hidden state"),
        (ENASMicroArchitecture.from_arc, "0 0 -1 1 0 0 1 1", "hidden2: -1 is not"),
    ],
)
def test_bad_arcs_are_refused(read: Callable[[str], object], arc: str, says: str) -> None:
    with pytest.raises(InvalidArchitecture, match=says):
        read(arc)


def test_cells_have_enas_operations_alone() -> None:
    with pytest.raises(InvalidArchitecture, match=r"op1: '3x3 max pooling' .*'max_pooling'"):
        ENASCell((node(0, 1, "3x3 max pooling"),), (2,))
    with pytest.raises(InvalidArchitecture, match="combine: 'concatenation"):
        ENASCell((Block(0, 1, "identity", "identity", CONCATENATE),), (2,))
    enas, nasnet = ENASCell((node(0, 1),), (2,)), Cell((node(0, 1),), (2,))
    with pytest.raises(InvalidArchitecture, match="reduction: expected a ENASCell, got a Cell"):
        ENASMicroArchitecture(enas, nasnet)
    with pytest.raises(InvalidArchitecture, match="normal: expected a Cell, got a ENASCell"):
        CellArchitecture(enas, nasnet)


def test_encode_names_what_the_search_space_lacks() -> None:
    with pytest.raises(InvalidArchitecture, match="24 layers; this search space has 12"):
        ENASMacroSearchSpace().encode(published("ENAS-macro"))
    with pytest.raises(InvalidArchitecture, match=r"normal\.blocks: 5 blocks; .* has 4"):
        ENASMicroSearchSpace(4).encode(published("ENAS-micro"))
    cell = ENASCell((node(0, 0),), (2,))
    with pytest.raises(
        InvalidArchitecture, match=r"normal\.concat: \[2\] .* \[1, 2\] \(the states"
    ):
        ENASMicroSearchSpace(1).encode(ENASMicroArchitecture(cell, cell))


@pytest.mark.parametrize("value", [0, -1, 2.0, "5", True, None])
@pytest.mark.parametrize(
    ("make", "name"), [(ENASMacroSearchSpace, "layers"), (ENASMicroSearchSpace, "blocks")]
)
def test_bad_parameters_are_refused_by_name(
    make: Callable[..., object], name: str, value: Any
) -> None:
    with pytest.raises(InvalidSettings, match=f"{name}: expected a (number|valid integer)"):
        make(**{name: value})


def test_macro_sketch_grows_with_every_decision() -> None:
    search_space = ENASMacroSearchSpace(3)
    choices = np.array([0, 1, 1, 2, 0, 1])
    layers = [search_space.sketch(choices[:step]).layers for step in range(7)]
    one, two = MacroLayer("conv_3x3"), MacroLayer("separable_conv_3x3", (0,))
    assert layers[:4] == [(), (one,), (one, MacroLayer("separable_conv_3x3")), (one, two)]
    assert layers[5] == (one, two, MacroLayer("conv_5x5"))
    assert search_space.sketch(choices) == search_space.decode(choices).sketch()


def test_micro_sketch_grows_by_whole_nodes() -> None:
    search_space = ENASMicroSearchSpace(2)
    choices = search_space.sample(np.random.default_rng(0))
    counts = [
        [len(cell.blocks) for cell in search_space.sketch(choices[:step]).cells]
        for step in (0, 3, 4, 8, 15, 16)
    ]
    assert counts == [[0, 0], [0, 0], [1, 0], [2, 0], [2, 1], [2, 2]]
