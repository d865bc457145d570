"""Several trainings as one: losses, accuracies and weights are those of separate trainings."""

from __future__ import annotations

import copy
import gc
import itertools
import weakref
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym import InvalidSettings, NASEnv, NASNetSearchSpace, TrainingSettings, load_dataset
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import CannotFuse, Fused
from nas_gym.training.early_stopping import EarlyStopping
from nas_gym.training.seeds import global_generator
from nas_gym.training.steps.training import TrainingSteps
from nas_gym.training.together import Trained, TrainedSeparately, train_together
from nas_gym.training.trainer import Trainer
from tests.test_env import CHEAP

SEEDS = [1, 2]
STEPS = 20
COMPARED = ("network", "average", "generator", "random")
"""Parts of a training's state that are the same as one network and apart."""
TRAINED = [env_id for env_id in CHEAP if "Bench-v0" not in env_id]


def steps_of(trainer: Trainer, network: ChildNetwork) -> Tensor:
    """Return the losses of the first steps of a training, (STEPS,) or (STEPS, K)."""
    losses: list[Tensor] = []
    task: Any = trainer.task
    loss = "losses" if hasattr(task, "losses") else "loss"
    original = getattr(task, loss)

    def recorded(*arguments: Any) -> Any:
        if loss == "loss":
            network, inputs, targets = arguments
            arguments = (network, inputs.double(), targets)
        made = original(*arguments)
        losses.append((made[0] if isinstance(made, tuple) else made).detach().clone())
        return made

    setattr(task, loss, recorded)
    loop = task.loop(network)
    while loop.epoch < task.settings.epochs:
        loop.train_epoch()
    setattr(task, loss, original)
    return torch.stack(losses[:STEPS])


@pytest.mark.parametrize("env_id", TRAINED)
@pytest.mark.slow
def test_losses_are_those_of_separate_trainings(env_id: str) -> None:
    # In float64: training by small batches amplifies float32's rounding, mobile networks' most.
    few: dict[str, Any] = {"batch_size": 32, "data_fraction": 0.6, "dataset": "digits"}
    if "units" in CHEAP[env_id]:
        few = {"data_fraction": 0.045, "bptt": 3, "dropout_hidden": 0.2, "weight_drop": 0.2}
        few["learning_rate"] = 1.0
    env = gym.make(env_id, **{"learning_rate": 1e-4, **CHEAP[env_id], **few}).unwrapped
    assert isinstance(env, NASEnv)
    trainer: Any = env.memory.evaluator
    architecture = env.search_space.decode(env.search_space.sample(np.random.default_rng(3)))
    members, generators, separate = [], [], []
    for seed in SEEDS:
        with trainer.isolated(seed):
            separate.append(steps_of(trainer, trainer.build(architecture).double()))
        with trainer.isolated(seed):
            members.append(trainer.build(architecture).double())
            generators.append(global_generator(trainer.device))
    together = steps_of(trainer, Fused(members, generators, SEEDS))
    assert len(together) == STEPS
    assert (together[0] != together[-1]).all()
    torch.testing.assert_close(together, torch.stack(separate, dim=1), atol=1e-4, rtol=0)


DIGITS = load_dataset("digits")
SETTINGS = TrainingSettings(
    CellNetworkSettings(cells=1, filters=4, auxiliary_head=True, dropout=0.2, drop_path_keep=0.7),
    epochs=2,
    batch_size=64,
    learning_rate=1e-3,
    gradient_clip=1.0,
    data_fraction=0.3,
    fused=3,
)
SPACE = NASNetSearchSpace(2)
CHILD = SPACE.decode(SPACE.sample(np.random.default_rng(1)))
TINY = replace(
    SETTINGS, network=CellNetworkSettings(cells=1, filters=2), epochs=3, data_fraction=0.06
)
TINY_CHILD = NASNetSearchSpace(1).decode([0, 1, 2, 9, 0] * 2)


def test_repeats_are_trained_as_one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    check = Fused.check

    def noted(self: Fused, inputs: Tensor) -> None:
        made.append(len(self))
        check(self, inputs)

    monkeypatch.setattr(Fused, "check", noted)
    trainer = Trainer(DIGITS, replace(SETTINGS, data_fraction=0.1), "cpu")
    together = trainer.evaluate_repeats(CHILD, [0, 1, 2])
    assert made == [3]
    for repeat, evaluation in enumerate(together):
        alone = trainer.evaluate_one(CHILD, repeat)
        assert evaluation.status == "ok"
        assert evaluation.seed == alone.seed
        assert evaluation.parameters == alone.parameters
        assert evaluation.fingerprint == alone.fingerprint
        assert evaluation.curve == pytest.approx(alone.curve, abs=0.02)
    assert len({evaluation.curve for evaluation in together}) == 3


