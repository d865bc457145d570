"""The random children that the default search is compared with."""

from __future__ import annotations

from dataclasses import replace

import gymnasium as gym
import numpy as np
import pytest

from nas_agents.runs.comparison import random_accuracies
from nas_gym import NASEnv, NASNetSearchSpace
from nas_gym.training.trainer import Trainer


@pytest.fixture(scope="module")
def default() -> NASEnv:
    env = gym.make("nas_gym/NASNet-v0", device="cpu", training_seed=7).unwrapped
    assert isinstance(env, NASEnv)
    return env


def trainer(env: NASEnv) -> Trainer:
    assert isinstance(env.memory.evaluator, Trainer)
    return env.memory.evaluator


def test_they_are_those_of_the_default_environment(default: NASEnv) -> None:
    accuracies = random_accuracies(trainer(default), default.search_space)
    assert accuracies is not None
    assert len(accuracies) >= 300
    assert 0.1 < np.median(accuracies) < accuracies.max() < 1


def test_children_of_another_kind_are_not_compared_with_them(default: NASEnv) -> None:
    mine = trainer(default)
    assert random_accuracies(mine, NASNetSearchSpace(blocks=4)) is None
    longer = Trainer(mine.dataset, replace(mine.settings, epochs=3), "cpu")
    assert random_accuracies(longer, default.search_space) is None
    fewer = replace(mine.dataset, train=mine.dataset.train[1:])
    assert random_accuracies(Trainer(fewer, mine.settings, "cpu"), default.search_space) is None
