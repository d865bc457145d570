"""Once-for-All: train once, go on from the file, and draw sub-networks with their weights."""

from __future__ import annotations

import pickle
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch

from nas_gym import InvalidSettings, OFASearchSpace, load_dataset
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.mobile.once_for_all import OnceForAll
from nas_gym.families.mobile.shrinking import PHASES, ShrinkingSettings
from nas_gym.networks.mobile import MobileNetworkSettings
from nas_gym.store import Store, StoredEvaluator
from nas_gym.training.failures import Diverged
from nas_gym.training.tasks.images import ImageClassification
from tests.training.numerics import watched_tf32

SPACE = OFASearchSpace(resolutions=(6, 8))
NETWORK = MobileNetworkSettings(width=0.25, divisor=1, halvings=2)
QUICK = ShrinkingSettings(
    NETWORK, epochs=3, phase_epochs=(1, 1, 0, 0, 1), batch_size=64, calibration_images=64,
    phase_rates=(0.5, 0.2, 0.3, 0.2, 0.3),
)  # fmt: skip


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return resplit(load_dataset("digits"), train=64, validation=100, test=50)


def test_phases_draw_what_they_may_and_the_last_draws_all() -> None:
    rng = np.random.default_rng(0)
    drawn = [[phase.draw(SPACE, rng, "8") for _ in range(40)] for phase in PHASES]
    kernels, expansions, layers = (
        [{value for each in of for value in values(each)} for of in drawn]
        for values in (
            lambda each: [layer.block.kernel for layer in each.layers()[1:]],
            lambda each: [layer.block.expansion for layer in each.layers()[1:]],
            lambda each: [len(each.layers())],
        )
    )
    assert kernels == [{7}] + 5 * [{3, 5, 7}]
    assert expansions == 4 * [{6}] + [{4, 6}, {3, 4, 6}]
    assert [max(each) for each in layers[:2]] == [min(each) for each in layers[:2]] == [21, 21]
    assert (min(layers[2]) >= 16, min(layers[3]) < 16) == (True, True)
    assert all(SPACE.decode(SPACE.encode(each)) == each for of in drawn for each in of)


def test_it_is_trained_once_and_goes_on_from_its_file(digits: Dataset, tmp_path: Path) -> None:
    settings = replace(QUICK, weights=str(tmp_path / "elastic.pt"))
    whole, epochs = OnceForAll(SPACE, digits, QUICK, "cpu"), []
    whole.train(lambda *epoch: epochs.append(epoch))
    assert [name for name, *_ in epochs] == 3 * ["full"] + ["kernel", "depth 1", "expansion 2"]
    losses = [loss for *_, loss in epochs]
    assert losses[2] < losses[0] - 0.1

    class Stop(Exception):
        pass

    def stop(name: str, *_: Any) -> None:
        if name == "depth 1":
            raise Stop

    with pytest.raises(Stop):
        OnceForAll(SPACE, digits, settings, "cpu").train(stop)
    resumed = OnceForAll(SPACE, digits, settings, "cpu")
    assert (PHASES[resumed.phase].name, resumed.is_trained) == ("depth 1", False)
    resumed.train()
    loaded = OnceForAll(SPACE, digits, settings, "cpu")
    assert loaded.is_trained
    for other in (resumed, loaded):
        states = whole.elastic.state_dict(), other.elastic.state_dict()
        assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])

    rng = np.random.default_rng(0)
    children = [SPACE.decode(SPACE.sample(rng)) for _ in range(2)]
    first, second = (each.evaluate(children) for each in (whole, loaded))
    assert [e.outcome() for e in first] == [
        {**e.outcome(), "fingerprint": whole.fingerprint} for e in second
    ]
    assert loaded.fingerprint == whole.fingerprint
    network = loaded.sub_network(children[0])
    assert not network.training
    assert loaded.task.value(network, "validation") == second[0].accuracy

    with pytest.raises(InvalidSettings, match=r"weights: .* other settings"):
        OnceForAll(SPACE, digits, replace(settings, learning_rate=0.2), "cpu")


