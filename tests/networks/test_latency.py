"""Measured latency: how it is taken, and that it leaves everything as it was."""

from __future__ import annotations

import time
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nas_gym import InvalidSettings, published
from nas_gym.networks import (
    ImageShape,
    LatencySettings,
    MobileNetworkSettings,
    build_network,
    measure_latency,
)
from nas_gym.networks.devices import cpu_threads, hardware_name

SHAPE = ImageShape(channels=3, height=8, width=8, classes=5)
SMALL = MobileNetworkSettings(width=0.1, head_filters=8)


class Sleeper(nn.Module):
    """Takes as long as it is told, pass after pass; remembers what it was given."""

    def __init__(self, *seconds: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.seconds = list(seconds)
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        facts = (tuple(x.shape), self.training, torch.get_num_threads(), x.requires_grad)
        self.seen.append((*facts, torch.is_inference_mode_enabled()))
        time.sleep(self.seconds.pop(0))
        return x


def test_the_median_of_the_batches_after_the_warm_up() -> None:
    sleeper = Sleeper(0.2, 0.2, 0.01, 0.01, 0.01, 0.02, 0.2)
    latency = measure_latency(sleeper, SHAPE, LatencySettings(warmup=2, repeats=5))
    assert 0.01 <= latency.seconds < 0.02
    assert latency.seconds < latency.spread + 0.02
    assert latency.spread < 0.1
    assert sleeper.seconds == []


def test_the_spread_is_the_interquartile_range() -> None:
    latency = measure_latency(
        Sleeper(0.01, 0.01, 0.03, 0.05, 0.05), SHAPE, LatencySettings(warmup=0, repeats=5)
    )
    assert 0.03 <= latency.seconds < 0.05
    assert 0.03 < latency.spread < 0.06


def test_images_threads_and_mode_are_those_asked_for() -> None:
    sleeper = Sleeper(*[0.0] * 3).train()
    with cpu_threads(2):
        measure_latency(sleeper, SHAPE, LatencySettings(batch_size=4, warmup=1, repeats=2))
        assert torch.get_num_threads() == 2
    assert sleeper.seen == [((4, 3, 8, 8), False, 1, False, True)] * 3
    assert sleeper.training


def test_threads_and_mode_come_back_after_a_failure() -> None:
    sleeper = Sleeper().train()
    with cpu_threads(2):
        with pytest.raises(IndexError):
            measure_latency(sleeper, SHAPE)
        assert torch.get_num_threads() == 2
    assert sleeper.training


def test_a_network_and_the_random_numbers_stay_as_they_were() -> None:
    network = build_network(published("MnasNet-A1"), SHAPE, SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    state = torch.get_rng_state()
    assert measure_latency(network, SHAPE, LatencySettings(warmup=1, repeats=2)).seconds > 0
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])
    measure_latency(
        published("MnasNet-A1"), SHAPE, LatencySettings(warmup=0, repeats=1), network_settings=SMALL
    )
    assert torch.equal(torch.get_rng_state(), state)


def test_more_work_takes_longer() -> None:
    settings = LatencySettings(warmup=1, repeats=3)
    few, many = (
        measure_latency(published("MnasNet-A1"), SHAPE, settings, MobileNetworkSettings(width))
        for width in (0.25, 2.0)
    )
    assert many.seconds > 2 * few.seconds
    assert few.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"device": 0}, "device: expected a name, got 0"),
        ({"batch_size": 0}, "batch_size: .* got 0"),
        ({"threads": 0}, "threads: .* got 0"),
        ({"warmup": -1}, "warmup: .* got -1"),
        ({"repeats": 0}, "repeats: .* got 0"),
        ({"repeats": 2.0}, "repeats: .* got 2.0"),
    ],
)
def test_bad_settings(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        LatencySettings(**changes)


def test_a_device_that_does_not_exist() -> None:
    with pytest.raises(InvalidSettings, match="device: 'cuda:99' cannot be used"):
        measure_latency(Sleeper(), SHAPE, LatencySettings(device="cuda:99"))


def test_the_hardware_has_a_name() -> None:
    assert hardware_name(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_latency_on_a_gpu_is_that_of_the_work_not_of_its_launch() -> None:
    network = build_network(published("MnasNet-A1"), ImageShape(3, 224, 224, 1000))
    shape = ImageShape(3, 224, 224, 1000)
    one, many = (
        measure_latency(network, shape, LatencySettings(device="cuda", batch_size=batch))
        for batch in (1, 512)
    )
    assert many.seconds > 4 * one.seconds
    assert next(network.parameters()).device.type == "cpu"
    assert many.device.type == "cuda"
