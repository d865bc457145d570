"""Parameters and multiply-adds of published networks, to the last one.

The papers' figures, in brackets: NASNet, https://arxiv.org/abs/1707.07012, tables 1 to 3 (NASNet-A
6 @ 4032: 88.9 M, 23.8 B; 4 @ 1056: 5.3 M, 564 M; 6 @ 768: 3.3 M) and AmoebaNet,
https://arxiv.org/abs/1802.01548, tables 1 to 3 (AmoebaNet-A 6, 32: 2.6 M; 6, 36: 3.2 M; 4, 50:
5.1 M, 555 M; 6, 190: 86.7 M, 23.1 B; PNASNet-5 4, 216: 86.1 M, 25.0 B), EfficientNet,
https://arxiv.org/abs/1905.11946, table 2 (AmoebaNet-C: 155 M, 41 B), and ENAS,
https://arxiv.org/abs/1802.03268 (micro: 4.6 M with N = 6, of which the released script builds
N = 5; macro: 21.3 M and 38.0 M, which no form of the released network has: its count here is that
of the released script). The exact counts are those of the skeletons in the code released with them:
https://github.com/tensorflow/models, research/slim/nets/nasnet; https://github.com/tensorflow/tpu,
models/official/amoeba_net; and https://github.com/melodyguan/enas, src/cifar10.
"""

from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from nas_gym import published
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import (
    Cost,
    ImageShape,
    NetworkSettings,
    build_network,
    count_parameters,
    measure_cost,
    multiply_adds,
    weightless_network,
)
from nas_gym.networks.costs import SHAPES
from tests.helpers import random_architecture

CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)
MOBILE = ImageShape(channels=3, height=224, width=224, classes=1000)
LARGE = ImageShape(channels=3, height=331, width=331, classes=1000)


@pytest.mark.parametrize(
    ("name", "image_shape", "settings", "parameters", "operations"),
    [
        (
            "NASNet-A",
            LARGE,
            CellNetworkSettings(cells=6, filters=168, stem="imagenet", skip_reduction_input=True),
            88_753_150,
            23_783_414_658,
        ),
        (
            "NASNet-A",
            MOBILE,
            CellNetworkSettings(cells=4, filters=44, stem="imagenet"),
            5_289_978,
            563_638_816,
        ),
        ("NASNet-A", CIFAR, CellNetworkSettings(cells=6, filters=32), 3_346_538, 544_333_312),
        ("AmoebaNet-A", CIFAR, CellNetworkSettings(cells=6, filters=32), 2_567_754, 407_671_808),
        ("AmoebaNet-A", CIFAR, CellNetworkSettings(cells=6, filters=36), 3_218_266, 509_668_992),
        (
            "AmoebaNet-A",
            MOBILE,
            CellNetworkSettings(cells=4, filters=50, stem="imagenet", stem_filters=32),
            5_086_930,
            554_687_204,
        ),
        (
            "AmoebaNet-A",
            LARGE,
            CellNetworkSettings(cells=6, filters=190, stem="imagenet", stem_filters=32),
            86_718_797,
            23_133_663_507,
        ),
        (
            "AmoebaNet-C",
            LARGE,
            CellNetworkSettings(cells=6, filters=228, stem="imagenet", stem_filters=32),
            155_272_667,
            41_129_488_875,
        ),
        (
            "PNASNet-5",
            LARGE,
            CellNetworkSettings(
                cells=4,
                filters=216,
                stem="imagenet",
                separate_reductions=False,
                skip_reduction_input=True,
            ),
            86_057_668,
            24_937_395_792,
        ),
        ("ENAS-micro", CIFAR, ENASCellNetworkSettings(cells=6, filters=36), 4_587_372, 727_702_560),
        ("ENAS-micro", CIFAR, ENASCellNetworkSettings(cells=5, filters=36), 3_894_372, 620_907_552),
        ("ENAS-macro", CIFAR, MacroNetworkSettings(filters=96), 42_559_392, 5_646_094_080),
    ],
    ids=[
        "NASNet-A-6@4032",
        "4@1056",
        "6@768",
        "AmoebaNet-A-6-32",
        "6-36",
        "4-50",
        "6-190",
        "AmoebaNet-C-6-228",
        "PNASNet-5-4-216",
        "ENAS-micro-6",
        "ENAS-micro-5",
        "ENAS-macro",
    ],
)
def test_published_costs(
    name: str,
    image_shape: ImageShape,
    settings: NetworkSettings,
    parameters: int,
    operations: int,
) -> None:
    assert measure_cost(published(name), image_shape, settings) == Cost(parameters, operations)


