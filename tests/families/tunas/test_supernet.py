"""TuNAS's and ProxylessNAS's supernets: children are plain networks; the warm-up mixes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from nas_gym import ProxylessNASSearchSpace, SearchSpace
from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import InvalidSettings
from nas_gym.families.tunas.search_space import TuNASSearchSpace
from nas_gym.families.tunas.supernet import TuNASSupernet
from nas_gym.families.tunas.warm_up import Half, Mean
from nas_gym.networks import ImageShape, measure_cost
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.weight_sharing.sliced import SlicedSupernet
from nas_gym.weight_sharing.supernet import build_supernet

SHAPE = ImageShape(3, 16, 12, 10)
SETTINGS = MobileNetworkSettings(width=0.25, divisor=1)
SPACES: dict[str, SearchSpace] = {
    "proxylessnas": TuNASSearchSpace("proxylessnas"),
    "enlarged": TuNASSearchSpace("proxylessnas_enlarged"),
    "v3": TuNASSearchSpace("mobilenet_v3_like"),
    "ProxylessNAS": ProxylessNASSearchSpace(),
}
IMAGES = torch.randn(4, 3, 16, 12, generator=torch.Generator().manual_seed(0)).double()


def made(name: str) -> SlicedSupernet:
    torch.manual_seed(0)
    supernet = build_supernet(SPACES[name], SHAPE, SETTINGS).double()
    assert isinstance(supernet, SlicedSupernet)
    return supernet


def drawn(name: str, seed: int) -> Architecture:
    space = SPACES[name]
    return space.decode(space.sample(np.random.default_rng(seed)))


@pytest.mark.parametrize("name", SPACES)
def test_children_are_plain_networks_with_parts_of_the_shared_weights(name: str) -> None:
    supernet = made(name)
    for seed in range(2):
        child = drawn(name, seed)
        for mode in (True, False):
            supernet.train(mode).set_architecture(child)
            alone = supernet.child(child).train(mode)
            torch.testing.assert_close(supernet(IMAGES), alone(IMAGES))
        assert supernet.cost(child) == measure_cost(child, SHAPE, SETTINGS)
    before = supernet(IMAGES)
    supernet.set_architecture(drawn(name, 3))
    assert not torch.allclose(supernet(IMAGES), before)


@pytest.mark.parametrize("name", SPACES)
def test_a_step_trains_the_childs_weights_alone(name: str) -> None:
    supernet, child = made(name), drawn(name, 0)
    supernet.set_architecture(child)
    supernet(IMAGES).square().sum().backward()
    touched = sum(int((p.grad != 0).sum()) for p in supernet.parameters() if p.grad is not None)
    assert 0 < touched <= supernet.count_parameters(child)


@pytest.mark.parametrize("name", ["proxylessnas", "enlarged", "v3"])
def test_warm_up_takes_all_filters_and_all_operations_at_first_and_one_at_last(name: str) -> None:
    supernet, child = made(name), drawn(name, 1)
    assert isinstance(supernet, TuNASSupernet)
    supernet.set_architecture(child)
    plain = supernet(IMAGES)
    supernet.set_progress(0.0)
    warmed, network = supernet._warmed(child)  # type: ignore[arg-type]
    largest = supernet._largest_of("7")
    assert (warmed.filters, len(list(network.layers))) == (largest.filters, len(supernet.shared))  # type: ignore[arg-type]
    means = [module for module in network.modules() if isinstance(module, Mean)]
    halves = [module for module in network.modules() if isinstance(module, Half)]
    decisions = SPACES[name].decisions
    kernels = [each for each in decisions if each.name.endswith(("kernel", "squeeze"))]
    optional = [each for each in decisions if "zero" in each.choices]
    assert (len(means), len(halves)) == (len(kernels), len(optional))
    assert not torch.allclose(supernet(IMAGES), plain)
    assert supernet.eval()(IMAGES).shape == (4, 10)  # of the child, without a warm-up
    supernet.train().set_progress(0.25)
    torch.testing.assert_close(supernet(IMAGES), plain)


def test_the_mean_of_all_kernels_is_that_of_each_kernels_output() -> None:
    supernet: Any = made("proxylessnas")
    space = SPACES["proxylessnas"]
    name = "stem/separable/kernel"
    supernet.valid = dict.fromkeys(supernet.valid, ("x",)) | {name: ("3", "5", "7")}
    labels = {each.name: each.choices[0] for each in space.decisions}
    supernet.largest = {**supernet.largest, name: "7"}
    supernet._chosen = lambda _: dict(labels)
    supernet.set_progress(0.0)
    child = space.of_labels(labels)  # type: ignore[attr-defined]
    warmed, network = supernet._warmed(child)
    weights = dict(supernet.weights(warmed, network))
    mixed = torch.func.functional_call(network, weights, (IMAGES,))

    branches = []
    for kernel in ("3", "5", "7"):
        own: Any = supernet.child(space.of_labels({**labels, name: kernel}))  # type: ignore[attr-defined]
        branches.append(own.layers[1].body[:3](own.layers[0](IMAGES)))
    rest = own.layers[2:](own.layers[1].body[3:](torch.stack(branches).mean(0)))
    torch.testing.assert_close(mixed, own.classifier(own.head(rest)))


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InvalidArchitecture, match="is not in TuNAS proxylessnas"):
        made("proxylessnas").set_architecture(drawn("v3", 0))
    for name in ("v3", "ProxylessNAS"):
        with pytest.raises(InvalidSettings, match="batch_statistics: this supernet always"):
            build_supernet(SPACES[name], SHAPE, SETTINGS, batch_statistics=False)
