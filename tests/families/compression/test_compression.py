"""`nas_gym/Compression-v0`: its episodes, its budget, and the networks that come out."""

from __future__ import annotations

import copy
import pickle
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import RescaleAction
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from stable_baselines3 import DDPG, PPO, SAC
from stable_baselines3.common.env_checker import check_env as check_env_for_sb3
from torch import Tensor, nn

import nas_gym
from nas_gym import Architecture, InvalidSettings, NASSearchSpace, load_dataset, published
from nas_gym.architecture import InvalidArchitecture
from nas_gym.errors import UnknownArgument
from nas_gym.families.compression.architecture import CompressedArchitecture
from nas_gym.families.compression.env import CompressionEnv
from nas_gym.families.compression.network import CompressedNetwork, torchvision_model
from nas_gym.families.compression.plan import Plan
from nas_gym.families.compression.walk import FEATURES
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.models import InvalidModel, load_image_model, save_model
from nas_gym.models.exporting import export_model
from nas_gym.networks import (
    ImageShape,
    LatencySettings,
    build_network,
    count_parameters,
    default_settings,
    multiply_adds,
)
from nas_gym.networks.latency.recording import record_table
from tests.helpers import random_architecture

pytest.importorskip("torch_pruning", reason="pip install 'nas-gym[compression]'")
ID = "nas_gym/Compression-v0"


def random_chain(seed: int) -> Architecture:
    space = NASSearchSpace()
    return space.decode(space.sample(np.random.default_rng(seed)))


class Small(nn.Module):
    """A residual connection, a depthwise and a grouped convolution, and a flattened state."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(8, 12, 3, 2, padding=1, groups=4)
        self.hidden = nn.Linear(12 * 16, 6)
        self.classifier = nn.Linear(6, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.first(x)).relu()
        x = self.depthwise((x + self.second(x)).relu()).relu()
        x = self.hidden(self.grouped(x).relu().flatten(1)).relu()
        logits: Tensor = self.classifier(x)
        return logits


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return Small()


def make(model: nn.Module, **arguments: Any) -> CompressionEnv:
    env = gym.make(ID, model=model, device="cpu", **arguments).unwrapped
    assert isinstance(env, CompressionEnv)
    return env


def play(env: CompressionEnv, actions: list[float]) -> tuple[float, dict[str, Any]]:
    env.reset(seed=0)
    for action in actions:
        _, reward, terminated, _, info = env.step(np.array([action], np.float32))
    assert terminated
    return float(reward), info


def test_layers_that_share_channels_are_one_decision(model: nn.Module) -> None:
    env = make(model)
    groups = [(group.layer, group.channels, group.unit) for group in env.plan.groups]
    # The residual connection couples `first` and `second`, and `depthwise` and the grouped
    # convolution's inputs follow.
    assert groups == [("first", 8, 4), ("grouped", 12, 4), ("hidden", 6, 1)]


class Twice(nn.Module):
    """A dense layer that takes the same channels twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, 2)
        self.second = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu().mean(dim=(2, 3))
        logits: Tensor = self.second(torch.cat([x, x], dim=1))
        return logits


def test_channels_that_a_layer_takes_twice_are_cut_twice() -> None:
    plan = Plan(Twice().eval(), ImageShape(1, 8, 8, 10))
    assert [group.layer for group in plan.groups] == ["first"]
    network: Any = plan.cut([4])
    assert network.second.weight.shape == (10, 8)


@given(shares=st.lists(st.floats(0.01, 1), min_size=3, max_size=3))
@examples(max_examples=15, deadline=None)
def test_multiply_adds_are_known_before_the_cut(shares: list[float]) -> None:
    network, shape = Small().eval(), ImageShape(1, 8, 8, 10)
    plan = Plan(network, shape)
    numbers = [group.numbers(0.1, 1) for group in plan.groups]
    kept = [each[int(share * (len(each) - 1))] for each, share in zip(numbers, shares, strict=True)]
    assert multiply_adds(plan.cut(kept), shape) == plan.multiply_adds(kept)


CELLS: Any = {"cells": 1, "filters": 6}