def test_the_auxiliary_head_is_counted_apart() -> None:
    settings = CellNetworkSettings(cells=6, filters=32, auxiliary_head=True)
    with torch.device("meta"):
        network = build_network(published("NASNet-A"), CIFAR, settings)
    assert count_parameters(network) == 3_346_538
    everything = sum(parameter.numel() for parameter in network.parameters())
    assert everything == 3_346_538 + 1_631_498
    assert multiply_adds(network, CIFAR) == 544_333_312


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_network_as_it_was(training: bool) -> None:
    network = build_network(
        random_architecture(0), CIFAR, CellNetworkSettings(cells=1, filters=4, auxiliary_head=True)
    ).train(training)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    multiply_adds(network, CIFAR)
    assert all(module.training == training for module in network.modules())
    assert all(parameter.grad is None for parameter in network.parameters())
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_all_kinds_of_layers_are_counted_as_torch_counts_them() -> None:
    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.LSTM(32, 8, batch_first=True)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.transposed = nn.ConvTranspose1d(32, 4, 3)
            self.last = nn.Linear(8, 10)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            rows, _ = self.recurrent(images.mean(dim=1))
            rows, _ = self.attention(rows, rows, rows)
            products = torch.einsum("bij,bkj->bij", rows, rows).mean(dim=1)
            logits: torch.Tensor = self.last(products) + self.transposed(rows).sum()
            return logits

    network, counter = Mixed(), FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        network.eval()(CIFAR.batch(1, torch.device("cpu")))
    assert multiply_adds(network, CIFAR) == counter.get_total_flops() // 2 > 0


@pytest.mark.parametrize("seed", range(3))
def test_real_and_weightless_networks_cost_the_same(seed: int) -> None:
    architecture, settings = random_architecture(seed), CellNetworkSettings(cells=1, filters=4)
    network = build_network(architecture, CIFAR, settings)
    network = network.to(memory_format=torch.channels_last)
    cost = measure_cost(architecture, CIFAR, settings)
    assert count_parameters(network) == cost.parameters
    assert multiply_adds(network, CIFAR) == cost.multiply_adds


@pytest.mark.parametrize("seed", range(3))
def test_the_canonical_form_costs_the_same(seed: int) -> None:
    architecture = random_architecture(seed, blocks=3)
    settings = CellNetworkSettings(cells=1, filters=8)
    assert architecture.canonical() != architecture
    cost = measure_cost(architecture, CIFAR, settings)
    assert measure_cost(architecture.canonical(), CIFAR, settings) == cost


def test_weightless_networks_are_the_real_ones_without_numbers() -> None:
    settings = CellNetworkSettings(cells=1, filters=8)
    real = build_network(published("NASNet-A"), CIFAR, settings)
    weightless = weightless_network(published("NASNet-A"), CIFAR, settings)
    assert all(parameter.is_meta for parameter in weightless.parameters())
    shapes = [
        [(name, value.shape) for name, value in one.state_dict().items()]
        for one in (real, weightless)
    ]
    assert shapes[0] == shapes[1]


def test_measuring_draws_no_random_numbers() -> None:
    state = torch.get_rng_state()
    measure_cost(random_architecture(0), CIFAR, CellNetworkSettings(cells=1, filters=8))
    assert torch.equal(torch.get_rng_state(), state)


def test_trainable_parameters_alone_are_counted() -> None:
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 5, 3), torch.nn.BatchNorm2d(5))
    assert count_parameters(network) == 3 * 5 * 9 + 5 + 5 + 5


@pytest.mark.parametrize("operation", SHAPES, ids=str)
@pytest.mark.parametrize("training", [True, False])
def test_shapes_on_the_meta_device_are_torchs(operation: Any, training: bool) -> None:
    images = ImageShape(3, 4, 4, 10).batch(2, torch.device("meta")).bfloat16()
    weights = torch.zeros(4, 3, device="meta")
    normalizes = operation is torch.ops.aten.native_batch_norm.default
    arguments = (images, *weights, training, 0.1, 1e-5) if normalizes else (images,)
    facts = [
        [(each.shape, each.stride(), each.dtype, each.device) for each in tree_leaves(made)]
        for made in (SHAPES[operation](*arguments), operation(*arguments))
    ]
    assert facts[0] == facts[1]
