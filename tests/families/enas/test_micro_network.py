"""`ENASCellNetwork`: its two forms, its skeleton, and how a cell's inputs are made to agree."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym import ENASMicroSearchSpace, InvalidSettings, published
from nas_gym.families.enas.micro_network import (
    OPERATIONS,
    CellPlace,
    ENASAuxiliaryHead,
    ENASCellModule,
    ENASCellNetwork,
    ENASCellNetworkSettings,
    HalvedOutput,
)
from nas_gym.families.enas.micro_search_space import (
    MICRO_OPERATIONS,
    ENASCell,
    ENASMicroArchitecture,
)
from nas_gym.networks import ImageShape, build_network, count_parameters, measure_cost
from nas_gym.networks.cells import State
from nas_gym.networks.operations import DropPath, FactorizedReduction
from nas_gym.search_spaces import Block
from nas_gym.search_spaces.cells import ADD

FORMS = ("released_final", "released_search")
DIGITS = ImageShape(channels=1, height=8, width=8, classes=10)
CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)


def built(
    architecture: ENASMicroArchitecture, image_shape: ImageShape, **settings: Any
) -> ENASCellNetwork:
    settings = {"cells": 1, "filters": 4, **settings}
    network = build_network(architecture, image_shape, ENASCellNetworkSettings(**settings))
    assert isinstance(network, ENASCellNetwork)
    return network


def random_cells(seed: int, blocks: int = 5) -> ENASMicroArchitecture:
    search_space = ENASMicroSearchSpace(blocks)
    return search_space.decode(search_space.sample(np.random.default_rng(seed)))


def output_shapes(network: ENASCellNetwork, shape: ImageShape) -> list[tuple[int, int]]:
    """Width and size of every module's output."""
    shapes: list[tuple[int, int]] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        shapes.append((output.shape[1], output.shape[2]))

    for module in network.cells:
        module.register_forward_hook(keep)
    network(torch.randn(2, shape.channels, shape.height, shape.width))
    return shapes


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("seed", "shape", "settings"),
    [
        (0, DIGITS, {}),
        (1, DIGITS, {"cells": 2, "auxiliary_head": True, "drop_path_keep": 0.6, "dropout": 0.5}),
        (2, ImageShape(3, 33, 20, 5), {"filters": 3, "auxiliary_head": True}),
        (3, ImageShape(2, 1, 1, 3), {"filters": 1}),
    ],
    ids=["digits", "all settings", "odd", "one pixel"],
)
def test_random_cells_train(
    form: str, seed: int, shape: ImageShape, settings: dict[str, Any]
) -> None:
    network = built(random_cells(seed, blocks=2 + seed), shape, form=form, **settings)
    images = torch.randn(4, shape.channels, shape.height, shape.width)
    for dtype in (torch.float32, torch.bfloat16):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            outputs = network(images)
        assert isinstance(outputs, tuple) == bool(settings.get("auxiliary_head"))
        targets = torch.arange(4) % shape.classes
        both = outputs if isinstance(outputs, tuple) else (outputs,)
        assert {logits.shape for logits in both} == {(4, shape.classes)}
        torch.stack([F.cross_entropy(logits.float(), targets) for logits in both]).sum().backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert isinstance(network.eval()(images), Tensor)


