"""Agents in environments whose children share weights: what trains these, and what they draw.

agent = MaskablePPO("MlpPolicy", env, n_steps=400, gamma=1.0)
agent.learn(150 * 300 * 40, callback=TrainSharedWeights(episodes=300))
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN
from stable_baselines3 import DQN, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv

from nas_agents.strategies.strategy_agent import StrategyAgent
from nas_gym import Architecture, Evaluation, InvalidSettings, SearchSpace
from nas_gym.errors import require_integer
from nas_gym.evaluation.memory import Memory
from nas_gym.search_spaces import resolve_actions
from nas_gym.weight_sharing.evaluator import WeightSharing

SHARING = ("nas_gym/ENASMicro-v0", "nas_gym/ENASMacro-v0")
"""The registered environments whose children can share weights."""
DETERMINISTIC = (DQN, QRDQN, TD3, ARS)
"""Algorithms whose policies are deterministic; DDPG is a TD3."""


def shared_weights(env: VecEnv) -> WeightSharing:
    """The weights that the children of all N environments share, in this process.

    Raises:
        InvalidSettings: they share none, or each environment has some of its own.
    """
    elsewhere = isinstance(env.unwrapped, SubprocVecEnv)  # which cannot send its evaluators
    first, *others = [None] if elsewhere else _evaluators(env)
    if not (elsewhere or isinstance(first, WeightSharing)):
        raise InvalidSettings(
            "evaluator: the children of this environment share no weights; make "
            f'{" or ".join(SHARING)} with evaluator="weight-sharing" '
            "(--set evaluator=weight-sharing)"
        )
    if elsewhere or any(each is not first for each in (*others, *_evaluators(env))):
        raise InvalidSettings(
            f"evaluator: of these {env.num_envs} environments, each has an evaluator of its own or "
            "is in a process of its own, so that they share no weights; make them with "
            'nas_gym.sb3.make_vec_env(..., env_kwargs={"evaluator": "weight-sharing"})'
        )
    assert isinstance(first, WeightSharing)
    return first


def _evaluators(env: VecEnv) -> list[Any]:
    """What evaluates the children of each environment; None where nothing of nas_gym's does."""
    caching = env.get_attr("memory") if env.has_attr("memory") else [None]
    return [getattr(each, "evaluator", None) for each in caching]


def best_by_shared_weights(
    evaluator: Memory, candidates: Sequence[Architecture]
) -> tuple[Architecture, Evaluation]:
    """The best of some architectures by all validation images, and its evaluation.

    They count as evaluations asked for.

    Args:
        evaluator: An environment's, whose children share their weights.
        candidates: At least one.
    """
    shared = evaluator.evaluator
    assert isinstance(shared, WeightSharing)
    with shared.on_whole_split():
        evaluations = evaluator.evaluate(candidates)
    best = int(np.argmax([evaluation.accuracy for evaluation in evaluations]))
    return candidates[best], evaluations[best]


def draw(agent: BaseAlgorithm, search_space: SearchSpace, number: int) -> list[Architecture]:
    """So many architectures from an agent's policy as it stands, all in lock-step.

    A strategy has no policy; of it, they are random ones. The policies of DQN, QRDQN, TD3, DDPG
    and ARS are deterministic, and would give the same one each time; of these agents, they are
    drawn uniformly, from numpy's global generator.

    Raises:
        InvalidSettings: the agent does not make one decision a step.
    """
    if isinstance(agent, StrategyAgent):
        return [search_space.decode(agent.strategy.sample()) for _ in range(number)]
    if isinstance(agent.action_space, spaces.MultiDiscrete):
        raise InvalidSettings("agent: it has to make one decision a step to share weights")
    if isinstance(agent, DETERMINISTIC):
        rng = np.random.default_rng(np.random.randint(2**31, size=4))  # noqa: NPY002 (as seeded)
        return [search_space.decode(search_space.sample(rng)) for _ in range(number)]
    choices = np.zeros((number, len(search_space.decisions)), dtype=np.int64)
    observations = np.zeros(choices.shape, dtype=agent.observation_space.dtype)
    masked = any(
        "action_masks" in inspect.signature(predict).parameters
        for predict in (agent.predict, agent.policy.predict)
    )
    state: Any = None
    for step in range(choices.shape[1]):
        masks = search_space.action_masks(choices[:, :step])
        everywhere = np.broadcast_to(masks, (number, masks.shape[-1])).copy()
        given: dict[str, Any] = {"action_masks": everywhere} if masked else {}
        first = np.full(number, step == 0)
        actions, state = agent.predict(observations, state, first, **given)
        if isinstance(agent.action_space, spaces.Box):  # scores, as VecContinuousAction has them
            actions = np.where(everywhere, actions, -np.inf).argmax(axis=1)
        choices[:, step], _ = resolve_actions(masks, actions)
        observations[:, step] = choices[:, step] + 1
    return [search_space.decode(sequence) for sequence in choices]


class TrainSharedWeights(BaseCallback):
    """Trains the shared weights for an epoch before an agent's first episode, and again after so

    many of its episodes. Epochs that the weights were trained for before count, so that an agent
    that goes on does so where it was. It stops an agent whose shared weights diverged.

    Args:
        episodes: How many episodes of the agent follow an epoch of the weights.
    """

    def __init__(self, episodes: int = 300) -> None:
        super().__init__()
        require_integer("episodes", episodes, least=1)
        self.episodes = episodes
        self.diverged = False

    def _on_training_start(self) -> None:
        self.shared = shared_weights(self.training_env)
        self.decisions = len(self.shared.search_space.decisions)
        self._train_if_due()

    def _on_rollout_start(self) -> None:
        self._train_if_due()

    def _on_step(self) -> bool:
        first_of_episode = self.num_timesteps // self.training_env.num_envs % self.decisions == 1
        if first_of_episode:  # not every algorithm tells of its rollouts
            self._train_if_due()
        return not self.diverged

    def _train_if_due(self) -> None:
        together = self.training_env.num_envs
        ended = self.model.num_timesteps // (self.decisions * together) * together
        while self.shared.epoch <= ended // self.episodes and not self.diverged:
            epoch = self.shared.train_epoch(partial(draw, self.model, self.shared.search_space))
            self.diverged = not np.isfinite(epoch.loss)
            for name in ("epoch", "loss", "accuracy", "learning_rate", "seconds"):
                self.logger.record(f"shared/{name}", getattr(epoch, name))


def random_state() -> dict[str, Any]:
    """The state of the generators that policies draw from."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (Stable-Baselines3's own generator)
        "torch": torch.random.get_rng_state(),
        "cuda": cuda,
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Has them go on from a state of `random_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.random.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
