"""Supernets: a child's path is the network that the child would be by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_gym import (
    Architecture,
    ENASMacroSearchSpace,
    ENASMicroSearchSpace,
    InvalidArchitecture,
    InvalidSettings,
    NASNetSearchSpace,
    SearchSpace,
)
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.macro_supernet import MacroSupernet
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.families.enas.micro_search_space import MICRO_OPERATIONS
from nas_gym.families.enas.micro_supernet import MicroSupernet
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ImageShape, NetworkSettings, measure_cost
from nas_gym.weight_sharing.supernet import Supernet, build_supernet

SHAPE = ImageShape(channels=1, height=8, width=8, classes=10)
MICRO = ENASCellNetworkSettings(cells=1, filters=4, form="released_search", auxiliary_head=True)
MACRO = MacroNetworkSettings(filters=4, form="released_search")
FAMILIES: list[tuple[SearchSpace, NetworkSettings]] = [
    (ENASMicroSearchSpace(blocks=3), MICRO),
    (ENASMacroSearchSpace(layers=6), MACRO),
]
families = pytest.mark.parametrize(("search_space", "settings"), FAMILIES, ids=["micro", "macro"])


def drawn(search_space: SearchSpace, number: int) -> list[Architecture]:
    rng = np.random.default_rng(5)
    return [search_space.decode(search_space.sample(rng)) for _ in range(number)]


def images() -> Tensor:
    return torch.randn(6, 1, 8, 8)


def logits_of(network: nn.Module, x: Tensor) -> list[Tensor]:
    outputs = network(x)
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


@families
@pytest.mark.parametrize("batch_statistics", [True, False])
def test_a_childs_path_is_the_child(
    search_space: SearchSpace, settings: NetworkSettings, batch_statistics: bool
) -> None:
    supernet = build_supernet(search_space, SHAPE, settings, batch_statistics)
    children = drawn(search_space, 4)
    for architecture in children:  # the running statistics move
        supernet.set_architecture(architecture)
        supernet(images())
    for architecture in children:
        supernet.set_architecture(architecture)
        child = supernet.child(architecture)
        for training in (False, True):
            supernet.train(training)
            child.train(training)
            x = images()
            for here, there in zip(logits_of(supernet, x), logits_of(child, x), strict=True):
                torch.testing.assert_close(here, there, rtol=1e-4, atol=2e-4)


@families
def test_a_step_trains_a_childs_own_parameters_alone(
    search_space: SearchSpace, settings: NetworkSettings
) -> None:
    supernet = build_supernet(search_space, SHAPE, settings)
    for architecture in drawn(search_space, 3):
        supernet.zero_grad()
        supernet.set_architecture(architecture)
        sum(logits.square().sum() for logits in logits_of(supernet, images())).backward()  # type: ignore[union-attr]
        trained = {
            name
            for name, parameter in supernet.named_parameters()
            if parameter.grad is not None and not name.startswith("auxiliary_head.")
        }
        own = {id(p) for module in supernet.path(architecture) for p in module.parameters()}
        assert trained == {n for n, p in supernet.named_parameters() if id(p) in own}


@families
def test_a_child_has_the_parameters_of_its_own_network(
    search_space: SearchSpace, settings: NetworkSettings
) -> None:
    supernet = build_supernet(search_space, SHAPE, settings)
    for architecture in drawn(search_space, 3):
        cost = measure_cost(architecture, SHAPE, settings)
        assert supernet.count_parameters(architecture) == cost.parameters


@families
def test_the_child_is_a_copy(search_space: SearchSpace, settings: NetworkSettings) -> None:
    supernet = build_supernet(search_space, SHAPE, settings)
    (architecture,) = drawn(search_space, 1)
    before = torch.random.get_rng_state()
    child = supernet.child(architecture)
    assert torch.equal(torch.random.get_rng_state(), before)
    mine = {parameter.data_ptr() for parameter in supernet.parameters()}
    assert mine.isdisjoint(parameter.data_ptr() for parameter in child.parameters())


def test_a_micro_node_has_weights_for_each_state_and_operation() -> None:
    supernet = build_supernet(ENASMicroSearchSpace(blocks=2), SHAPE, MICRO)
    assert isinstance(supernet, MicroSupernet)
    cell: Any = supernet.cells[0]
    states = [[len(half) for half in (block.op1, block.op2)] for block in cell.blocks]
    assert states == [[2, 2], [3, 3]]
    assert tuple(cell.blocks[1].op2[2]) == MICRO_OPERATIONS
    assert len(supernet.cells) == 7  # three cells, two reductions, what halves before these


def test_a_macro_layer_adds_its_skips() -> None:
    supernet = build_supernet(ENASMacroSearchSpace(layers=3), SHAPE, MACRO)
    assert isinstance(supernet, MacroSupernet)
    assert [len(halves) for halves in supernet.reductions.values()] == [2, 3]  # type: ignore[arg-type]
    layer: Any = supernet.layers[2]
    assert len(layer.operations) == 6
    assert isinstance(layer.join, nn.BatchNorm2d)


def norms(supernet: Supernet) -> set[bool]:
    modules = [each for each in supernet.modules() if isinstance(each, nn.BatchNorm2d)]
    return {module.running_mean is None for module in modules}


def test_batch_statistics_are_as_released_by_default() -> None:
    (micro, settings), (macro, of_macro) = FAMILIES
    assert norms(build_supernet(micro, SHAPE, settings)) == {True}
    assert norms(build_supernet(macro, SHAPE, of_macro)) == {False}
    assert norms(build_supernet(micro, SHAPE, settings, batch_statistics=False)) == {False}


def test_the_default_settings_are_those_of_the_released_search() -> None:
    supernet = build_supernet(ENASMacroSearchSpace(layers=2), SHAPE)
    assert isinstance(supernet, MacroSupernet)
    assert supernet.settings.filters == 36


@pytest.mark.parametrize(
    ("search_space", "settings", "says"),
    [
        (NASNetSearchSpace(), None, "NASNet.* has no supernet"),
        (ENASMicroSearchSpace(1), MACRO, "MacroNetworkSettings does not fit"),
        (ENASMacroSearchSpace(2), CellNetworkSettings(), "expected MacroNetworkSettings"),
        (ENASMacroSearchSpace(2), MacroNetworkSettings(), "not 'released_final'"),
    ],
)
def test_what_has_no_supernet(
    search_space: SearchSpace, settings: NetworkSettings | None, says: str
) -> None:
    with pytest.raises(InvalidSettings, match=says):
        build_supernet(search_space, SHAPE, settings)


def test_architectures_that_are_no_children() -> None:
    (micro, settings), (macro, of_macro) = FAMILIES
    of_cells, of_layers = (
        build_supernet(micro, SHAPE, settings),
        build_supernet(macro, SHAPE, of_macro),
    )
    with pytest.raises(InvalidArchitecture, match="expected 'enas_micro'"):
        of_cells.set_architecture(drawn(macro, 1)[0])
    with pytest.raises(InvalidArchitecture, match="2 blocks; this search space has 3"):
        of_cells.path(drawn(ENASMicroSearchSpace(blocks=2), 1)[0])
    with pytest.raises(InvalidArchitecture, match="expected 'enas_macro'"):
        of_layers.child(drawn(micro, 1)[0])
    with pytest.raises(InvalidArchitecture, match="3 layers; this supernet has 6"):
        of_layers.set_architecture(drawn(ENASMacroSearchSpace(layers=3), 1)[0])