def test_operations_are_those_of_the_search_space() -> None:
    assert tuple(OPERATIONS) == MICRO_OPERATIONS


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
def test_operations_keep_the_width(label: str, stride: int) -> None:
    output = OPERATIONS[label](6, 6, stride)(torch.randn(3, 6, 7, 9))
    assert output.shape == (3, 6, -(-7 // stride), -(-9 // stride))


def test_identity_of_stride_2_is_a_factorized_reduction() -> None:
    assert isinstance(OPERATIONS["identity"](4, 4, 2), FactorizedReduction)
    assert isinstance(OPERATIONS["identity"](4, 4, 1), nn.Identity)


def test_skeleton_of_the_final_network() -> None:
    network = built(published_cells(), CIFAR, cells=2, filters=4)
    normal, reduction = 5, 4  # states that each cell concatenates
    assert output_shapes(network, CIFAR) == [
        *[(4 * normal, 32)] * 2,
        (8 * reduction, 16),
        *[(8 * normal, 16)] * 2,
        (16 * reduction, 8),
        *[(16 * normal, 8)] * 2,
    ]


def test_skeleton_of_the_search() -> None:
    network = built(published_cells(), CIFAR, cells=1, filters=4, form="released_search")
    assert output_shapes(network, CIFAR) == [
        *((4, 32), (8, 16), (8, 16), (8, 16), (16, 8), (16, 8), (16, 8))
    ]
    assert [isinstance(module, HalvedOutput) for module in network.cells] == [
        *(False, True, False, False, True, False, False)
    ]


def published_cells() -> ENASMicroArchitecture:
    architecture = published("ENAS-micro")
    assert isinstance(architecture, ENASMicroArchitecture)
    return architecture


def cell_of(*hidden: tuple[int, int]) -> ENASCell:
    """A cell of identities that take these states."""
    blocks = tuple(Block(one, two, "identity", "identity", ADD) for one, two in hidden)
    return ENASCell.with_unused_concatenated(blocks)


def place(channels: int, reduction: bool = False) -> CellPlace:
    return CellPlace(reduction, State(channels, 0), State(4, 0), filters=4, keep=1.0)


@pytest.mark.parametrize(("final", "squeezes"), [(True, 2), (False, 1)])
def test_the_newer_input_of_a_final_cell_passes_one_more_convolution(
    final: bool, squeezes: int
) -> None:
    module = ENASCellModule(cell_of((0, 1)), place(12), final)
    assert sum(isinstance(m, nn.Conv2d) for m in module.newer.modules()) == squeezes
    assert isinstance(module.older, nn.Identity)
    assert sum(isinstance(m, nn.Conv2d) for m in module.project.modules()) == (0 if final else 1)


def test_inputs_are_those_that_the_states_number() -> None:
    current, previous = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
    module = ENASCellModule(cell_of((1, 1)), place(4), True)
    output = module(current, previous)
    assert module.concat == (0, 2)
    torch.testing.assert_close(output[:, :4], module.newer(current))
    torch.testing.assert_close(output[:, 4:], 2 * previous)


def test_a_loose_input_of_a_reduction_cell_is_halved() -> None:
    module = ENASCellModule(cell_of((1, 1)), place(4, reduction=True), True)
    assert module(torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)).shape == (2, 8, 3, 3)
    assert module.output == State(8, 1)


def test_drop_path_reaches_all_but_identities() -> None:
    network = built(published_cells(), DIGITS, drop_path_keep=0.6)
    assert len(network.drop_paths) == 3 * 8 + 2 * 9
    keeps = sorted({module.keep for module in network.drop_paths})
    assert keeps == pytest.approx([0.6, 0.68, 0.76, 0.84, 0.92])
    network.set_progress(0.5)
    assert all(m.progress == 0.5 for m in network.modules() if isinstance(m, DropPath))


@pytest.mark.parametrize("size", [1, 2, 5, 8, 16])
def test_the_auxiliary_head_takes_any_size(size: int) -> None:
    head = ENASAuxiliaryHead(6, size, size + 1, 7)
    assert head(torch.randn(3, 6, size, size + 1)).shape == (3, 7)


def test_the_auxiliary_head_is_after_the_second_reduction_and_counted_apart() -> None:
    settings = ENASCellNetworkSettings(auxiliary_head=True)
    with torch.device("meta"):
        network = build_network(published_cells(), CIFAR, settings)
    assert isinstance(network, ENASCellNetwork)
    assert network.auxiliary_place == 14
    assert count_parameters(network) == 4_587_372
    # 1x1 to 128, 2x2 to 768, their normalizations, and the classifier
    head = 720 * 128 + 2 * 128 + 4 * 128 * 768 + 2 * 768 + 768 * 10
    assert network.auxiliary_head is not None
    assert sum(p.numel() for p in network.auxiliary_head.parameters()) == head


def test_the_canonical_form_costs_the_same() -> None:
    architecture, settings = random_cells(4), ENASCellNetworkSettings(cells=1, filters=4)
    assert architecture.canonical() != architecture
    cost = measure_cost(architecture, DIGITS, settings)
    assert measure_cost(architecture.canonical(), DIGITS, settings) == cost


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cells": 0}, "cells: .* got 0"),
        ({"filters": 1.5}, "filters: .* got 1.5"),
        ({"form": "search"}, "form: .*'released_search', got 'search'"),
        ({"auxiliary_head": 1}, "auxiliary_head: .* got 1"),
        ({"drop_path_keep": 0}, "drop_path_keep: .* got 0"),
        ({"dropout": -0.1}, "dropout: .* got -0.1"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        ENASCellNetworkSettings(**settings)
