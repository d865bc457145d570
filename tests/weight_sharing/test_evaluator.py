"""Weight sharing: what an epoch and an evaluation do, and that they repeat to the bit."""

from __future__ import annotations

import math
import pickle
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nas_gym import (
    Architecture,
    ENASMacroSearchSpace,
    ENASMicroSearchSpace,
    Evaluation,
    InvalidSettings,
    NASEnv,
    NASNetSearchSpace,
    SearchSpace,
)
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.data.loading import load_dataset
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.memory import Memory
from nas_gym.families.enas.macro_network import MacroNetworkSettings
from nas_gym.families.enas.micro_network import ENASCellNetworkSettings
from nas_gym.sb3 import NASVecEnv, make_vec_env
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.store import Store
from nas_gym.training import network_trainer
from nas_gym.training.steps import flattened
from nas_gym.training.tasks.images import ImageClassification
from nas_gym.training.trainer import Trainer
from nas_gym.weight_sharing.evaluator import Sample, WeightSharing
from nas_gym.weight_sharing.settings import WeightSharingSettings
from nas_gym.workers.local import LocalWorkers

MACRO = ENASMacroSearchSpace(layers=3)
NETWORK = MacroNetworkSettings(filters=4, form="released_search")
QUICK = WeightSharingSettings(NETWORK, epochs=2, batch_size=64)


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return resplit(load_dataset("digits"), train=256, validation=150, test=100)


def shared(dataset: Dataset, settings: WeightSharingSettings = QUICK) -> WeightSharing:
    return WeightSharing(MACRO, dataset, settings, "cpu")


def sampler(seed: int = 0, search_space: SearchSpace = MACRO) -> Sample:
    """Draws architectures uniformly."""
    rng = np.random.default_rng(seed)

    def sample(number: int) -> Sequence[Architecture]:
        return [search_space.decode(search_space.sample(rng)) for _ in range(number)]

    return sample


def weights(evaluator: WeightSharing) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in evaluator.supernet.parameters()])


def same(first: list[Evaluation], second: list[Evaluation]) -> bool:
    return [replace(e, seconds=0.0) for e in first] == [replace(e, seconds=0.0) for e in second]


def test_shared_weights_learn(digits: Dataset) -> None:
    network = replace(NETWORK, filters=8)
    settings = replace(QUICK, network=network, batch_size=16, validated_on="split")
    evaluator = shared(digits, settings)
    sample = sampler()
    children = sample(5)
    before = np.mean([evaluation.accuracy for evaluation in evaluator.evaluate(children)])
    epochs = [evaluator.train_epoch(sample) for _ in range(6)]
    after = evaluator.evaluate(children)
    assert before < 0.2  # 0.1 by chance
    assert np.mean([evaluation.accuracy for evaluation in after]) > 0.25
    assert epochs[-1].loss < epochs[0].loss
    assert epochs[-1].accuracy > epochs[0].accuracy
    assert [epoch.epoch for epoch in epochs] == list(range(1, 7))
    assert {evaluation.status for evaluation in after} == {"ok"}


def test_it_repeats_itself_to_the_bit(digits: Dataset) -> None:
    runs = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed * 100)  # what others drew does not matter
        evaluator = shared(digits, replace(QUICK, seed=seed))
        sample = sampler()
        evaluator.train_epoch(sample)
        runs.append((weights(evaluator), evaluator.evaluate(sample(3))))
    assert torch.equal(runs[0][0], runs[1][0])
    assert same(runs[0][1], runs[1][1])
    assert not torch.equal(runs[0][0], runs[2][0])


def test_it_leaves_torchs_random_numbers_alone(digits: Dataset) -> None:
    before = torch.random.get_rng_state()
    evaluator = shared(digits, replace(QUICK, network=replace(NETWORK, dropout=0.5)))
    evaluator.train_epoch(sampler())
    evaluator.evaluate(sampler()(1))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("after", [0, 1])
