"""NAS-Bench-201's networks: exact parameter counts, and what a cell computes.

Counts: the released files of NATS-Bench (architectures 0, 11, 284) and of NAS-Bench-201 (ResNet,
6111), in which multiply-adds are given in millions with the classifier's 10 biases.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_gym import InvalidSettings, published
from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.network import GraphCell, NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201Architecture
from nas_gym.networks import (
    ImageShape,
    build_network,
    count_parameters,
    measure_cost,
    weightless_network,
)

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)
SMALL = NASBench201Settings(cells=1, filters=4)


@pytest.mark.parametrize(
    ("name", "parameters"), [("NAS-Bench-201-ResNet", 559_386), ("NAS-Bench-201-best", 1_073_466)]
)
def test_parameters_of_published_cells(name: str, parameters: int) -> None:
    assert measure_cost(published(name), CIFAR).parameters == parameters


def test_parameters_and_multiply_adds_of_the_released_table() -> None:
    path = data_folder() / "nasbench201_cifar10.npz"
    if not path.is_file():
        pytest.skip(f"missed {path}")
    with np.load(path, allow_pickle=False) as table:
        strings, millions = table["arch_str"], table["cifar10_params_m"]
    assert len(strings) == 15_625
    # All rows: examples/reproduction/nasbench201_parameters.py.
    for row in np.random.default_rng(0).choice(len(strings), 40, replace=False):
        architecture = NASBench201Architecture.from_string(strings[row].decode())
        parameters = count_parameters(weightless_network(architecture, CIFAR))
        assert parameters == round(float(millions[row]) * 1e6)
    for row, expected in ((0, 15.64737), (11, 113.95137), (284, 11.71521)):
        cost = measure_cost(NASBench201Architecture.from_string(strings[row].decode()), CIFAR)
        assert cost.multiply_adds + 10 == round(expected * 1e6)


def test_a_cell_sums_what_its_edges_bring() -> None:
    x = torch.randn(2, 4, 8, 8)
    skips = GraphCell(NASBench201Architecture(("skip_connect",) * 6), 4)
    assert torch.allclose(skips(x), 4 * x)
    dead = GraphCell(
        NASBench201Architecture(("nor_conv_3x3", "none", "none", "none", "none", "nor_conv_1x1")), 4
    )
    assert torch.equal(dead(x), torch.zeros_like(x))


def test_the_canonical_cell_computes_the_same() -> None:
    rng, seen = np.random.default_rng(1), 0
    operations = ("none", "skip_connect", "avg_pool_3x3")
    x = torch.randn(2, 4, 8, 8)
    for _ in range(60):
        architecture = NASBench201Architecture(tuple(rng.choice(operations, 6).tolist()))
        canonical = architecture.canonical()
        seen += canonical != architecture
        outputs = [GraphCell(each, 4)(x) for each in (architecture, canonical)]
        assert torch.allclose(outputs[0], outputs[1], atol=1e-5)
    assert seen > 10


@pytest.mark.parametrize("size", [8, 9, 32])
def test_forward_and_backward(size: int) -> None:
    shape = ImageShape(channels=1, height=size, width=size, classes=5)
    network = build_network(published("NAS-Bench-201-best"), shape, SMALL)
    logits = network(torch.randn(3, 1, size, size))
    assert isinstance(logits, torch.Tensor)
    assert logits.shape == (3, 5)
    logits.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_bad_settings() -> None:
    with pytest.raises(InvalidSettings, match="cells"):
        NASBench201Settings(cells=0)
