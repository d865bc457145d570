"""`CellNetwork` and its operations: shapes, gradients, and what training alone does."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from examples.benchmarks.kernel_calls import KernelCalls
from nas_gym import InvalidArchitecture, InvalidSettings, published
from nas_gym.families.nasnet.network import CellModule, CellNetwork, CellNetworkSettings
from nas_gym.networks import (
    ImageShape,
    NetworkSettings,
    build_network,
    count_parameters,
    multiply_adds,
)
from nas_gym.networks.cells import BlockModule
from nas_gym.networks.operations import OPERATIONS, DropPath, FactorizedReduction, concatenate
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces import cells as labels
from nas_gym.search_spaces.cells import ADD, CONCATENATE
from tests.helpers import LayersArchitecture, random_architecture

DIGITS = ImageShape(channels=1, height=8, width=8, classes=10)
CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)


def built(architecture: CellArchitecture, image_shape: ImageShape, **settings: Any) -> CellNetwork:
    network = build_network(
        architecture, image_shape, CellNetworkSettings(**{"cells": 1, "filters": 4, **settings})
    )
    assert isinstance(network, CellNetwork)
    return network


def cells_of(network: CellNetwork) -> list[CellModule]:
    return [cell for cell in network.cells if isinstance(cell, CellModule)]


def images(shape: ImageShape, batch: int = 4) -> Tensor:
    return torch.randn(batch, shape.channels, shape.height, shape.width)


def using_both_inputs(seed: int, blocks: int) -> CellArchitecture:
    """A random architecture whose cells both use both of their inputs."""
    for attempt in range(seed * 1000, (seed + 1) * 1000):
        architecture = random_architecture(attempt, blocks)
        cells = (architecture.normal, architecture.reduction)
        if all({h for b in cell.blocks for h, _ in b.inputs} >= {0, 1} for cell in cells):
            return architecture
    raise AssertionError("none found")


def check_trains(network: CellNetwork, shape: ImageShape) -> None:
    """One step forward and backward: the right shape, a finite gradient for every parameter."""
    outputs = network(images(shape))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    for logits in outputs:
        assert logits.shape == (4, shape.classes)
    labels = torch.arange(4) % shape.classes
    torch.stack([F.cross_entropy(logits, labels) for logits in outputs]).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
    with torch.no_grad():
        assert network.eval()(images(shape)).shape == (4, shape.classes)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        (DIGITS, {}),
        (CIFAR, {"filters": 3}),
        (ImageShape(3, 64, 64, 7), {"stem": "imagenet", "filters": 8}),
    ],
    ids=["8x8x1", "32x32x3", "64x64 imagenet"],
)
def test_random_architectures_train(seed: int, shape: ImageShape, settings: dict[str, Any]) -> None:
    check_trains(built(using_both_inputs(seed, blocks=1 + seed % 5), shape, **settings), shape)


@pytest.mark.parametrize("hidden", [0, 1])
def test_cells_that_ignore_one_input_train(hidden: int) -> None:
    label = "3x3 depthwise-separable conv"
    cell = Cell((Block(hidden, hidden, label, label, ADD),), (2,))
    network = built(CellArchitecture(cell, cell), DIGITS)
    x = images(DIGITS).requires_grad_()
    network(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
    assert x.grad.any()
    for name, parameter in network.named_parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("name", ["NASNet-A", "AmoebaNet-A"])
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        (ImageShape(1, 9, 9, 3), {"filters": 11}),
        (ImageShape(3, 33, 33, 10), {"filters": 5}),
        (ImageShape(2, 8, 13, 10), {"cells": 2, "filters": 1}),
        (ImageShape(3, 1, 1, 2), {}),
        (ImageShape(3, 33, 40, 5), {"stem": "imagenet", "filters": 11}),
        (ImageShape(3, 35, 35, 5), {"stem": "imagenet", "filters": 2}),
        (CIFAR, {"auxiliary_head": True, "drop_path_keep": 0.6, "dropout": 0.5}),
    ],
    ids=["9x9", "33x33", "8x13", "1x1", "33x40 imagenet", "35x35 imagenet", "all settings"],
)
def test_odd_sizes_and_widths_train(name: str, shape: ImageShape, settings: dict[str, Any]) -> None:
    architecture = published(name)
    assert isinstance(architecture, CellArchitecture)
    check_trains(built(architecture, shape, **settings), shape)


def test_concatenating_blocks_train() -> None:
    label = "3x3 depthwise-separable conv"
    blocks = tuple(
        Block(hidden, index, op, op, CONCATENATE)
        for index, (hidden, op) in enumerate([(0, label), (2, "identity"), (3, "1x1 convolution")])
    )
    cell = Cell(blocks, (0, 1, 2, 4))
    network = built(CellArchitecture(cell, cell), CIFAR)
    check_trains(network, CIFAR)
    assert [cell.output.channels for cell in cells_of(network)] == [16, 32, 32, 64, 64]


def test_operations_are_those_of_the_search_space() -> None:
    assert tuple(OPERATIONS) == labels.OPERATIONS


@pytest.mark.parametrize("label", OPERATIONS)
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(("channels", "filters"), [(6, 6), (6, 9), (9, 5), (1, 1)])
def test_operations_give_filters_and_size(
    label: str, stride: int, channels: int, filters: int
) -> None:
    operation = OPERATIONS[label](channels, filters, stride)
    for height, width in ((8, 8), (7, 9), (1, 2)):
        output = operation(torch.randn(3, channels, height, width))
        assert output.shape == (3, filters, -(-height // stride), -(-width // stride))
        assert output.isfinite().all()


def test_identity_of_equal_shape_is_the_state_itself() -> None:
    state = torch.randn(2, 4, 5, 5)
    assert torch.equal(OPERATIONS["identity"](4, 4, 1)(state), state)


def test_average_pooling_does_not_count_the_padding() -> None:
    ones = torch.ones(1, 2, 5, 5)
    assert torch.equal(OPERATIONS["3x3 average pooling"](2, 2, 1)(ones), ones)


def test_factorized_reduction_sees_even_and_odd_pixels() -> None:
    module = FactorizedReduction(1, 2).eval()
    assert module.even is not None
    nn.init.ones_(module.even.weight)
    nn.init.ones_(module.odd.weight)
    image = torch.arange(25.0).view(1, 1, 5, 5)
    even, odd = module(image)[0] * (1 + module.norm.eps) ** 0.5
    torch.testing.assert_close(even, image[0, 0, ::2, ::2])
    torch.testing.assert_close(odd, F.pad(image[0, 0, 1::2, 1::2], (0, 1, 0, 1)))


@pytest.mark.parametrize(
    ("stem", "stem_filters", "filters", "expected"),
    [
        ("cifar", None, 4, 12),
        ("cifar", 7, 4, 7),
        ("imagenet", None, 4, 32),
        ("imagenet", None, 83, 32),
        ("imagenet", None, 84, 96),
        ("imagenet", 10, 84, 10),
    ],
)
def test_filters_of_the_stem(
    stem: str, stem_filters: int | None, filters: int, expected: int
) -> None:
    settings: dict[str, Any] = {"stem": stem, "stem_filters": stem_filters, "filters": filters}
    with torch.device("meta"):
        network = built(random_architecture(0, blocks=1), CIFAR, **settings)
    assert network.stem(torch.zeros(1, 3, 32, 32, device="meta")).shape[1] == expected


@pytest.mark.parametrize(("height", "stem"), [(95, "cifar"), (96, "imagenet")])
def test_auto_takes_the_stem_by_the_images_height(height: int, stem: str) -> None:
    shape = ImageShape(3, height, height, 10)
    assert CellNetworkSettings().resolved_stem(shape) == stem
    architecture = random_architecture(0, blocks=1)
    with torch.device("meta"):
        chosen, auto = (built(architecture, shape, stem=s) for s in (stem, "auto"))
    assert [p.shape for p in auto.parameters()] == [p.shape for p in chosen.parameters()]


@pytest.mark.parametrize(
    ("stem", "widths", "halvings"),
    [
        ("cifar", [8, 8, 16, 16, 16, 32, 32, 32], [0, 0, 1, 1, 1, 2, 2, 2]),
        ("imagenet", [2, 4, 8, 8, 16, 16, 16, 32, 32, 32], [1, 2, 2, 2, 3, 3, 3, 4, 4, 4]),
    ],
)
def test_skeleton_of_the_two_stems(stem: str, widths: list[int], halvings: list[int]) -> None:
    cell = Cell((Block(0, 1, "identity", "identity", ADD),), (2,))
    network = built(CellArchitecture(cell, cell), CIFAR, stem=stem, cells=2, filters=8)
    outputs: list[tuple[int, ...]] = []
    for module in network.cells:
        module.register_forward_hook(lambda _, __, output: outputs.append(output.shape[1:3]))
    network(images(CIFAR))
    size = 32 if stem == "cifar" else 15
    assert outputs == [
        (width, -(-size // 2**times)) for width, times in zip(widths, halvings, strict=True)
    ]


def test_drop_path_is_the_identity_in_eval_mode_and_at_the_start() -> None:
    drop_path = DropPath(keep=0.5)
    x = torch.randn(64, 3, 2, 2)
    assert torch.equal(drop_path.train()(x), x)
    drop_path.progress = 1.0
    assert torch.equal(drop_path.eval()(x), x)
    assert not torch.equal(drop_path.train()(x), x)


def test_drop_path_computes_nothing_in_eval_mode_after_a_training_with_graphs() -> None:
    drop_path, states = DropPath(keep=0.5).eval(), torch.ones(2, 3, 4, 4)
    drop_path.progress = torch.tensor(1.0)
    with KernelCalls() as counter:
        drop_path(states)
    assert counter.total == 0


@pytest.mark.parametrize("keep", [0.6, 0.9])
@pytest.mark.parametrize("progress", [0.5, 1.0])
def test_drop_path_drops_whole_examples_and_preserves_the_mean(
    keep: float, progress: float
) -> None:
    drop_path = DropPath(keep).train()
    drop_path.progress = progress
    expected = 1 - progress * (1 - keep)
    examples = drop_path(torch.ones(20_000, 3, 2, 2)).flatten(1)
    kept = examples[:, 0] > 0
    assert torch.equal(examples, examples[:, :1].expand_as(examples))
    torch.testing.assert_close(examples[kept], torch.full_like(examples[kept], 1 / expected))
    assert kept.float().mean().item() == pytest.approx(expected, abs=0.015)
    assert examples.mean().item() == pytest.approx(1, abs=0.03)


def test_drop_path_is_scheduled_linearly_in_depth_and_progress() -> None:
    network = built(published_a(), CIFAR, drop_path_keep=0.6)
    cells = len(network.cells)
    for number, cell in enumerate(network.cells, start=1):
        keeps = [module.keep for module in cell.modules() if isinstance(module, DropPath)]
        assert keeps == pytest.approx([1 - 0.4 * number / cells] * len(keeps))
        operations = [label for block in published_a().normal.blocks for _, label in block.inputs]
        if number in (1, 3, 5):
            assert len(keeps) == sum(label != "identity" for label in operations)
    network.set_progress(0.25)
    assert {drop_path.progress for drop_path in network.drop_paths} == {0.25}


def test_drop_path_leaves_a_network_in_eval_mode_alone() -> None:
    network = built(published_a(), DIGITS, drop_path_keep=0.3).eval()
    x = images(DIGITS)
    with torch.no_grad():
        network.set_progress(0.0)
        before = network(x)
        network.set_progress(1.0)
        assert torch.equal(network(x), before)
        network.train()
        assert not torch.equal(network(x), network(x))


def test_dropout_drops_in_training_only() -> None:
    network = built(published_a(), DIGITS, dropout=0.5)
    x = images(DIGITS)
    with torch.no_grad():
        assert not torch.equal(network(x), network(x))
        network.eval()
        assert torch.equal(network(x), network(x))


@pytest.mark.parametrize(
    "shape", [DIGITS, CIFAR, ImageShape(3, 19, 33, 10), ImageShape(1, 8, 20, 10)]
)
def test_the_auxiliary_head_answers_in_training_only(shape: ImageShape) -> None:
    network = built(random_architecture(1), shape, auxiliary_head=True)
    outputs = network.train()(images(shape))
    assert [output.shape for output in outputs] == [(4, 10), (4, 10)]
    assert isinstance(network.eval()(images(shape)), Tensor)


def test_the_auxiliary_head_taps_the_last_cell_before_the_second_reduction() -> None:
    network = built(random_architecture(1), CIFAR, auxiliary_head=True, cells=3)
    assert network.auxiliary_after == 7  # 3 normal, 1 reduction, 3 normal
    assert [cell.output.halvings for cell in cells_of(network)[6:8]] == [1, 2]


def test_skip_reduction_input_feeds_the_cell_after_a_reduction_from_before_it() -> None:
    plain, skipping = (
        built(random_architecture(2), CIFAR, cells=2, skip_reduction_input=skip)
        for skip in (False, True)
    )
    # Cells 1 2 R3 4 5 R6 7 8; output 0 is the stem's.
    assert plain.older_input == [0, 0, 1, 2, 3, 4, 5, 6]
    assert skipping.older_input == [0, 0, 1, 1, 3, 4, 4, 6]
    assert count_parameters(plain) == count_parameters(skipping)
    assert multiply_adds(plain, CIFAR) == multiply_adds(skipping, CIFAR)
    skipping.load_state_dict(plain.state_dict())
    x = images(CIFAR)
    with torch.no_grad():
        assert not torch.equal(plain.eval()(x), skipping.eval()(x))


def test_reductions_take_the_place_of_normal_cells_where_they_are_not_separate() -> None:
    architecture = random_architecture(2)
    network = built(
        architecture,
        CIFAR,
        cells=3,
        separate_reductions=False,
        skip_reduction_input=True,
        auxiliary_head=True,
    )
    # Cells 1 2 3 R4 5 6 R7 8 9; output 0 is the stem's.
    assert [cell.output.halvings for cell in cells_of(network)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert network.older_input == [0, 0, 1, 2, 2, 4, 5, 5, 7]
    assert network.auxiliary_after == 6


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("cells", 0),
        ("cells", 1.0),
        ("cells", True),
        ("filters", -4),
        ("filters", "8"),
        ("filters", None),
        ("stem", "mnist"),
        ("stem", None),
        ("stem_filters", 0),
        ("stem_filters", 2.5),
        ("drop_path_keep", 0),
        ("drop_path_keep", 1.01),
        ("drop_path_keep", float("nan")),
        ("drop_path_keep", "0.6"),
        ("drop_path_keep", None),
        ("dropout", -0.1),
        ("dropout", 1),
        ("dropout", float("nan")),
        ("dropout", None),
    ],
)
def test_bad_settings_are_refused_by_name(setting: str, value: Any) -> None:
    with pytest.raises(InvalidSettings, match=f"^{setting}: .*{value!r}"):
        CellNetworkSettings(**{setting: value})


def test_images_too_small_for_the_imagenet_stem_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="2x8 are too small for the imagenet stem"):
        built(random_architecture(0), ImageShape(3, 2, 8, 10), stem="imagenet")


def test_another_familys_settings_are_refused() -> None:
    says = "NetworkSettings does not fit 'cells' architectures; expected CellNetworkSettings"
    with pytest.raises(InvalidSettings, match=says):
        build_network(random_architecture(0), CIFAR, NetworkSettings())


def test_an_unregistered_kind_of_architecture_is_refused() -> None:
    with pytest.raises(
        InvalidArchitecture, match=r"no family has a network for LayersArchitecture"
    ):
        build_network(LayersArchitecture(("8",)), CIFAR)


def test_settings_have_defaults() -> None:
    with torch.device("meta"):
        network = build_network(random_architecture(0), CIFAR)
        expected = build_network(random_architecture(0), CIFAR, CellNetworkSettings())
    assert isinstance(network, CellNetwork)
    assert [p.shape for p in network.parameters()] == [p.shape for p in expected.parameters()]


def test_weights_follow_from_torchs_seed() -> None:
    networks = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        networks.append(built(random_architecture(0), DIGITS))
    first, again, other = ([p.clone() for p in network.parameters()] for network in networks)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(torch.equal(a, b) for a, b in zip(first, other, strict=True))


def test_convolutions_start_with_a_variance_of_two_over_the_fan_out() -> None:
    network = built(published_a(), CIFAR, filters=32)
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and module.weight.numel() > 2000:
            fan_out = module.weight[0, 0].numel() * module.out_channels / module.groups
            assert module.weight.std().item() == pytest.approx((2 / fan_out) ** 0.5, rel=0.1)
    assert not network.classifier.bias.any()


@pytest.mark.parametrize("stem", ["cifar", "imagenet"])
def test_channels_last_changes_no_result(stem: str) -> None:
    network = built(published_a(), CIFAR, stem=stem, filters=8).double()
    x = images(CIFAR).double()
    results = []
    for layout in (torch.contiguous_format, torch.channels_last):
        network.zero_grad()
        network.to(memory_format=layout)
        logits = network(x.to(memory_format=layout))
        logits.square().sum().backward()
        gradients = [p.grad.clone() for p in network.parameters() if p.grad is not None]
        results.append([logits.detach(), *gradients])
    for contiguous, channels_last in zip(*results, strict=True):
        torch.testing.assert_close(channels_last, contiguous)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("widths", [(3,), (3, 5), (2, 4, 1)])
def test_concatenate_and_its_gradients_equal_torchs(
    layout: torch.memory_format, widths: tuple[int, ...]
) -> None:
    base = [torch.randn(2, width, 4, 4) for width in widths]
    weight = torch.randn(2, sum(widths), 4, 4).to(memory_format=layout)
    gradients: list[list[Tensor]] = []  # as they are, not as a leaf stores them
    outputs = []
    for join in (concatenate, torch.cat):
        states = [s.to(memory_format=layout, copy=True).requires_grad_() for s in base]
        output = join(states) if join is concatenate else torch.cat(states, dim=1)
        outputs.append(output)
        gradients.append(list(torch.autograd.grad((output * weight).sum(), states)))
    assert torch.equal(outputs[0], outputs[1])
    for ours, torchs in zip(*gradients, strict=True):
        assert torch.equal(ours, torchs)
        assert ours.is_contiguous(memory_format=layout)


def test_concatenate_without_gradients_equals_torchs() -> None:
    states = [torch.randn(2, width, 4, 4) for width in (3, 5)]
    with torch.no_grad():
        assert torch.equal(concatenate(states), torch.cat(states, dim=1))


def test_cells_pass_their_outputs_on_in_order() -> None:
    network = built(random_architecture(4), DIGITS, cells=2).eval()
    seen: list[tuple[Tensor, ...]] = []
    for cell in network.cells:
        cell.register_forward_hook(lambda _, inputs, output: seen.append((*inputs, output)))
    with torch.no_grad():
        network(images(DIGITS))
    for (current, _, output), (following, _, _) in pairwise(seen):
        assert following is output
        assert current is not output
    outputs = [seen[0][0], *(output for _, _, output in seen)]
    for (_, older, _), number in zip(seen, network.older_input, strict=True):
        assert older is outputs[number]


def test_addition_and_concatenation_combine_two_halves() -> None:
    for combine in (ADD, CONCATENATE):
        cell = Cell((Block(0, 1, "identity", "3x3 max pooling", combine),), (2,))
        network = built(CellArchitecture(cell, cell), CIFAR, cells=2)
        module = cells_of(network)[1].blocks[0]
        assert isinstance(module, BlockModule)
        first, second = torch.randn(2, 4, 6, 6), torch.randn(2, 4, 6, 6)
        pooled = F.max_pool2d(second, 3, 1, 1)
        expected = first + pooled if combine == ADD else torch.cat((first, pooled), dim=1)
        torch.testing.assert_close(module([first, second]), expected)


def published_a() -> CellArchitecture:
    architecture = published("NASNet-A")
    assert isinstance(architecture, CellArchitecture)
    return architecture
