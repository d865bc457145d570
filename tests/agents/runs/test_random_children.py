"""The random children that the default search is compared with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_agents.runs import summary
from nas_agents.runs.comparison import random_accuracies
from nas_agents.runs.progress import Progress
from nas_gym import NASEnv, NASNetSearchSpace
from nas_gym.rewards import accuracy
from nas_gym.training.trainer import Trainer
from tests.agents.stubs import AlwaysFails


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


@pytest.mark.parametrize(("repeats", "known"), [(1, True), (3, False)])
def test_means_of_repeats_are_not_compared_with_single_trainings(
    repeats: int, known: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(summary, "random_accuracies", lambda *_: np.array([0.5]))
    stored = SimpleNamespace(evaluator=SimpleNamespace(repeats=repeats))
    env: Any = SimpleNamespace(reward=accuracy, search_space=None, memory=stored)
    made = summary.summary_of(Progress(episodes=1), "episodes", AlwaysFails(), env)
    assert (made["random_search"] == 0.5) is known
