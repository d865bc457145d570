"""Workers and stores as plain arguments of environments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_gym import InvalidSettings, NASEnv, NASVectorEnv, Trainer
from nas_gym.envs.composition import Composition, composed
from nas_gym.store.evaluator import StoredEvaluator
from nas_gym.store.store import Store
from nas_gym.workers.local import LocalWorkers
from tests.agents.stubs import Children
from tests.helpers import random_architecture
from tests.test_env import CHEAP

NASNET: dict[str, Any] = CHEAP["nas_gym/NASNet-v0"]


def test_make_vec_trains_children_on_workers_and_keeps_them(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db")
    envs = gym.make_vec("nas_gym/NASNet-v0", num_envs=3, workers=2, store=path, **NASNET)
    assert isinstance(envs, NASVectorEnv)
    stored = envs.memory.evaluator
    assert isinstance(stored, StoredEvaluator)
    pool = stored.evaluator
    assert isinstance(pool, LocalWorkers)
    assert pool.workers == 2
    envs.reset(seed=0)
    for step in range(envs.decisions):
        _, rewards, ended, _, _ = envs.step(np.array([step, step + 1, 0]) % 13)
    assert ended.all()
    assert (rewards > 0).all()
    envs.close()
    with pytest.raises(InvalidSettings, match="closed"):
        pool.submit(random_architecture(0, blocks=1))
    with Store(path, create=False) as store:
        assert store.size() == 3


def test_a_store_answers_the_next_environment(tmp_path: Path) -> None:
    made = []
    for _ in range(2):
        env = gym.make("nas_gym/NASNet-v0", store=str(tmp_path / "x.db"), **NASNET).unwrapped
        assert isinstance(env, NASEnv)
        [evaluation] = env.memory.evaluate([random_architecture(0, blocks=1)])
        made.append((evaluation.cached, evaluation.accuracy))
        env.close()
    assert made == [(False, made[0][1]), (True, made[0][1])]


def test_repeats_need_no_store_of_the_users(tmp_path: Path) -> None:
    children = Children(str(tmp_path / "log"))
    with composed(children, Composition(repeats=3)) as evaluator:
        [evaluation] = evaluator.evaluate([random_architecture(0)])
    assert evaluation.fingerprint == "children*3"
    assert len((tmp_path / "log").read_text().splitlines()) == 3


def test_an_evaluator_that_nothing_is_asked_around_is_left_as_it_is() -> None:
    env = gym.make("nas_gym/NASNet-v0", **NASNET).unwrapped
    assert isinstance(env, NASEnv)
    assert isinstance(env.memory.evaluator, Trainer)


def test_what_trains_nothing_takes_no_workers() -> None:
    with pytest.raises(InvalidSettings, match="unexpected keyword argument 'workers'"):
        gym.make("nas_gym/TinyBench-v0", workers=2)


def test_an_absurd_number_of_repeats_is_refused_before_any_is_begun() -> None:
    with pytest.raises(InvalidSettings, match="repeats: expected a number less than or equal to"):
        Composition(repeats=10**9)
