"""Latency tables: what is measured, what is predicted from it, and where tables are used."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nas_gym import InvalidSettings, TrainingSettings, load_dataset, published
from nas_gym.families.mnasnet.network import MnasNetSettings
from nas_gym.networks import (
    ImageShape,
    LatencySettings,
    LatencyTable,
    build_network,
    measure_latency,
)
from nas_gym.networks.latency import recording
from nas_gym.networks.latency.calls import calls_of
from nas_gym.networks.latency.measuring import Latency
from nas_gym.networks.latency.recording import record_table
from nas_gym.training.trainer import Trainer

SHAPE = ImageShape(channels=1, height=8, width=8, classes=10)
SMALL = MnasNetSettings(width=0.1, head_filters=8)
HOW = LatencySettings(warmup=0, repeats=1)
WIDTHS = (1, 2, 5, 3)


def chain(width: int) -> nn.Module:
    head = (nn.BatchNorm2d(width), nn.ReLU(), nn.Flatten(), nn.Linear(64 * width, 10))
    return nn.Sequential(nn.Conv2d(1, width, 3, padding=1), *head)


def mnasnet() -> nn.Module:
    network = build_network(published("MnasNet-A1"), SHAPE, SMALL)
    return network.to(memory_format=torch.channels_last)


@pytest.fixture
def operations(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Make a convolution take as many seconds as its weights are, and nothing else any time."""
    measured: dict[str, int] = {}

    def seconds_of(call: Any, *rest: Any) -> float:
        function, args, _ = call
        name = function._schema.name
        measured[name] = measured.get(name, 0) + 1
        return float(args[1].numel()) if name == "aten::convolution" else 0.0

    monkeypatch.setattr(recording, "seconds_of", seconds_of)
    return measured


Measure = Callable[[Callable[[nn.Module], float]], None]


@pytest.fixture
def networks_take(monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Return a function that sets how many seconds a network takes as a whole."""

    def take(seconds: Callable[[nn.Module], float]) -> None:
        def measured(network: nn.Module, *rest: Any) -> Latency:
            return Latency(seconds(network), 0.0, torch.device("cpu"))

        monkeypatch.setattr(recording, "measure_latency", measured)

    return take


def weights_of(network: nn.Module) -> int:
    """Return the number of all weights that the networks' convolutions have."""
    images = SHAPE.batch(1, torch.device("cpu"))
    calls = calls_of(network, SHAPE, len(images), "cpu")
    return sum(c[1][1].numel() for _, c in calls if c[0]._schema.name == "aten::convolution")


@pytest.fixture
def table(operations: dict[str, int], networks_take: Measure) -> LatencyTable:
    networks_take(lambda network: 2.0 * weights_of(network))
    return record_table(map(chain, WIDTHS), 1, SHAPE, HOW)


def test_a_prediction_is_the_fitted_sum(table: LatencyTable) -> None:
    assert (table.scale, table.per_call) == pytest.approx((2.0, 0.0))
    assert table.error == pytest.approx(0, abs=1e-9)
    assert len(table.errors) == 1
    for network in map(chain, WIDTHS):
        assert table.predict(network, SHAPE) == pytest.approx(2.0 * weights_of(network))


def test_the_error_is_that_of_networks_without_part_in_the_fit(
    operations: dict[str, int], networks_take: Measure
) -> None:
    seconds = iter((1.0, 1.0, 1.0, 4.0))
    single = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    networks_take(lambda network: next(seconds))
    table = record_table([single] * 4, 1, SHAPE, HOW)
    assert table.predict(single, SHAPE) == pytest.approx(1.0)
    assert table.errors == pytest.approx((0.75,))
    assert operations["aten::convolution"] == 1  # measured once


@pytest.mark.usefixtures("operations")
def test_each_call_may_cost_the_same(networks_take: Measure) -> None:
    networks = [nn.Sequential(nn.Conv2d(1, 1, 1), *[nn.ReLU()] * number) for number in (1, 5, 9, 3)]
    seconds = iter((2.0, 6.0, 10.0, 4.0))  # one each call
    networks_take(lambda network: next(seconds))
    table = record_table(networks, 1, SHAPE, HOW)
    assert table.per_call == pytest.approx(1.0)
    assert table.errors == pytest.approx((0.0,), abs=1e-6)


def test_operations_are_measured_on_the_device() -> None:
    networks = [chain(2)] * 3
    table = record_table(networks, 1, SHAPE, HOW)
    assert all(seconds > 0 for seconds in table.operations.values())
    assert any("aten::convolution" in name for name in table.operations)
    assert not any("aten::view" in name for name in table.operations)


def test_nothing_is_computed_or_changed_by_a_prediction(table: LatencyTable) -> None:
    network = chain(2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    table.predict(network, SHAPE)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.training


@pytest.mark.usefixtures("operations")
def test_a_table_is_a_latency_by_its_name(tmp_path: Path, networks_take: Measure) -> None:
    networks_take(lambda network: 1.0)
    path, networks = tmp_path / "table.json", [mnasnet()] * 3
    table = record_table(networks, 1, SHAPE, HOW)
    table.save(path)
    assert LatencyTable.load(path) == table
    how = LatencySettings(table=str(path))
    architecture = published("MnasNet-A1")
    built = measure_latency(networks[0], SHAPE, how)
    designed = measure_latency(architecture, SHAPE, how, SMALL)
    assert built.seconds == designed.seconds == pytest.approx(1.0)

    settings = TrainingSettings(network=SMALL, epochs=1, latency=how)
    trainer = Trainer(load_dataset("digits"), settings, "cpu")
    over = replace(settings, at_most={"latency": built.seconds / 2})  # type: ignore[arg-type]
    limited = Trainer(load_dataset("digits"), over, "cpu")
    evaluation = limited.evaluate_one(architecture)
    assert (evaluation.status, evaluation.latency) == ("over_limit", built.seconds)
    before = trainer.fingerprint
    replace(table, scale=3.0).save(path)
    assert trainer.fingerprint != before


def test_what_a_table_lacks_is_named(table: LatencyTable) -> None:
    with pytest.raises(InvalidSettings, match=r"table: it lacks .* aten::addmm\(float32\[10\]"):
        table.predict(chain(4), SHAPE)


@pytest.fixture
def written(tmp_path: Path) -> Path:
    path = tmp_path / "table.json"
    LatencyTable("cpu", "cpu", 1, 1, {"add": 1.0}, 1.0, 0.0).save(path)
    return path


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 2},
        {"scale": -1.0},
        {"scale": "1"},
        {"operations": {"add": "x"}},
        {"operations": []},
        {"errors": 3},
        {"batch_size": 0},
        {"extra": 1},
    ],
)
def test_a_damaged_table_is_named(written: Path, changes: dict[str, Any]) -> None:
    content = {**json.loads(written.read_text()), **changes}
    written.write_text(json.dumps(content))
    with pytest.raises(InvalidSettings, match=r"table\.json is no latency table"):
        LatencySettings(table=str(written))


def test_settings_beside_a_table_are_refused(written: Path) -> None:
    with pytest.raises(InvalidSettings, match="the table says device, batch size and threads"):
        LatencySettings(table=str(written), batch_size=2)
    with pytest.raises(InvalidSettings, match=r"missing\.json"):
        LatencySettings(table="missing.json")


def test_too_few_networks_for_the_fit() -> None:
    single = nn.Sequential(nn.Conv2d(1, 2, 3))
    with pytest.raises(InvalidSettings, match="networks: expected 2 more than the 1 held out"):
        record_table([single] * 2, 1, SHAPE, HOW)
