"""Networks that are too large are refused before their weights are drawn."""

from __future__ import annotations

import pytest
import torch
from torch.nn.modules import module

from nas_gym import InvalidSettings, load_dataset, published
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import (
    ImageShape,
    LatencySettings,
    build_network,
    limits,
    measure_cost,
    measure_latency,
)
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import train_child

DIGITS = ImageShape(channels=1, height=8, width=8, classes=10)
WIDE = CellNetworkSettings(cells=1, filters=65_536)


def test_weights_that_do_not_fit_are_not_drawn() -> None:
    hooks = len(module._global_parameter_registration_hooks)
    with pytest.raises(InvalidSettings, match=r"^network: .* choose fewer"):
        build_network(published("NASNet-A"), DIGITS, WIDE)
    assert len(module._global_parameter_registration_hooks) == hooks


def test_a_small_machine_takes_small_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = CellNetworkSettings(cells=1, filters=4)
    build_network(published("NASNet-A"), DIGITS, settings)
    monkeypatch.setattr(limits, "memory_bytes", lambda: 10_000)
    monkeypatch.setattr(limits, "LARGE", 1_000)
    with pytest.raises(InvalidSettings, match=r"^network: at least"):
        build_network(published("NASNet-A"), DIGITS, settings)
    assert measure_cost(published("NASNet-A"), DIGITS, settings).parameters > 2_500


def test_a_large_network_has_the_weights_that_it_has_unchecked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    networks = []
    for large in (limits.LARGE, 1_000):
        monkeypatch.setattr(limits, "LARGE", large)
        torch.manual_seed(0)
        networks.append(
            build_network(published("NASNet-A"), DIGITS, CellNetworkSettings(cells=1, filters=4))
        )
    for one, other in zip(*(network.parameters() for network in networks), strict=True):
        assert torch.equal(one, other)


def test_building_ends_at_the_largest_number_of_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MOST_MODULES", 100)
    with pytest.raises(InvalidSettings, match="network: it has over 100 modules"):
        measure_cost(published("NASNet-A"), DIGITS, CellNetworkSettings(cells=100))


def test_a_child_that_does_not_fit_is_a_status() -> None:
    evaluation = train_child(
        published("NASNet-A"), load_dataset("digits"), TrainingSettings(WIDE, epochs=1), "cpu"
    )
    assert (evaluation.status, evaluation.accuracy) == ("out_of_memory", 0)


def test_latency_on_images_that_do_not_fit_is_refused() -> None:
    shape = ImageShape(channels=3, height=65_536, width=65_536, classes=10)
    with pytest.raises(InvalidSettings, match=r"^latency: at least .* GiB"):
        measure_latency(
            published("MnasNet-A1"), shape, LatencySettings(batch_size=1_024, warmup=0, repeats=1)
        )


@pytest.mark.parametrize("wrong", [{"height": 65_537}, {"width": 0}, {"classes": 10**9}])
def test_absurd_shapes_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(InvalidSettings, match=next(iter(wrong))):
        ImageShape(**{"channels": 3, "height": 8, "width": 8, "classes": 10, **wrong})


def test_more_threads_than_any_machine_has_are_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"^threads: .* to 1024, got 100000"):
        LatencySettings(threads=100_000)