@pytest.mark.parametrize("duplicate", [deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_goes_on_to_the_bit(digits: Dataset, duplicate: Any) -> None:
    original = OnceForAll(SPACE, digits, QUICK, "cpu")

    def stop(name: str, *_: Any) -> None:
        if name == "kernel":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        original.train(stop)
    copied = duplicate(original)
    begun = copied.elastic.state_dict()["full.classifier.weight"].clone()
    states = []
    for each in (original, copied):
        each.train()
        states.append(each.elastic.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    assert not torch.equal(states[1]["full.classifier.weight"], begun)


def test_the_scale_of_float16_goes_on_too(digits: Dataset, tmp_path: Path) -> None:
    weights = str(tmp_path / "elastic.pt")
    settings = replace(QUICK, precision="float16", epochs=1, phase_epochs=(0,) * 5, weights=weights)
    once = OnceForAll(SPACE, digits, settings, "cpu")
    scaler = once._scaler
    assert scaler is not None
    scaler.load_state_dict({**scaler.state_dict(), "scale": 8.0})
    once.train()
    state = scaler.state_dict()
    assert (state["scale"], state["_growth_tracker"]) == (8.0, 1)  # one step, whose loss is finite
    resumed = OnceForAll(SPACE, digits, settings, "cpu")._scaler
    assert resumed is not None
    assert resumed.state_dict() == state


def test_a_validation_computes_as_the_training_does(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = watched_tf32(monkeypatch)
    once = OnceForAll(SPACE, digits, replace(QUICK, precision="float32"), "cpu")
    once.phase = len(PHASES)
    monkeypatch.setattr(ImageClassification, "value", lambda *_: float(within == [False]))
    assert once.evaluate_one(once.elastic.largest).accuracy == 1


def test_limits_are_checked_before_validation(digits: Dataset) -> None:
    settings = replace(QUICK, at_most=CostLimits(parameters=100))
    once = OnceForAll(SPACE, digits, settings, "cpu")
    once.phase = len(PHASES)
    child = SPACE.decode(SPACE.sample(np.random.default_rng(0)))
    evaluation = once.evaluate_one(child)
    assert (evaluation.status, evaluation.accuracy) == ("over_limit", 0.0)
    assert evaluation.multiply_adds is not None


def test_with_an_elastic_network_that_diverged_all_children_have(digits: Dataset) -> None:
    """As under other shared weights. It is not trained on for the next child."""
    settings = replace(QUICK, learning_rate=1e30)
    once = OnceForAll(SPACE, digits, settings, "cpu")
    rng, costs = np.random.default_rng(0), once.elastic.cost
    drawn = [SPACE.decode(SPACE.sample(rng)) for _ in range(20)]
    small, large = (sorted(drawn, key=lambda each: costs(each).multiply_adds)[n] for n in (0, -1))
    once.settings = replace(settings, at_most=CostLimits(parameters=costs(small).parameters))
    evaluations = once.evaluate([small, large, small])
    assert [each.status for each in evaluations] == ["diverged", "over_limit", "diverged"]
    assert "the elastic network's loss is nan" in evaluations[0].message
    assert (once.phase, once.epoch) == (0, 2)  # of three epochs
    with pytest.raises(Diverged, match="take a lower learning_rate"):
        once.train()


def test_a_store_gets_no_evaluations_of_a_network_that_is_not_trained(
    digits: Dataset, tmp_path: Path
) -> None:
    """A store asks for one child at a time, and so do workers."""
    settings = replace(QUICK, epochs=1, phase_epochs=(0,) * 5)
    once = OnceForAll(SPACE, digits, settings, "cpu")
    child = SPACE.decode(SPACE.sample(np.random.default_rng(0)))
    with closing(Store(tmp_path / "own.db")) as store:
        [evaluation] = StoredEvaluator(once, store, "run").evaluate([child])
    assert once.is_trained
    assert evaluation.accuracy == once.evaluate([child])[0].accuracy


def test_the_environment_takes_it(tmp_path: Path) -> None:
    given: dict[str, Any] = {"evaluator": "weight-sharing", "weights": str(tmp_path / "ofa.pt")}
    env = gym.make("nas_gym/OFA-v0", **given, reward={
        "name": "tunas", "target": 1e5, "cost": "multiply_adds",
    })  # fmt: skip
    assert isinstance(env.unwrapped.memory.evaluator, OnceForAll)  # type: ignore[attr-defined]
    with pytest.raises(InvalidSettings, match=r"ema_decay: .* leave it out"):
        gym.make("nas_gym/OFA-v0", **given, ema_decay=0.9)
