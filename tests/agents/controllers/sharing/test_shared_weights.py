"""Shared weights beside any agent: whose they are, and which children they are trained on."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from sb3_contrib import ARS, QRDQN
from stable_baselines3 import DDPG, DQN, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv, VecEnvWrapper

from nas_agents.controllers.sharing.shared_weights import (
    draw,
    random_state,
    set_random_state,
    shared_weights,
)
from nas_gym import Evaluator, InvalidSettings, NASEnv
from nas_gym.sb3 import VecContinuousAction
from tests.agents.controllers.sharing.test_enas import MACRO, macro_env


@pytest.mark.parametrize(
    ("algorithm", "policy"),
    [
        (DQN, "MlpPolicy"),
        (QRDQN, "MlpPolicy"),
        (TD3, "MlpPolicy"),
        (DDPG, "MlpPolicy"),
        (ARS, "LinearPolicy"),
    ],
)
def test_of_agents_with_a_deterministic_policy_children_are_drawn_uniformly(
    algorithm: type[BaseAlgorithm], policy: str
) -> None:
    env: VecEnv = macro_env()
    if not issubclass(algorithm, DQN | QRDQN):
        env = VecContinuousAction(env)
    agent = algorithm(policy, env, seed=0, device="cpu")  # type: ignore[call-arg]
    agent.exploration_rate = 0.0  # type: ignore[attr-defined]
    agent.set_random_seed(0)
    drawn = [each.key for each in draw(agent, MACRO, 40)]
    assert len(set(drawn)) > 35  # of 1,728
    assert [each.key for each in draw(agent, MACRO, 40)] != drawn
    agent.set_random_seed(0)
    assert [each.key for each in draw(agent, MACRO, 40)] == drawn


def test_environments_with_weights_of_their_own_are_refused() -> None:
    """As Stable-Baselines3's own `make_vec_env` makes them."""
    evaluators = [macro_env().venv.memory.evaluator for _ in range(2)]

    def envs(*those: Evaluator) -> VecEnv:
        return DummyVecEnv([partial(NASEnv, MACRO, each) for each in those])

    assert shared_weights(envs(evaluators[0], evaluators[0])) is evaluators[0]
    with pytest.raises(InvalidSettings, match=r"2 environments.* nas_gym\.sb3\.make_vec_env"):
        shared_weights(envs(*evaluators))


class Processes(SubprocVecEnv):
    """Without the processes."""

    def __init__(self) -> None:
        self.num_envs = 2


class Copies(VecEnvWrapper):
    """Gives another evaluator each time that it is asked."""

    def reset(self) -> Any:
        return self.venv.reset()

    def step_wait(self) -> Any:
        return self.venv.step_wait()

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return macro_env().get_attr(attr_name)


@pytest.mark.parametrize("make", [Processes, lambda: Copies(macro_env())])
def test_environments_in_other_processes_are_refused(make: Callable[[], VecEnv]) -> None:
    with pytest.raises(InvalidSettings, match=r"process of its own.* nas_gym\.sb3\.make_vec_env"):
        shared_weights(make())


def test_random_states_of_gpus_that_are_not_here_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A search that was saved on a machine with more of them goes on."""
    state = {**random_state(), "cuda": [torch.tensor([n], dtype=torch.uint8) for n in range(3)]}
    generators: dict[int, Any] = {0: None, 1: None}

    def set_rng_state(kept: torch.Tensor, index: int) -> None:
        assert index in generators  # torch's own tuple has no more
        generators[index] = kept.item()

    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_rng_state", set_rng_state)
    monkeypatch.setattr("torch.cuda.random.set_rng_state", set_rng_state)
    set_random_state(state)
    assert generators == {0: 0, 1: 1}
