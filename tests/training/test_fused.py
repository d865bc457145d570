"""Several trainings as one: losses, accuracies and weights are those of separate trainings."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym import NASEnv, published
from nas_gym.networks import ChildNetwork
from nas_gym.networks.fused import Fused
from nas_gym.training.seeds import global_generator
from nas_gym.training.steps import descend
from nas_gym.training.trainer import Trainer
from tests.test_env import CHEAP

SEEDS = [1, 2]
STEPS = 20
TRAINED = [env_id for env_id in CHEAP if "Bench-v0" not in env_id]


def steps_of(trainer: Trainer, network: ChildNetwork, seeds: list[int]) -> Tensor:
    """Return the losses of the first steps of a training, (STEPS,) or (STEPS, K)."""
    losses: list[Tensor] = []
    task: Any = trainer.task
    loss = "_losses" if hasattr(task, "_losses") else "loss"
    original = getattr(task, loss)

    def recorded(*arguments: Any) -> Any:
        made = original(*arguments)
        losses.append((made[0] if isinstance(made, tuple) else made).detach().clone())
        return made

    setattr(task, loss, recorded)
    for _ in task.train(network, seeds):
        pass
    setattr(task, loss, original)
    return torch.stack(losses[:STEPS])


@pytest.mark.parametrize("env_id", TRAINED)
def test_losses_are_those_of_separate_trainings(env_id: str) -> None:
    few: dict[str, Any] = {"batch_size": 8, "data_fraction": 0.16, "dataset": "digits"}
    if "units" in CHEAP[env_id]:
        few = {"data_fraction": 0.004, "bptt": 5}
    env = gym.make(env_id, **{**CHEAP[env_id], **few}, learning_rate=0.01).unwrapped
    assert isinstance(env, NASEnv)
    trainer: Any = env.memory.evaluator
    rng = np.random.default_rng(3)
    architecture = env.search_space.decode(env.search_space.sample(rng))
    members, generators, separate = [], [], []
    for seed in SEEDS:
        with trainer.isolated(seed):
            separate.append(steps_of(trainer, trainer.build(architecture), [seed]))
        with trainer.isolated(seed):
            members.append(trainer.build(architecture))
            generators.append(global_generator(trainer.device))
    together = steps_of(trainer, Fused(members, generators), SEEDS)
    assert len(together) == STEPS
    torch.testing.assert_close(together, torch.stack(separate, dim=1), atol=1e-4, rtol=0)
