"""Hard limits of a child's costs: nothing is trained beyond them."""

from __future__ import annotations

from typing import Any

import pytest

from nas_gym import InvalidSettings, Trainer, TrainingSettings, load_dataset
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.training.trainer import Trainer as _Trainer
from tests.helpers import random_architecture

DIGITS = load_dataset("digits")
CHILD = random_architecture(0, blocks=1)


def trainer(**more: Any) -> Trainer:
    network = CellNetworkSettings(cells=1, filters=2)
    settings = TrainingSettings(network=network, epochs=1, batch_size=256, **more)
    return Trainer(DIGITS, settings, "cpu")


@pytest.fixture(scope="module")
def costs() -> dict[str, float]:
    """What the child costs, by its evaluation."""
    [evaluation] = trainer(count_activations=True).evaluate([CHILD])
    assert evaluation.status == "ok"
    found = {
        name: getattr(evaluation, name)
        for name in ("parameters", "multiply_adds", "peak_activation_bytes")
    }
    return {**found, "weight_bytes": 4 * found["parameters"]}


@pytest.mark.parametrize(
    "name", ["parameters", "multiply_adds", "peak_activation_bytes", "weight_bytes"]
)
def test_a_child_over_a_limit_is_not_trained(
    name: str, costs: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    [within] = trainer(at_most={name: costs[name]}).evaluate([CHILD])
    assert within.status == "ok"
    monkeypatch.setattr(_Trainer, "go_on", None)  # a training would fail
    [over] = trainer(at_most={name: costs[name] - 1}).evaluate([CHILD])
    assert (over.status, over.accuracy, over.curve) == ("over_limit", 0.0, ())
    assert over.message.startswith(f"{name}: {costs[name]:,}, and at most")
    assert over.parameters == costs["parameters"]


def test_a_limit_that_is_just_exceeded_is_told_from_the_cost() -> None:
    says = "parameters: 1,000,001, and at most 1,000,000 are allowed"
    assert CostLimits(parameters=1_000_000).exceeded({"parameters": 1_000_001}) == says


def test_latency_is_limited_where_it_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidSettings, match="measured only with latency"):
        trainer(at_most={"latency": 0.005})
    monkeypatch.setattr(_Trainer, "go_on", None)
    fast = {"latency": {"warmup": 0, "repeats": 1}}
    [over] = trainer(at_most={"latency": 1e-9}, **fast).evaluate([CHILD])
    assert over.status == "over_limit"
    assert over.latency is not None


def test_what_is_not_asked_for_changes_no_fingerprint() -> None:
    plain = trainer().fingerprint
    assert trainer(count_activations=False, at_most=None).fingerprint == plain
    assert trainer(at_most={"parameters": 10}).fingerprint != plain
    assert trainer(count_activations=True).fingerprint != plain
    assert trainer(count_activations=True).costs[-1] == "peak_activation_bytes"
    assert trainer(at_most={"peak_activation_bytes": 1}).costs[-1] == "peak_activation_bytes"


def test_wrong_limits_are_refused() -> None:
    with pytest.raises(InvalidSettings, match="'bytes' is not known"):
        trainer(at_most={"bytes": 10})
    with pytest.raises(InvalidSettings, match="at_most"):
        trainer(at_most={"parameters": 0})