def test_its_state_goes_on_to_the_bit(digits: Dataset, after: int) -> None:
    settings = replace(QUICK, network=replace(NETWORK, dropout=0.5))
    evaluator, sample = shared(digits, settings), sampler()
    evaluator.train_epoch(sample)
    evaluator.evaluate(sample(after))
    other = shared(digits, settings)
    other.load_state_dict(evaluator.state_dict())
    children = sample(1)
    for each in (evaluator, other):
        each.train_epoch(sampler(7))
    assert torch.equal(weights(evaluator), weights(other))
    assert same(evaluator.evaluate(children), other.evaluate(children))


@pytest.mark.parametrize("duplicate", [deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_a_copy_goes_on_to_the_bit(digits: Dataset, duplicate: Any) -> None:
    original, sample = shared(digits), sampler()
    original.train_epoch(sample)
    original.evaluate(sample(1))
    copied = duplicate(original)
    begun = weights(copied)
    assert torch.equal(begun, weights(original))
    for each in (original, copied):
        each.train_epoch(sampler(7))
    assert torch.equal(weights(copied), weights(original))
    assert not torch.equal(weights(copied), begun)
    children = sample(3)
    assert same(copied.evaluate(children), original.evaluate(children))


def test_a_copy_takes_the_device_of_its_process(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = shared(digits)
    original.device_name = "cuda:3"  # which another process may not have
    monkeypatch.setattr(network_trainer, "device_here", lambda name: torch.device("cpu"))
    copied = pickle.loads(pickle.dumps(original))
    assert (copied.device, copied.device_name) == (torch.device("cpu"), "cuda:3")


def test_a_copy_of_one_that_goes_on_goes_on_too(digits: Dataset) -> None:
    original, sample = shared(digits), sampler()
    original.train_epoch(sample)
    children = sample(2)
    made = original.evaluate(children)
    resumed = shared(digits)
    resumed.go_on_from(original.state_dict(), made)
    copied = pickle.loads(pickle.dumps(resumed))
    copied.train_epoch(sampler())
    assert same(copied.evaluate(children), made)
    assert torch.equal(weights(copied), weights(original))


def test_an_evaluation_takes_the_next_minibatch_in_a_fixed_order(digits: Dataset) -> None:
    evaluator = shared(digits)
    evaluator.train_epoch(sampler())
    (child,) = sampler()(1)
    there = [evaluation.accuracy for evaluation in evaluator.evaluate([child] * 6)]
    assert there[:3] == there[3:]  # 150 validation images make three batches of 50
    assert all(math.isclose(accuracy * 50, round(accuracy * 50)) for accuracy in there)
    with evaluator.on_whole_split():
        whole = evaluator.evaluate([child] * 2)
    assert whole[0].accuracy == whole[1].accuracy == pytest.approx(np.mean(there))
    assert evaluator.evaluate_one(child).accuracy == there[0]
    assert whole[0].fingerprint != evaluator.fingerprint


def test_a_childs_record(digits: Dataset) -> None:
    evaluator = shared(digits, replace(QUICK, seed=9))
    (child,) = sampler()(1)
    evaluation = evaluator.evaluate_one(child)
    assert evaluation.curve == (evaluation.accuracy,)
    assert evaluation.parameters == evaluator.supernet.count_parameters(child)
    assert (evaluation.seed, evaluation.cached) == (9, False)
    assert evaluation.fingerprint == evaluator.fingerprint


def test_a_child_beyond_the_limits_is_not_validated(digits: Dataset) -> None:
    children = sampler()(8)
    sizes = [shared(digits).supernet.count_parameters(child) for child in children]
    settings = replace(QUICK, at_most=CostLimits(weight_bytes=4 * min(sizes)))
    evaluations = shared(digits, settings).evaluate(children)
    expected = ["ok" if size == min(sizes) else "over_limit" for size in sizes]
    assert [evaluation.status for evaluation in evaluations] == expected
    assert set(expected) == {"ok", "over_limit"}
    assert {each.accuracy for each in evaluations if each.status != "ok"} == {0.0}
    with pytest.raises(InvalidSettings, match=r"at_most: multiply_adds: .* parameters alone"):
        shared(digits, replace(QUICK, at_most=CostLimits(multiply_adds=1e6)))


def test_what_goes_wrong_becomes_a_status(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluator = shared(digits)
    (child,) = sampler()(1)
    (deeper,) = sampler(search_space=ENASMacroSearchSpace(layers=4))(1)
    unbuildable = evaluator.evaluate_one(deeper)
    assert (unbuildable.status, unbuildable.parameters) == ("unbuildable", None)
    assert "4 layers; this supernet has 3" in unbuildable.message

    def out_of_memory(_: object) -> None:
        raise torch.OutOfMemoryError

    with monkeypatch.context() as patch:
        patch.setattr(evaluator.supernet, "forward", out_of_memory)
        assert evaluator.evaluate_one(child).status == "out_of_memory"
    classifier: Any = evaluator.supernet.classifier
    classifier.weight.data.fill_(math.nan)
    diverged = evaluator.evaluate_one(child)
    assert (diverged.status, diverged.accuracy, diverged.curve) == ("diverged", 0.0, ())


def test_the_learning_rate_starts_again() -> None:
    settings = replace(QUICK, learning_rate=0.05, lowest_learning_rate=0.0005, period=10)
    rates = [settings.learning_rate_in(epoch) for epoch in range(70)]
    assert [epoch for epoch, rate in enumerate(rates) if rate == 0.05] == [0, 10, 30]
    assert rates[5] == rates[20] == pytest.approx((0.05 + 0.0005) / 2)
    assert rates[9] > rates[29] > rates[69] > 0.0005
    steady = replace(settings, period=5, period_factor=1)
    assert [steady.learning_rate_in(epoch) == 0.05 for epoch in (4, 5, 9, 10)] == [0, 1, 0, 1]


def test_weight_decay_and_momentum_are_of_all_weights(digits: Dataset) -> None:
    evaluator = shared(digits, replace(QUICK, weight_decay=0.1))
    (child,) = sampler()(1)
    own = {id(p) for module in evaluator.supernet.path(child) for p in module.parameters()}
    others = [p for p in evaluator.supernet.parameters() if id(p) not in own and p.dim() > 1]
    before = [p.detach().clone() for p in others]
    evaluator.train_epoch(lambda number: [child] * number)
    assert others
    assert all((p.abs() < b.abs()).all() for p, b in zip(others, before, strict=True))


def test_gradients_are_clipped_where_asked_for(digits: Dataset) -> None:
    moved = []
    for clip in (0.0, 1e-6):
        settings = replace(QUICK, gradient_clip=clip, weight_decay=0.0)
        evaluator = shared(digits, settings)
        before = weights(evaluator)
        evaluator.train_epoch(sampler())
        moved.append((weights(evaluator) - before).abs().max().item())
    assert moved[0] > 1e-3 > moved[1]


def test_the_auxiliary_head_and_drop_path_of_micro(digits: Dataset) -> None:
    network = ENASCellNetworkSettings(
        cells=1, filters=2, form="released_search", auxiliary_head=True, drop_path_keep=0.5
    )
    micro = ENASMicroSearchSpace(blocks=1)
    settings = replace(QUICK, network=network)
    evaluator = WeightSharing(micro, digits, settings, "cpu")
    head: Any = evaluator.supernet.auxiliary_head
    before = [parameter.detach().clone() for parameter in head.parameters()]
    evaluator.train_epoch(sampler(search_space=micro))
    assert not any(torch.equal(b, p) for b, p in zip(before, head.parameters(), strict=True))
    paths: Any = evaluator.supernet.drop_paths
    assert {path.progress for path in paths} == {(3 / 4) / 2}  # before the last of 4 steps


def test_drop_path_grows_for_its_epochs_and_no_longer(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = ENASCellNetworkSettings(
        cells=1, filters=2, form="released_search", drop_path_keep=0.4
    )
    micro = ENASMicroSearchSpace(blocks=1)
    evaluator = WeightSharing(micro, digits, replace(QUICK, network=network, epochs=1), "cpu")
    seen: list[float] = []
    set_progress = evaluator.supernet.set_progress

    def noted(progress: float) -> None:
        seen.append(progress)
        set_progress(progress)

    monkeypatch.setattr(evaluator.supernet, "set_progress", noted)
    losses = [evaluator.train_epoch(sampler(search_space=micro)).loss for _ in range(3)]
    assert seen == [0.0, 0.25, 0.5, 0.75] + [1.0] * 8
    assert all(map(math.isfinite, losses))


def test_a_part_of_the_data_is_what_a_trainer_takes(digits: Dataset) -> None:
    evaluator = shared(digits, replace(QUICK, data_fraction=0.5))
    trainer = Trainer(digits, evaluator.child_settings, "cpu")
    ours, alone = evaluator.task, trainer.task
    assert isinstance(alone, ImageClassification)
    assert len(ours.training) < len(digits.train)
    assert (ours.batch_size, ours.steps_per_epoch) == (64, len(alone.training) // 64)
    first = torch.arange(100)
    for there, here in (
        (ours.training.batch(first), alone.training.batch(first)),
        (ours.validation.batch(first), alone.validation.batch(first)),
    ):
        assert torch.equal(there[0], here[0])  # normalized by the same images
        assert torch.equal(there[1], here[1])
    assert evaluator.fingerprint != shared(digits).fingerprint


def test_nothing_is_answered_from_memory(digits: Dataset) -> None:
    evaluator = shared(digits)
    evaluator.train_epoch(sampler())
    (child,) = sampler()(1)
    caching = Memory(evaluator)
    there = caching.evaluate([child, child]) + caching.evaluate([child])
    assert len({evaluation.accuracy for evaluation in there}) > 1
    assert not any(evaluation.cached for evaluation in there)
    assert (caching.budget.asked, caching.budget.made) == (3, 3)
    assert caching.budget.seconds == pytest.approx(sum(e.seconds for e in there))
    assert caching.known == {}


def test_neither_workers_nor_a_store_take_it(digits: Dataset, tmp_path: Path) -> None:
    says = "WeightSharing cannot be given to workers or to a store, since its answers change"
    with pytest.raises(InvalidSettings, match=says):
        LocalWorkers(shared(digits), workers=1)
    with Store(tmp_path / "evaluations.db") as store, pytest.raises(InvalidSettings, match=says):
        StoredEvaluator(shared(digits), store, "run")


def test_an_environment_evaluates_the_same_network_anew(digits: Dataset) -> None:
    evaluator = shared(digits)
    env = NASEnv(MACRO, evaluator)
    rewards = []
    for _ in range(4):
        env.reset()
        for _ in range(env.decisions):
            _, reward, terminated, *_ = env.step(0)
        assert terminated
        assert env.finished is not None
        assert env.finished.evaluation.cached is False
        rewards.append(reward)
    assert rewards[3] == rewards[0]  # of the same minibatch, under the same weights
    evaluator.train_epoch(sampler())
    assert (env.budget.asked, env.budget.made) == (4, 4)


@pytest.mark.parametrize("env_id", ["nas_gym/ENASMacro-v0", "nas_gym/ENASMicro-v0"])
def test_the_registered_environments_share_weights_if_asked(env_id: str) -> None:
    size = {"layers": 3} if "Macro" in env_id else {"blocks": 1}
    sharing = {"evaluator": "weight-sharing", "filters": 2, "training_seed": 3, "period": 7}
    arguments: dict[str, Any] = {**sharing, **size}
    env = gym.make(env_id, **arguments).unwrapped
    assert isinstance(env, NASEnv)
    evaluator = env.memory.evaluator
    assert isinstance(evaluator, WeightSharing)
    assert (evaluator.settings.seed, evaluator.settings.period) == (3, 7)
    assert evaluator.search_space is env.search_space
    vec_env = make_vec_env(env_id, n_envs=2, env_kwargs=arguments)
    assert isinstance(vec_env, NASVecEnv)
    vec_env.reset()
    for _ in range(env.decisions):
        _, rewards, _, infos = vec_env.step(np.zeros(2, dtype=np.int64))
    assert [info["evaluation"]["status"] for info in infos] == ["ok", "ok"]
    assert rewards.shape == (2,)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"evaluator": "shared"}, "'trained', 'weight-sharing'"),
        ({"evaluator": "weight-sharing", "form": "released_final"}, "form"),
        ({"evaluator": "weight-sharing", "periods": 3}, "did you mean 'period'"),
        ({"period": 3}, "unexpected keyword argument 'period'"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        gym.make("nas_gym/ENASMacro-v0", **arguments)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"period": 0}, "period"),
        ({"period_factor": 0.5}, "period_factor"),
        ({"lowest_learning_rate": -1.0}, "lowest_learning_rate"),
        ({"validated_on": "all"}, "'minibatch' or 'split'"),
        ({"batch_statistics": 1}, "batch_statistics"),
        ({"latency": {}}, "latency: .* leave it out"),
        ({"early_stopping": {}}, "early_stopping: .* leave it out"),
        ({"inherit_weights": "folder"}, "inherit_weights: .* 'folder'"),
        ({"batch_norm_momentum": 0.1}, "batch_norm_momentum: expected None, got 0.1"),
        ({"count_activations": True}, "count_activations: .* leave it out"),
        ({"fused": 2}, "fused: .* leave it out"),
    ],
)
def test_bad_settings(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidSettings, match=says):
        WeightSharingSettings(**wrong)


def test_other_search_spaces_have_no_supernet(digits: Dataset) -> None:
    with pytest.raises(InvalidSettings, match="has no supernet"):
        WeightSharing(NASNetSearchSpace(), digits, WeightSharingSettings(), "cpu")


def test_evaluations_are_queued_and_read_together(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure among them is the status of that child alone."""
    evaluator, other, children = shared(digits), shared(digits), sampler()(4)
    select = type(evaluator.supernet).set_architecture

    def failing(supernet: Any, architecture: Architecture) -> None:
        if architecture is children[1]:
            raise KeyError("no path")
        select(supernet, architecture)

    monkeypatch.setattr(type(evaluator.supernet), "set_architecture", failing)
    expected = [other.evaluate_one(child) for child in children]
    assert [each.status for each in expected] == ["ok", "unbuildable", "ok", "ok"]
    reads: list[object] = []
    tolist = Tensor.tolist

    def noted(self: Tensor) -> Any:
        reads.append(self.shape)
        return tolist(self)

    monkeypatch.setattr(Tensor, "tolist", noted)
    for name in ("item", "__bool__", "__int__", "__float__"):
        monkeypatch.setattr(Tensor, name, reads.append)
    assert same(evaluator.evaluate(children), expected)
    assert reads == [(4, 2)]


@pytest.mark.gpu
def test_on_cuda_it_repeats_and_goes_on(digits: Dataset) -> None:
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    evaluator = WeightSharing(MACRO, digits, QUICK, "cuda")
    evaluator.train_epoch(sampler())
    other = WeightSharing(MACRO, digits, QUICK, "cuda")
    other.load_state_dict(evaluator.state_dict())
    assert other.epoch == 1
    assert {e.status for e in other.evaluate(sampler()(3))} == {"ok"}


@pytest.mark.parametrize("damage", [{}, {"supernet": {}}, {"optimizer": 3}, {"epoch": None}])
def test_a_damaged_state_gives_one_line(damage: dict[str, Any], digits: Dataset) -> None:
    evaluator = shared(digits)
    state = {**evaluator.state_dict(), **damage} if damage else {}
    if "epoch" in damage:
        del state["history"]
    with pytest.raises(InvalidSettings, match=r"^shared weights: the state is damaged"):
        evaluator.load_state_dict(state)


def test_flattened_parameters_are_views_of_one_tensor() -> None:
    """In the network's own layout; a step of the one tensor is a step of them all."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(16, 2))
    network = network.to(memory_format=torch.channels_last)
    twin = deepcopy(network)
    weights, gradients = flattened(network)
    assert weights.shape == gradients.shape == (sum(p.numel() for p in twin.parameters()),)
    optimizers = [
        torch.optim.SGD(each, lr=0.1, momentum=0.9, weight_decay=0.1)
        for each in ([weights], twin.parameters())
    ]
    for step in range(3):
        images = torch.randn(5, 3, 4, 4)
        for each, optimizer in zip((network, twin), optimizers, strict=True):
            each(images).square().sum().backward()
            optimizer.step()
            optimizer.zero_grad(set_to_none=False)
        for one, other in zip(network.parameters(), twin.parameters(), strict=True):
            torch.testing.assert_close(one, other, msg=f"step {step}")
            assert one.stride() == other.stride()