@pytest.mark.parametrize(
    ("architecture", "small"),
    [
        *((published(n), CELLS) for n in ("NASNet-A", "ENAS-micro", "NAS-Bench-101-Inception")),
        *((random_chain(seed), {"filter_scale": 0.2}) for seed in range(6)),
    ],
)
def test_concatenated_channels_are_followed(architecture: Architecture, small: Any) -> None:
    """A channel that is cut is one that no layer reads."""
    shape, settings = ImageShape(1, 8, 8, 10), replace(default_settings(architecture), **small)
    torch.manual_seed(0)
    network = build_network(architecture, shape, settings)
    network.to(memory_format=torch.channels_last).eval()
    plan = Plan(network, shape)
    kept = [max(1, group.channels // 2) for group in plan.groups]
    unread = copy.deepcopy(network)
    for group, number in zip(plan.groups, kept, strict=True):
        for cut in group.cuts:
            layer: Any = unread.get_submodule(cut.layer)
            if cut.side == "prune_in_channels" and getattr(layer, "groups", 1) == 1:
                layer.weight.data[:, cut.indices[list(group.order[number:])].ravel()] = 0
    images = torch.randn(4, 1, 8, 8)
    torch.testing.assert_close(plan.cut(kept)(images), unread(images), rtol=1e-3, atol=1e-3)


def test_an_auxiliary_head_does_not_count() -> None:
    settings = CellNetworkSettings(cells=1, filters=2, auxiliary_head=True)
    network = build_network(random_architecture(0, blocks=1), ImageShape(1, 8, 8, 10), settings)
    assert count_parameters(CompressedNetwork.around(network)) == count_parameters(network)


@given(actions=st.lists(st.floats(0, 1, width=32), min_size=3, max_size=3), keep=st.floats(0.3, 1))
@examples(max_examples=25, deadline=None)
def test_the_budget_holds_whatever_the_actions(actions: list[float], keep: float) -> None:
    env = _budget_env()
    env._walk.target = keep * env.plan.total
    _, info = play(env, actions)
    assert info["evaluation"]["multiply_adds"] <= keep * env.plan.total


_envs: list[CompressionEnv] = []


def _budget_env() -> CompressionEnv:
    if not _envs:
        _envs.append(make(Small(), recalibration_images=0))
    return _envs[0]


def test_an_action_is_clipped_no_more_than_the_budget_needs(model: nn.Module) -> None:
    env = make(model, keep=1.0)
    assert play(env, [1, 1, 1])[1]["evaluation"]["multiply_adds"] == env.plan.total
    env = make(model, keep=0.5, least=0.5)
    _, info = play(env, [1, 1, 1])
    # `first` goes down to 4 of its 8 channels, after which all other layers can stay whole.
    assert env.finished is not None
    assert env.finished[0] == (4, 12, 6)
    assert info["evaluation"]["multiply_adds"] < 0.5 * env.plan.total


def test_the_channels_with_the_largest_weights_stay(model: nn.Module) -> None:
    changed = copy.deepcopy(model)
    hidden: Any = changed.hidden
    with torch.no_grad():
        hidden.weight[[0, 2, 5]] *= 1e-3
    env = make(changed, keep=1.0, importance="l1")
    network: Any = env.compressed((8, 12, 3)).network
    assert torch.equal(network.network.hidden.weight, hidden.weight[[1, 3, 4]])


def test_the_original_stays_as_it_is(model: nn.Module) -> None:
    before = copy.deepcopy(model.state_dict())
    images = torch.rand(4, 1, 8, 8)
    logits = model.eval()(images)
    env = make(model, finetune_epochs=1)
    assert env.plan.network is not model
    play(env, [0.5, 0.5, 0.5])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(model(images), logits)
    whole = make(model, keep=1.0, recalibration_images=0).compressed((8, 12, 6))
    assert torch.allclose(whole.network(images), logits, atol=1e-6)


def test_finetuning_and_recalibration_help_a_trained_network() -> None:
    def accuracy(**arguments: Any) -> float:
        env: Any = gym.make(ID, device="cpu", keep=0.5, **arguments).unwrapped
        return play(env, [0.7] * len(env.plan.groups))[0]

    cut = accuracy(recalibration_images=0)
    recalibrated = accuracy()
    assert cut + 0.1 < recalibrated < accuracy(finetune_epochs=2)


def test_latency_is_that_of_the_network_that_comes_out(model: nn.Module, tmp_path: Path) -> None:
    kept, env = (4, 8, 3), make(model)
    network, shape = env.compressed(kept).network, env.compressor.shape
    table = record_table([network] * 3, 1, shape, LatencySettings(warmup=0, repeats=1))
    table.save(tmp_path / "cpu.json")
    predicting = make(model, latency={"table": str(tmp_path / "cpu.json")})
    evaluation = predicting.compressor.compress(kept).evaluation
    assert (evaluation.status, evaluation.latency) == ("ok", table.predict(network, shape))


def test_an_observation_is_the_papers(model: nn.Module) -> None:
    env = make(model)
    first, _ = env.reset()
    named = dict(zip(FEATURES, first.tolist(), strict=True))
    assert (named["t"], named["h"], named["reduced"], named["last_action"]) == (0, 1, 0, 1)
    whole = env.plan.total
    assert named["rest"] == pytest.approx((env.plan.own(1) + env.plan.own(2)) / whole)
    second = env.step(np.array([0.5], np.float32))[0]
    named = dict(zip(FEATURES, second.tolist(), strict=True))
    assert (named["last_action"], named["stride"], named["t"]) == (0.5, 1, 0.5)
    assert named["reduced"] == pytest.approx(1 - env.plan.multiply_adds([4, 12, 6]) / whole)


@pytest.mark.parametrize("reward", ["amc-flops", "amc-parameters"])
def test_the_papers_rewards_for_accuracy(model: nn.Module, reward: str) -> None:
    cost = {"amc-flops": "multiply_adds", "amc-parameters": "parameters"}[reward]
    value, info = play(make(model, keep=1.0, reward=reward), [0.5, 0.5, 1])
    evaluation = info["evaluation"]
    expected = -(1 - evaluation["accuracy"]) * np.log(evaluation[cost])
    assert value == pytest.approx(expected)


@pytest.mark.parametrize("reward", ["amc-flops", "amc-parameters"])
def test_a_network_that_failed_is_worth_least_and_one_for_free_most(
    model: nn.Module, reward: str
) -> None:
    env = make(model, keep=1.0, reward=reward)
    whole, info = play(env, [1, 1, 1])
    record = {**info["evaluation"], "curve": (), "seconds": 0.0}
    wrong = nas_gym.Evaluation(**{**record, "accuracy": 0.0})
    failed = nas_gym.Evaluation("diverged", 0.0, (), 0.0, 0, "", parameters=1, multiply_adds=1)
    assert env.reward(failed) == pytest.approx(env.reward(wrong))
    assert env.reward(failed) < whole
    free = nas_gym.Evaluation("ok", 0.5, (), 0.0, 0, "", parameters=0, multiply_adds=0)
    assert env.reward(free) == 0


def test_rewards_of_the_other_environments(model: nn.Module) -> None:
    reward = {"name": "mnasnet", "cost": "parameters", "target": 1e3}
    value, info = play(make(model, reward=reward), [0.5, 0.5, 1])
    ratio = info["evaluation"]["parameters"] / 1e3
    assert value == pytest.approx(info["evaluation"]["accuracy"] * ratio**-0.07)


def test_the_text_says_what_is_chosen(model: nn.Module) -> None:
    env = make(model, render_mode="ansi")
    env.reset()
    env.step(np.array([0.5], np.float32))
    share = env.plan.multiply_adds([4, 12, 6]) / env.plan.total
    first, *layers = str(env.render()).splitlines()
    assert first == f"{share:.1%} of {env.plan.total:,} multiply-adds"
    assert layers == ["  first: 4 of 8", "  grouped: ? of 12", "  hidden: ? of 6"]


def test_the_checkers_pass(model: nn.Module) -> None:
    env = make(model, render_mode="ansi")
    check_env(env)
    with warnings.catch_warnings():  # that a space is not [-1, 1], though it is the paper's
        warnings.filterwarnings("ignore", "We recommend you to use a symmetric")
        check_env_for_sb3(env)


@pytest.mark.parametrize("reward", ["accuracy", "amc-flops"])
def test_copies_and_pickles_go_on_alike(model: nn.Module, reward: str) -> None:
    env = make(model, reward=reward)
    env.reset()
    env.step(np.array([0.6], np.float32))
    others = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for action in ([0.9], [0.4]):
        expected = env.step(np.array(action, np.float32))
        for other in others:
            found = other.step(np.array(action, np.float32))
            assert np.array_equal(found[0], expected[0])
            assert found[1] == expected[1]


def test_make_without_arguments_trains_the_same_network_each_time() -> None:
    envs = gym.make_vec(ID, num_envs=2, device="cpu")
    envs.reset(seed=0)
    first, second = (each.unwrapped for each in envs.envs)  # type: ignore[attr-defined]
    assert first.compressor.fingerprint == second.compressor.fingerprint
    assert first.compressor.task.value(first.plan.network, "validation") > 0.9
    done = np.zeros(2, dtype=bool)
    while not done.any():
        _, rewards, done, _, _ = envs.step(np.full((2, 1), 0.7, np.float32))
    assert rewards[0] == rewards[1] > 0.3


@pytest.mark.parametrize(
    ("agent", "arguments"),
    [
        (DDPG, {"learning_starts": 3, "batch_size": 4}),
        (SAC, {"learning_starts": 3, "batch_size": 4}),
        (PPO, {"n_steps": 6, "batch_size": 6, "n_epochs": 1}),
    ],
)
def test_agents_of_stable_baselines3_run(
    model: nn.Module, agent: Any, arguments: dict[str, Any]
) -> None:
    env = make(model)
    wrapped = RescaleAction(env, np.float32(-1), np.float32(1))
    agent("MlpPolicy", wrapped, device="cpu", seed=0, **arguments).learn(7)
    assert env.best is not None
    assert env.best[1].multiply_adds is not None
    assert env.best[1].multiply_adds <= env.plan.total / 2


def test_a_model_folder_goes_in_and_a_smaller_one_comes_out(tmp_path: Path) -> None:
    env: Any = gym.make(ID, device="cpu").unwrapped
    play(env, [0.7] * len(env.plan.groups))
    images = torch.rand(4, 1, 8, 8)
    expected = env.compressed()(images)
    folders = tmp_path / "once", tmp_path / "twice"
    for folder in folders:
        folder.mkdir()
    save_model(env.compressed(), folders[0])
    loaded = load_image_model(folders[0])
    assert torch.allclose(loaded(images), expected, atol=1e-5)
    assert loaded.facts.metrics["validation"]["accuracy"] == env.best[1].accuracy

    again: Any = gym.make(ID, model=str(folders[0]), keep=0.6, device="cpu").unwrapped
    play(again, [0.8] * len(again.plan.groups))
    save_model(again.compressed(), folders[1])
    twice = load_image_model(folders[1])
    assert torch.allclose(twice(images), again.compressed()(images), atol=1e-5)
    assert again.best[1].multiply_adds <= 0.6 * env.best[1].multiply_adds
    exported = export_model(twice, "torch-export", tmp_path / "export")
    assert exported.difference < 1e-5


def test_a_torchvision_classifier_is_rebuilt_by_its_name() -> None:
    network = torchvision_model("shufflenet_v2_x0_5", 10)
    with pytest.raises(InvalidSettings, match="model: "):
        make(network)  # one channel, and three expected
    network = torchvision_model("mobilenet_v3_small", 10).eval()
    first: Any = network.features[0]  # type: ignore[index]
    assert first[0].in_channels == 3
    digits = load_dataset("digits")
    colored = nas_gym.Dataset(
        "colored",
        np.repeat(digits.images, 3, axis=-1),
        *(digits.labels, digits.classes, False),
        *(digits.train[:40], digits.validation[:10], digits.test[:10]),
    )
    env = make(network, dataset=colored, keep=0.5, recalibration_images=0)
    kept = tuple(numbers[len(numbers) // 2] for numbers in env._walk.numbers)
    model = env.compressed(kept)
    assert isinstance(model.architecture, CompressedArchitecture)
    assert model.architecture.original == {"torchvision": "mobilenet_v3_small"}
    built = build_network(
        Architecture.from_json(model.architecture.to_json()), env.compressor.shape
    )
    built.load_state_dict(model.network.state_dict())
    images = torch.rand(2, 3, 8, 8)
    assert torch.allclose(built.eval()(images), model.network(images), atol=1e-6)


def test_a_module_of_ones_own_is_exported_but_not_rebuilt(model: nn.Module, tmp_path: Path) -> None:
    env = make(model)
    play(env, [0.5, 0.5, 0.5])
    assert export_model(env.compressed(), "torch-export", tmp_path).difference < 1e-5
    save_model(env.compressed(), tmp_path)
    with pytest.raises(InvalidModel, match="only an architecture or a torchvision model"):
        load_image_model(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"kep": 0.5}, "'kep'; did you mean 'keep'?"),
        ({"keep": 0.0}, "keep: expected a number greater than 0, got 0.0"),
        ({"keep": 0.01}, "keep: 0.01 of the multiply-adds cannot be met, as the smallest network"),
        ({"importance": "l3"}, "importance: expected 'l1' or 'l2', got 'l3'"),
        ({"reward": "acuracy"}, "reward: 'acuracy' is not known; did you mean 'accuracy'?"),
        ({"reward": {"name": "mnasnet", "target": 1}}, "reward: it needs latency"),
        ({"latency": {"device": "tpu"}}, "device: 'tpu' cannot be used here"),
        ({"reward": nas_gym.Objectives.of(["accuracy", "-parameters"])}, "reward: expected one"),
        ({"render_mode": "human"}, "render_mode: 'human' is not known"),
        ({"dataset": "digit"}, "did you mean 'digits'"),
        ({"model": 3}, "model: expected a model folder"),
        ({"model": "nowhere"}, "model: nowhere/model has no model.json"),
        ({"normalization": {"mean": [0.5] * 3, "std": [0.5] * 3}}, "normalization: expected 1"),
        ({"image_size": 9}, "model: it does not take ImageShape"),
    ],
)
def test_bad_arguments_are_named(model: nn.Module, arguments: dict[str, Any], says: str) -> None:
    with pytest.raises((nas_gym.NASGymError, UnknownArgument)) as raised:
        CompressionEnv(**{"model": model, "device": "cpu", **arguments})
    assert says in str(raised.value)


def test_bad_actions_are_named(model: nn.Module) -> None:
    env = make(model)
    env.reset()
    for action in ([1.5], [np.nan], [0.1, 0.2], "x"):
        with pytest.raises(gym.error.InvalidAction, match="one number from 0 to 1"):
            env.step(action)  # type: ignore[arg-type]
    with pytest.raises(InvalidSettings, match="no episode has ended"):
        env.compressed()
    for kept in ((9, 12, 6), (6, 12, 6), (8, 12), (0, 12, 6)):  # 6 of 8 in four groups
        with pytest.raises(InvalidSettings, match="kept: expected numbers of 4 to 8, 4 to 12, 1 t"):
            env.compressed(kept)


def test_bad_architectures_are_named() -> None:
    good = {"version": 1, "kind": "compressed", "original": {}, "settings": {}, "layers": {}}
    assert Architecture.from_dict(good).to_dict() == good
    for layers in ({"a": [1]}, {"a": [0, 1]}, {"a": 3}):
        with pytest.raises(InvalidArchitecture, match="layers: a"):
            Architecture.from_dict({**good, "layers": layers})
    named = {**good, "original": {"torchvision": "resnet18"}, "layers": {"relu": [1, 1]}}
    with pytest.raises(InvalidArchitecture, match="'relu' is no layer"):
        build_network(Architecture.from_dict(named), ImageShape(3, 32, 32, 10))
    grouped = {
        "original": {"torchvision": "resnext50_32x4d"},
        "layers": {"layer1.0.conv2": [9, 64]},
    }
    with pytest.raises(InvalidArchitecture, match="multiples of its 32 groups, got 9 and 64"):
        build_network(Architecture.from_dict({**good, **grouped}), ImageShape(3, 32, 32, 10))
    unknown = {**good, "original": {"torchvision": "resnet19"}}
    with pytest.raises(InvalidArchitecture, match="torchvision has no 'resnet19'"):
        build_network(Architecture.from_dict(unknown), ImageShape(3, 32, 32, 10))