def test_members_have_the_weights_of_separate_trainings() -> None:
    trainer = Trainer(DIGITS, replace(SETTINGS, epochs=1, data_fraction=0.1), "cpu")
    together = trainer.train_repeats(CHILD, [0, 1])
    for repeat, (_, network) in enumerate(together):
        _, alone = trainer.train_one(CHILD, repeat)
        assert network is not None
        assert alone is not None
        expected = alone.state_dict()
        for name, tensor in network.state_dict().items():
            if tensor.is_floating_point():
                torch.testing.assert_close(tensor, expected[name], atol=1e-3, rtol=1e-3)


def epoch(trainer: Any, child: Any, as_one: bool, states: list[Any]) -> list[Any]:
    """Train both members for an epoch more, as one network or apart; return their states."""
    members, generators, made = [], [], []
    for seed in SEEDS:
        with trainer.isolated(seed):
            members.append(trainer.build(child).double())
            generators.append(global_generator(trainer.device))
    networks = [Fused(members, generators, SEEDS)] if as_one else members
    for n, (network, own) in enumerate(zip(networks, generators, strict=False)):
        with trainer.isolated(SEEDS[n]):
            torch.set_rng_state(own.get_state())
            loop = trainer.task.loop(network)
            if states:
                loop.load_states(states if as_one else [states[n]])
            loop.train_epoch()
            made += loop.states()
    return made


@pytest.mark.parametrize(
    ("env_id", "more"),
    [
        ("nas_gym/NASNet-v0", {"dropout": 0.2, "drop_path_keep": 0.7, "ema_decay": 0.9}),
        ("nas_gym/NASNet-v0", {"optimizer": "adamw", "gradient_clip": 1.0}),
        ("nas_gym/NASCell-v0", {"dropout_hidden": 0.2, "weight_drop": 0.2, "average_after": 1}),
    ],
)
def test_states_of_trainings_as_one_are_those_of_separate_trainings(
    env_id: str, more: dict[str, Any]
) -> None:
    """So each can go on as one with others or by itself; in float64, whose rounding is small."""
    few = {"data_fraction": 0.05, "epochs": 3, "learning_rate": 1e-3}
    env = gym.make(env_id, **{**CHEAP[env_id], **few, **more}).unwrapped
    assert isinstance(env, NASEnv)
    trainer: Any = env.memory.evaluator
    child = env.search_space.decode(env.search_space.sample(np.random.default_rng(3)))
    if not hasattr(trainer.task, "losses"):
        loss = trainer.task.loss
        trainer.task.loss = lambda network, inputs, targets: loss(network, inputs.double(), targets)
    ends = []
    for kinds in ((False, False, False), (True, True, True), (False, True, False)):
        states: list[Any] = []
        for as_one in kinds:
            states = epoch(trainer, child, as_one, states)
        ends.append([{name: state[name] for name in COMPARED} for state in states])
        assert [state["epoch"] for state in states] == [3, 3]
    for each in (state for end in ends for state in end):
        each["network"] = [t for t in each["network"].values() if t.is_floating_point()]
        each["average"] = each["average"] or []
    for end in ends[1:]:
        torch.testing.assert_close(end, ends[0], atol=1e-6, rtol=1e-6)


def test_trainings_as_one_go_on_from_the_states_of_each(tmp_path: Path) -> None:
    trainer = Trainer(DIGITS, TINY, "cpu")
    whole = trainer.train_repeats(TINY_CHILD, [0, 1])
    trainer.checkpoints = tmp_path
    made: list[Trained] = []
    for epochs in (1, 2, 2, None):  # one of them again, as after a crash
        made = trainer.train_repeats(TINY_CHILD, [0, 1], epochs)
        assert [len(each.curve) for each, _ in made] == [epochs or 3] * 2
        assert all(each.fingerprint.endswith(f"@{epochs}") == bool(epochs) for each, _ in made)
        assert len([*tmp_path.iterdir()]) == (2 if epochs else 0)
    for (one, network), (other, expected) in zip(made, whole, strict=True):
        assert one.curve == other.curve
        assert network is not None
        assert expected is not None
        assert all(map(torch.equal, network.parameters(), expected.parameters()))
    trainer.train_repeats(TINY_CHILD, [0, 1], 2)  # and without the state of one, both begin again
    next(tmp_path.glob("*-1.pt")).unlink()
    again = trainer.evaluate_repeats(TINY_CHILD, [0, 1])
    assert [each.curve for each in again] == [each.curve for each, _ in whole]


