"""`MacroNetwork`: its three forms, and what a layer computes."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nas_gym import ENASMacroSearchSpace, InvalidSettings, published
from nas_gym.families.enas.macro_network import (
    MacroLayerModule,
    MacroNetwork,
    MacroNetworkSettings,
    operation,
)
from nas_gym.families.enas.macro_search_space import (
    MACRO_OPERATIONS,
    ENASMacroArchitecture,
    MacroLayer,
)
from nas_gym.networks import ImageShape, build_network, count_parameters, measure_cost

FORMS = ("released_final", "released_search", "paper")
DIGITS = ImageShape(channels=1, height=8, width=8, classes=10)
CIFAR = ImageShape(channels=3, height=32, width=32, classes=10)


def built(
    architecture: ENASMacroArchitecture, image_shape: ImageShape, **settings: Any
) -> MacroNetwork:
    settings = {"filters": 4, **settings}
    network = build_network(architecture, image_shape, MacroNetworkSettings(**settings))
    assert isinstance(network, MacroNetwork)
    return network


def random_network(seed: int, layers: int) -> ENASMacroArchitecture:
    search_space = ENASMacroSearchSpace(layers)
    return search_space.decode(search_space.sample(np.random.default_rng(seed)))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("layers", "shape", "settings"),
    [
        (1, DIGITS, {}),
        (2, ImageShape(2, 1, 1, 3), {"filters": 1}),
        (5, ImageShape(3, 33, 20, 5), {"filters": 3, "dropout": 0.5}),
        (12, DIGITS, {}),
    ],
    ids=["one layer", "one pixel", "odd", "12 layers"],
)
def test_random_networks_train(
    form: str, layers: int, shape: ImageShape, settings: dict[str, Any]
) -> None:
    network = built(random_network(layers, layers), shape, form=form, **settings)
    images = torch.randn(4, shape.channels, shape.height, shape.width)
    for dtype in (torch.float32, torch.bfloat16):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            logits = network(images)
        assert logits.shape == (4, shape.classes)
        F.cross_entropy(logits.float(), torch.arange(4) % shape.classes).backward()
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("label", MACRO_OPERATIONS)
def test_operations_keep_the_shape(form: str, label: str) -> None:
    module = operation(label, 6, form)
    assert module(torch.randn(2, 6, 7, 5)).shape == (2, 6, 7, 5)
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert convolutions[0].kernel_size == (1, 1)
    depthwise = [m for m in convolutions if m.groups == 6]
    assert bool(depthwise) == (label.startswith("separable") and form != "released_final")
    size = {"3x3": 3, "5x5": 5}.get(label[-3:])
    assert size is None or any(m.kernel_size == (size, size) for m in convolutions)


def test_search_adds_skips_and_normalizes_the_sum() -> None:
    outputs = [torch.randn(8, 4, 6, 6) for _ in range(4)]
    layer = MacroLayerModule(MacroLayer("conv_3x3", (0, 2)), 4, "released_search", first=False)
    joined = layer.operation(outputs[3]) + outputs[0] + outputs[2]
    torch.testing.assert_close(layer(outputs), F.batch_norm(joined, None, None, training=True))


@pytest.mark.parametrize("form", ["released_final", "paper"])
def test_final_networks_concatenate_skips_and_the_operation_last(form: str) -> None:
    outputs = [torch.randn(8, 4, 6, 6) for _ in range(4)]
    layer = MacroLayerModule(MacroLayer("conv_3x3", (0, 2)), 4, form, first=False)
    joined = torch.cat([outputs[0], outputs[2], layer.operation(outputs[3])], dim=1)
    assert isinstance(layer.join, nn.Sequential)
    expected = F.batch_norm(layer.join[1](F.relu(joined)), None, None, training=True)
    torch.testing.assert_close(layer(outputs), expected)


def test_the_first_layer_has_no_skips_to_join() -> None:
    outputs = [torch.randn(2, 4, 6, 6)]
    layer = MacroLayerModule(MacroLayer("max_pooling"), 4, "paper", first=True)
    torch.testing.assert_close(layer(outputs), layer.operation(outputs[0]))


@pytest.mark.parametrize(
    ("form", "widths"),
    [("released_search", [4] * 6), ("released_final", [4, 4, 8, 8, 16, 16]), ("paper", None)],
)
def test_reductions_halve_the_size_and_double_the_filters_of_final_networks(
    form: str, widths: list[int] | None
) -> None:
    network = built(random_network(0, 6), CIFAR, form=form)
    shapes: list[tuple[int, int]] = []

    def keep(_: nn.Module, __: object, output: Tensor) -> None:
        shapes.append((output.shape[1], output.shape[2]))

    for layer in network.layers:
        layer.register_forward_hook(keep)
    network(torch.randn(2, 3, 32, 32))
    assert [size for _, size in shapes] == [32, 32, 16, 16, 8, 8]
    assert [width for width, _ in shapes] == (widths or [4, 4, 8, 8, 16, 16])


def test_outputs_that_nothing_reads_later_are_not_reduced() -> None:
    layers = [MacroLayer("conv_3x3")] * 6
    layers[3] = MacroLayer("conv_3x3", (1,))
    layers[5] = MacroLayer("conv_3x3", (0,))
    network = built(ENASMacroArchitecture(tuple(layers)), DIGITS)
    reduced = {after: sorted(each) for after, each in network.reductions.items()}  # type: ignore[call-overload]
    assert reduced == {"2": ["0", "1", "2"], "4": ["0", "4"]}


def test_skips_reach_their_layer_through_reductions() -> None:
    layers = [MacroLayer("conv_3x3")] * 6
    layers[5] = MacroLayer("conv_3x3", (0,))
    network = built(ENASMacroArchitecture(tuple(layers)), DIGITS, form="released_search")
    seen: list[Tensor] = []
    last = network.layers[5]
    last.register_forward_pre_hook(lambda _, arguments: seen.extend(arguments[0]))
    images = torch.randn(4, 1, 8, 8)
    network.eval()(images)
    halves = [network.reductions[after]["0"] for after in ("2", "4")]  # type: ignore[index]
    torch.testing.assert_close(seen[0], halves[1](halves[0](network.stem(images))))


def test_forms_of_the_published_network_differ_as_described() -> None:
    parameters = []
    for form in FORMS:
        with torch.device("meta"):
            network = built(published_network(), CIFAR, form=form, filters=96)
        parameters.append(count_parameters(network))
    assert parameters == [42_559_392, 3_298_560, 30_947_424]


def published_network() -> ENASMacroArchitecture:
    architecture = published("ENAS-macro")
    assert isinstance(architecture, ENASMacroArchitecture)
    return architecture


def test_real_and_weightless_networks_cost_the_same() -> None:
    architecture, settings = random_network(3, 7), MacroNetworkSettings(filters=5)
    network = build_network(architecture, DIGITS, settings)
    assert count_parameters(network) == measure_cost(architecture, DIGITS, settings).parameters


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"filters": 0}, "filters: .* got 0"),
        ({"form": "final"}, "form: .*'released_final'.* got 'final'"),
        ({"dropout": 1.0}, "dropout: .* got 1.0"),
    ],
)
def test_bad_settings(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        MacroNetworkSettings(**settings)
