"""The memory of a training is estimated without it, and belongs to the process that trains."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from nas_gym import InvalidSettings, NASEnv, NASNetSearchSpace, TrainingSettings, load_dataset
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks.activations import TrainingMemory
from nas_gym.networks.devices import resolve_device
from nas_gym.networks.language_model import LanguageModel
from nas_gym.training.tasks import task as task_module
from nas_gym.training.trainer import Trainer
from tests.test_env import CHEAP
from tests.training.test_fused import TRAINED

DIGITS = load_dataset("digits")
SPACE = NASNetSearchSpace(2)
SETTINGS = TrainingSettings(CellNetworkSettings(cells=1, filters=4), epochs=1, batch_size=64)


def measured(trainer: Any, architecture: Any) -> int:
    """Return the bytes of weights, gradients and optimizer, and of what one real step holds."""
    task, saved = trainer.task, dict[int, int]()

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with trainer.isolated(1):
        network = trainer.build(architecture)
        loop = trainer.task.loop(network.train())
        own = {each.untyped_storage().data_ptr() for each in network.parameters()}
        # The loss function holds the logits, which no backward pass needs.
        network.register_forward_hook(lambda *io: tree_map(keep, io[2]))
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            if isinstance(network, LanguageModel):
                words, targets = next(task.windows(task.stream, task.options.bptt))
                output = network.run(words)
                keep(output.logits)
                loss = task.losses(output, targets)[1]
            else:
                loss = task.loss(network, *next(task.batches(loop.generators[0])))
    loss.backward()
    loop.optimizer.step()
    gradients = sum(each.grad.nbytes for each in network.parameters() if each.grad is not None)
    states = [part for state in loop.optimizer.state.values() for part in state.values()]
    weights = sum(each.nbytes for each in (*network.parameters(), *network.buffers()))
    kept = sum(size for place, size in saved.items() if place not in own)
    return int(weights + gradients + kept + sum(each.nbytes for each in states if each is not None))


@pytest.fixture
def without_onednn() -> Iterator[None]:
    """Leave out the library whose LSTM has a workspace of its own, of unknown size."""
    torch.backends.mkldnn.set_flags(_enabled=False)
    yield
    torch.backends.mkldnn.set_flags(_enabled=True)


@pytest.mark.usefixtures("without_onednn")
@pytest.mark.parametrize("env_id", TRAINED)
def test_the_estimate_is_what_a_step_takes(env_id: str) -> None:
    few: dict[str, Any] = {"batch_size": 128, "dataset": "digits", "precision": "float32"}
    if "units" in CHEAP[env_id]:
        few = {}
    env = gym.make(env_id, **{**CHEAP[env_id], **few}).unwrapped
    assert isinstance(env, NASEnv)
    trainer: Any = env.memory.evaluator
    for seed in range(2):
        choices = env.search_space.sample(np.random.default_rng(seed))
        architecture = env.search_space.decode(choices).canonical()
        estimate = trainer.task.memory(architecture)
        expected = measured(trainer, architecture)
        assert 0.98 * expected < estimate.total - estimate.temporary < 1.5 * expected
        assert trainer.memory_bytes(architecture) > estimate.total


def test_types_and_optimizers_count() -> None:
    architecture = SPACE.decode(SPACE.sample(np.random.default_rng(0)))

    def memory(**more: Any) -> TrainingMemory:
        return Trainer(DIGITS, replace(SETTINGS, **more), "cpu").task.memory(architecture)

    plain = memory(precision="float32")
    assert memory(precision="float32", momentum=0.0).optimizer == 0
    assert memory(precision="float32", optimizer="adam").optimizer == 2 * plain.optimizer
    assert memory(precision="float32", ema_decay=0.9).optimizer == 2 * plain.optimizer
    half = memory(precision="bfloat16")
    assert half.weights == plain.weights
    assert half.activations < 0.75 * plain.activations  # indices of pooling keep their 8 bytes


def test_a_child_that_cannot_be_built_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = Trainer(DIGITS, SETTINGS, "cpu")
    monkeypatch.setattr(task_module, "weightless_network", lambda *_: 1 / 0)
    assert trainer.memory_bytes(SPACE.decode(SPACE.sample(np.random.default_rng(0)))) == 0


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Say that there are two GPUs; whatever uses them fails."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 0))


@pytest.mark.usefixtures("two_gpus")
def test_a_trainer_for_workers_leaves_the_gpu_to_them() -> None:
    for name in ("cuda", "cuda:1"):
        trainer = Trainer(DIGITS, SETTINGS, name)
        assert trainer.fingerprint
        assert trainer.memory_bytes(SPACE.decode(SPACE.sample(np.random.default_rng(0)))) > 0
        sent = pickle.dumps(trainer)
        assert pickle.loads(sent).device == torch.device(name)
    assert not torch.cuda.is_initialized()
    with pytest.raises(InvalidSettings, match=r"'cuda:2' cannot be used here .there are 2 CUDA"):
        resolve_device("cuda:2")


def test_a_device_is_that_of_the_process(two_gpus: None, monkeypatch: pytest.MonkeyPatch) -> None:
    automatic, second, cpu = (
        pickle.dumps(Trainer(DIGITS, SETTINGS, name)) for name in ("auto", "cuda:1", "cpu")
    )
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    there = pickle.loads(second)
    assert there.device == there.task.device == torch.device("cuda")
    assert pickle.loads(automatic).device == torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    here = pickle.loads(automatic)
    assert here.device == here.task.device == torch.device("cpu")
    assert here.fingerprint == pickle.loads(cpu).fingerprint != there.fingerprint
    with pytest.raises(InvalidSettings, match="'cuda' cannot be used here"):
        pickle.loads(second)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    head = pickle.loads(pickle.dumps(here))  # made on a head without a GPU
    assert head.device == head.task.device == torch.device("cuda")