@pytest.mark.parametrize("broken", [{1}, {0, 1, 2}])
def test_a_member_that_diverges_leaves_the_others_as_they_are(
    broken: set[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build, numbers = Trainer.build, itertools.count()

    def sometimes_broken(self: Trainer, architecture: Any) -> ChildNetwork:
        network: Any = build(self, architecture)
        if next(numbers) in broken:
            torch.nn.init.constant_(network.classifier.bias, float("nan"))
        return cast(ChildNetwork, network)

    trainer = Trainer(DIGITS, TINY, "cpu", checkpoints=tmp_path)
    expected = trainer.evaluate_repeats(TINY_CHILD, [0, 1, 2], 2)
    for state in tmp_path.iterdir():
        state.unlink()
    monkeypatch.setattr(Trainer, "build", sometimes_broken)
    monkeypatch.setattr(Fused, "check", lambda *_: None)
    made = trainer.evaluate_repeats(TINY_CHILD, [0, 1, 2], 2)
    for repeat, (one, other) in enumerate(zip(made, expected, strict=True)):
        assert one.status == ("diverged" if repeat in broken else "ok")
        assert one.curve == (() if repeat in broken else other.curve)
        assert len([*tmp_path.glob(f"*-{repeat}.pt")]) == (repeat not in broken)


def test_members_that_diverged_leave_the_memory_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU's is not seen by Python, whose collection of circles may be long in coming."""
    build, networks = Trainer.build, []

    def noted(self: Trainer, architecture: Any) -> ChildNetwork:
        network = build(self, architecture)
        torch.nn.init.constant_(cast(Any, network).classifier.bias, float("nan"))
        networks.append(weakref.ref(network))
        return network

    monkeypatch.setattr(Trainer, "build", noted)
    monkeypatch.setattr(Fused, "check", lambda *_: None)
    trainer = Trainer(DIGITS, TINY, "cpu")
    trainer.evaluate_repeats(TINY_CHILD, [0, 1])  # the first one imports what it needs
    gc.collect()
    gc.disable()
    try:
        made = trainer.evaluate_repeats(TINY_CHILD, [0, 1])
        assert [each.status for each in made] == ["diverged"] * 2
        assert [network() for network in networks] == [None] * 4
    finally:
        gc.enable()


def append_to_stem(monkeypatch: pytest.MonkeyPatch, layer: torch.nn.Module) -> None:
    """Have each network that is built end its stem with a layer."""
    build = Trainer.build

    def own(self: Trainer, architecture: Any) -> ChildNetwork:
        network: Any = build(self, architecture)
        network.stem.append(layer)
        return cast(ChildNetwork, network)

    monkeypatch.setattr(Trainer, "build", own)


class Rolled(torch.nn.Module):
    """Moves channels by half of them, and a fused network has more of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x.roll(x.shape[1] // 2, dims=1)


def test_a_network_that_is_another_one_when_fused_is_trained_separately(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    append_to_stem(monkeypatch, Rolled())
    trainer = Trainer(DIGITS, replace(SETTINGS, epochs=1), "cpu")
    with pytest.raises(CannotFuse, match="something else"):
        train_together(trainer, CHILD, [0, 1])
    with pytest.warns(TrainedSeparately, match="2 trainings are .* computes something else"):
        made = trainer.evaluate_repeats(CHILD, [0, 1])
    assert [each.curve for each in made] == [trainer.evaluate_one(CHILD, r).curve for r in (0, 1)]


@pytest.mark.parametrize("layer", [torch.nn.Dropout(0.2), torch.nn.Dropout2d(0.2)], ids=repr)
def test_dropout_of_images_is_drawn_by_each_training_itself(
    layer: torch.nn.Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    append_to_stem(monkeypatch, layer)
    trainer = Trainer(DIGITS, replace(TINY, epochs=1), "cpu")
    with pytest.warns(TrainedSeparately, match="no fused form"):
        made = trainer.evaluate_repeats(TINY_CHILD, [0, 1])
    assert [each.status for each in made] == ["ok", "ok"]


class Scaled(torch.nn.Module):
    """Knows the number of channels, and a fused network has more of them."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.ones(1, 12, 1, 1)


def test_a_layer_that_counts_channels_cannot_be_fused(monkeypatch: pytest.MonkeyPatch) -> None:
    append_to_stem(monkeypatch, Scaled())
    trainer = Trainer(DIGITS, SETTINGS, "cpu")
    with pytest.raises(CannotFuse, match="does not compute as a fused one: The size of tensor"):
        train_together(trainer, CHILD, [0, 1])
    trainer.task.fuses = False  # type: ignore[misc]
    with pytest.raises(CannotFuse, match="ImageClassification does not train fused networks"):
        train_together(trainer, CHILD, [0, 1])


@pytest.mark.parametrize(
    ("error", "status", "warned"),
    [
        (RuntimeError("a mistake"), "crashed", False),
        (torch.OutOfMemoryError("none left"), "ok", True),
    ],
)
def test_only_what_cannot_be_fused_is_trained_separately(
    error: Exception, status: str, warned: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory may be enough for one; another failure is one of all trainings."""

    def failing(self: Fused, inputs: Tensor) -> None:
        raise error

    monkeypatch.setattr(Fused, "check", failing)
    trainer = Trainer(DIGITS, replace(SETTINGS, epochs=1), "cpu")
    says = "there is no memory for all"
    with pytest.warns(TrainedSeparately, match=says) if warned else nullcontext():
        made = trainer.evaluate_repeats(CHILD, [0, 1])
    assert [each.status for each in made] == [status] * 2
    assert all(str(error) in each.message for each in made) != warned
    assert all(each.parameters for each in made)


def test_what_is_not_built_is_not_trained() -> None:
    limit = CostLimits(parameters=10)
    made = Trainer(DIGITS, replace(SETTINGS, at_most=limit), "cpu").evaluate_repeats(CHILD, [0, 1])
    assert [(each.status, each.curve) for each in made] == [("over_limit", ())] * 2
    assert all((each.parameters or 0) > 10 for each in made)


def test_float16_has_one_scale_of_losses() -> None:
    trainer = Trainer(DIGITS, replace(SETTINGS, precision="float16"), "cpu")
    with pytest.raises(CannotFuse, match="float16"):
        train_together(trainer, CHILD, [0, 1])


def test_each_has_its_own_learning_rate() -> None:
    """Here of steps on batches of their own, whose losses are those of separate trainings."""
    rates, losses = (1.0, 0.25), []
    plain = CellNetworkSettings(cells=1, filters=4)  # draws nothing
    trainer = Trainer(DIGITS, replace(SETTINGS, network=plain), "cpu")
    trainer.task.batch = lambda drawn, generator: (drawn[0].double(), drawn[1])  # type: ignore[method-assign]
    members, generators = [], []
    for seed in SEEDS:
        with trainer.isolated(seed):
            members.append(trainer.build(CHILD).double().train())
            generators.append(global_generator(trainer.device))
    drawn = [(torch.randn(8, 1, 8, 8), torch.randint(10, (8,))) for _ in SEEDS]
    for member, rate, batch in zip(copy.deepcopy(members), rates, drawn, strict=True):
        settings = replace(trainer.settings, learning_rate=rate * SETTINGS.learning_rate)
        task = copy.copy(trainer.task)
        task.settings = settings
        steps = TrainingSteps(member, task, generators[:1])
        losses.append([steps.step([batch], 0.1).item() for _ in range(5)])
    fused = Fused(members, generators, SEEDS, rates).train()
    steps = TrainingSteps(fused, trainer.task, generators)
    together = torch.stack([steps.step(drawn, 0.1) for _ in range(5)], dim=1)
    torch.testing.assert_close(
        together, torch.tensor(losses, dtype=torch.double), atol=1e-6, rtol=0
    )


def test_what_depends_on_other_children_cannot_be_fused() -> None:
    with pytest.raises(InvalidSettings, match="fused: trainings as one cannot have early_stopping"):
        replace(SETTINGS, early_stopping=EarlyStopping())
