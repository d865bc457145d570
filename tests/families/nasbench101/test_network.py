"""NAS-Bench-101's networks: exact parameter counts, widths of vertices, what a cell computes.

Counts: Ying et al. 2019, https://github.com/google-research/nasbench, NASBench.ipynb (the
Inception-like cell), and the released table's first row. Widths: the released code's own examples
of its rule, nasbench/tests/model_builder_test.py.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from nas_gym import InvalidSettings, NASBench101SearchSpace, published
from nas_gym.families.nasbench101.network import NASBench101Settings, VertexCell, vertex_channels
from nas_gym.networks import ImageShape, build_network, count_parameters, weightless_network
from tests.families.nasbench101.test_search_space import CONV1, CONV3, FIRST_ROW, POOL, cell

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)
SMALL = NASBench101Settings(cells=1, filters=7)
SEARCH_SPACE = NASBench101SearchSpace()


def test_parameters_of_published_cells() -> None:
    for architecture, parameters in (
        (published("NAS-Bench-101-Inception"), 2_694_282),
        (FIRST_ROW, 8_555_530),
    ):
        assert count_parameters(weightless_network(architecture, CIFAR)) == parameters


@pytest.mark.parametrize(
    ("rows", "channels", "filters", "widths"),
    [
        ("01 00", 5, 1, [5, 1]),
        ("0100 0010 0001 0000", 8, 16, [8, 16, 16, 16]),
        ("01100 00010 00010 00001 00000", 16, 8, [16, 8, 8, 8, 8]),
        ("0110 0001 0001 0000", 8, 15, [8, 8, 7, 15]),
        ("01110 00001 00001 00001 00000", 8, 8, [8, 3, 3, 2, 8]),
        ("01110 00001 00001 00001 00000", 8, 15, [8, 5, 5, 5, 15]),
        ("01000 00110 00001 00001 00000", 8, 9, [8, 5, 5, 4, 9]),
        ("01010 00101 00010 00001 00000", 8, 15, [8, 8, 7, 7, 15]),
    ],
)
def test_widths_of_vertices(rows: str, channels: int, filters: int, widths: list[int]) -> None:
    graph = cell(rows, *[CONV1] * (len(widths) - 2))
    assert vertex_channels(graph, channels, filters) == widths


def test_a_cell_adds_inside_and_concatenates_at_its_output() -> None:
    x = torch.randn(2, 3, 6, 6)
    graph = cell("01101 00101 00011 00001 00000", POOL, POOL, POOL)
    module = VertexCell(graph, 3, 8).eval()
    assert module.widths == [3, 3, 3, 2, 8]
    pool, into = torch.nn.MaxPool2d(3, 1, 1), module.projections
    one = pool(into["1"](x))
    two = pool(one + into["2"](x))
    three = pool(two[:, :2])
    expected = torch.cat((one, two, three), dim=1) + into["4"](x)
    assert torch.allclose(module(x), expected, atol=1e-6)


def test_a_cell_without_inner_vertices_is_a_projection() -> None:
    x = torch.randn(2, 3, 6, 6)
    module = VertexCell(cell("01 00"), 3, 8).eval()
    assert torch.equal(module(x), module.projections["1"](x))


def test_the_same_cell_in_another_order_has_as_many_parameters() -> None:
    settings = NASBench101Settings(cells=1, filters=60)  # divides by 1 to 5
    rng = np.random.default_rng(0)
    for _ in range(10):
        architecture = SEARCH_SPACE.decode(SEARCH_SPACE.sample(rng))
        forms = (architecture, architecture.pruned(), architecture.canonical())
        counts = {count_parameters(weightless_network(form, CIFAR, settings)) for form in forms}
        assert len(counts) == 1


@pytest.mark.parametrize("size", [1, 8, 9, 32])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_forward_and_backward(size: int, layout: torch.memory_format) -> None:
    shape = ImageShape(channels=1, height=size, width=size, classes=5)
    rng = np.random.default_rng(size)
    for _ in range(6):
        architecture = SEARCH_SPACE.decode(SEARCH_SPACE.sample(rng))
        network = build_network(architecture, shape, SMALL).to(memory_format=layout)
        images = torch.randn(3, 1, size, size).to(memory_format=layout)
        for autocast in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                logits = network(images)
            assert isinstance(logits, torch.Tensor)
            assert logits.shape == (3, 5)
            network.zero_grad()
            logits.float().square().sum().backward()
            gradients = [parameter.grad for parameter in network.parameters()]
            assert all(g is not None and g.isfinite().all() for g in gradients)


def test_weights_follow_from_the_seed() -> None:
    drawn = []
    for _ in range(2):
        torch.manual_seed(3)
        network = build_network(FIRST_ROW, CIFAR, SMALL)
        drawn.append(torch.cat([parameter.flatten() for parameter in network.parameters()]))
    assert torch.equal(*drawn)


def test_few_filters_are_enough_for_many_vertices_at_the_output() -> None:
    four = cell("011110 000001 000001 000001 000001 000000", CONV3, CONV1, POOL, CONV3)
    assert vertex_channels(four, 5, 5) == [5, 2, 1, 1, 1, 5]
    build_network(four, CIFAR, NASBench101Settings(filters=5))


def test_bad_settings() -> None:
    for name, least in (("cells", 1), ("stacks", 1), ("filters", 5)):
        with pytest.raises(InvalidSettings, match=f"{name}: .* to {least}, got"):
            NASBench101Settings(**{name: least - 1})
