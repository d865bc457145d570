"""Measured latency: how it is taken, and that it leaves everything as it was."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from nas_gym import InvalidSettings, published
from nas_gym.families.mnasnet.network import MnasNetSettings
from nas_gym.networks import ImageShape, LatencySettings, build_network, measure_latency
from nas_gym.networks.devices import cpu_threads, hardware_name
from nas_gym.networks.latency import calls

SHAPE = ImageShape(channels=3, height=8, width=8, classes=5)
SMALL = MnasNetSettings(width=0.1, head_filters=8)


class Clock:
    """Stands in for `time`: it moves only when it is told, whatever else the machine does."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(calls, "time", clock)
    return clock


class Sleeper(nn.Module):
    """Takes as long as it is told, pass after pass; remembers what it was given."""

    def __init__(self, clock: Clock, *seconds: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.clock = clock
        self.seconds = list(seconds)
        self.seen: list[tuple[Any, ...]] = []

    def forward(self, x: Tensor) -> Tensor:
        facts = (tuple(x.shape), self.training, torch.get_num_threads(), x.requires_grad)
        self.seen.append((*facts, torch.is_inference_mode_enabled()))
        self.clock.now += self.seconds.pop(0)
        return x


def test_the_median_of_the_batches_after_the_warm_up(clock: Clock) -> None:
    sleeper = Sleeper(clock, 20.0, 20.0, 1.0, 1.0, 1.0, 2.0, 20.0)
    latency = measure_latency(sleeper, SHAPE, LatencySettings(warmup=2, repeats=5))
    assert latency.seconds == 1.0
    assert sleeper.seconds == []


def test_the_spread_is_the_interquartile_range(clock: Clock) -> None:
    sleeper = Sleeper(clock, 1.0, 9.0, 3.0, 6.0, 2.0)
    latency = measure_latency(sleeper, SHAPE, LatencySettings(warmup=0, repeats=5))
    assert (latency.seconds, latency.spread) == (3.0, 4.0)


def test_images_threads_and_mode_are_those_asked_for(clock: Clock) -> None:
    sleeper = Sleeper(clock, *[0.0] * 3).train()
    with cpu_threads(2):
        measure_latency(sleeper, SHAPE, LatencySettings(batch_size=4, warmup=1, repeats=2))
        assert torch.get_num_threads() == 2
    assert sleeper.seen == [((4, 3, 8, 8), False, 1, False, True)] * 3
    assert sleeper.training


def test_threads_and_mode_come_back_after_a_failure(clock: Clock) -> None:
    sleeper = Sleeper(clock).train()
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


@pytest.fixture
def second_per_convolution(clock: Clock) -> Iterator[None]:
    """Makes every convolution take a second, and nothing else any time."""

    def pass_time(module: nn.Module, args: Any, output: Any) -> None:
        clock.now += isinstance(module, nn.Conv2d)

    handle = register_module_forward_hook(pass_time)
    yield
    handle.remove()


@pytest.mark.usefixtures("second_per_convolution")
@pytest.mark.parametrize("name", ["MnasNet-A1", "MobileNetV2"])
def test_an_architecture_takes_what_its_whole_network_takes(name: str) -> None:
    network = build_network(published(name), SHAPE, SMALL)
    convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    settings = LatencySettings(warmup=1, repeats=3)
    latency = measure_latency(published(name), SHAPE, settings, SMALL)
    assert (latency.seconds, latency.spread) == (convolutions, 0.0)
    assert latency.device == torch.device("cpu")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"device": 0}, "device: expected a valid string, got 0"),
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


def test_a_device_that_does_not_exist(clock: Clock) -> None:
    with pytest.raises(InvalidSettings, match="device: 'cuda:99' cannot be used"):
        measure_latency(Sleeper(clock), SHAPE, LatencySettings(device="cuda:99"))


def test_the_hardware_has_a_name() -> None:
    assert hardware_name(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_latency_on_a_gpu_is_that_of_the_work_not_of_its_launch() -> None:
    class Spinner(nn.Module):
        """Keeps the GPU busy for longer than any launch takes: 1e8 of its cycles."""

        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            torch.cuda._sleep(100_000_000)
            return x

    spinner = Spinner()
    latency = measure_latency(spinner, SHAPE, LatencySettings("cuda", warmup=1, repeats=3))
    assert latency.seconds > 0.025  # no GPU's clock reaches 4 GHz
    assert spinner.weight.device.type == "cpu"
    assert latency.device.type == "cuda"
