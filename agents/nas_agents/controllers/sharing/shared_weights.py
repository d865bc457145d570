"""Any agent as the controller of children that share their weights.

agent = MaskablePPO("MlpPolicy", env, n_steps=400, gamma=1.0)
agent.learn(150 * 300 * 40, callback=TrainSharedWeights(episodes=300))
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
import torch
from gymnasium import spaces
from sb3_contrib import ARS, QRDQN
from stable_baselines3 import DQN, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import SubprocVecEnv, VecEnv

from nas_agents.strategies.as_agent import StrategyAgent
from nas_gym import Architecture, Evaluation, InvalidSettings, SearchSpace
from nas_gym.evaluation.memory import Memory
from nas_gym.observations import ObservationSpace
from nas_gym.search_spaces import resolve_actions
from nas_gym.settings import Positive, validated
from nas_gym.weight_sharing.evaluator import WeightSharing

SHARING = (
    *("nas_gym/ENASMicro-v0", "nas_gym/ENASMacro-v0", "nas_gym/ENASRecurrent-v0"),
    *("nas_gym/TuNAS-v0", "nas_gym/ProxylessNAS-v0"),
)
"""The registered environments whose controller can train the weights that children share."""
DETERMINISTIC = (DQN, QRDQN, TD3, ARS)
"""Algorithms whose policies are deterministic; DDPG is a TD3."""


def shared_weights(env: VecEnv) -> WeightSharing:
    """Return the weights that the children of all N environments share, in this process.

    Raises:
        InvalidSettings: they share none, or not with the other environments.
    """
    elsewhere = isinstance(env.unwrapped, SubprocVecEnv)  # which cannot send its evaluators
    known = not elsewhere and env.has_attr("memory")  # of nas_gym's environments
    # Asked twice: an environment that sends copies sends another one each time
    memories = [*env.get_attr("memory"), *env.get_attr("memory")] if known else [None]
    shared, *others = [getattr(memory, "evaluator", None) for memory in memories]
    if not (elsewhere or isinstance(shared, WeightSharing)):
        raise InvalidSettings(
            "evaluator: the children of this environment share no weights; make "
            f'{", ".join(SHARING)} with evaluator="weight-sharing" '
            "(--set evaluator=weight-sharing)"
        )
    if elsewhere or any(other is not shared for other in others):
        raise InvalidSettings(
            f"evaluator: of these {env.num_envs} environments, each has an evaluator of its own or "
            "is in a process of its own, so that they share no weights; make them with "
            'nas_gym.sb3.make_vec_env(..., env_kwargs={"evaluator": "weight-sharing"})'
        )
    return shared  # type: ignore[return-value]


def best_by_shared_weights(
    memory: Memory, candidates: Sequence[Architecture]
) -> tuple[Architecture, Evaluation]:
    """Return the best of one or more architectures by all validation images, and its evaluation.

    They count as evaluations asked for of the memory, whose evaluator is `WeightSharing`.
    """
    shared = memory.evaluator
    assert isinstance(shared, WeightSharing)
    with shared.on_whole_split():
        evaluations = memory.evaluate(candidates)
    best = int(np.argmax([evaluation.accuracy for evaluation in evaluations]))
    return candidates[best], evaluations[best]


def draw(
    agent: BaseAlgorithm, search_space: SearchSpace, number: int, deterministic: bool = False
) -> list[Architecture]:
    """Draw ``number`` architectures from an agent's current policy, all in lock-step.

    With ``deterministic``, each decision is the most probable one.

    A strategy has no policy: it draws random ones. The policies of DQN, QRDQN, TD3, DDPG and ARS
    are deterministic, and would give the same one each time: for these agents, architectures are
    drawn uniformly, with numpy's global generator.

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
    decided, space = np.zeros_like(choices), cast(ObservationSpace, agent.observation_space)
    takes_masks = any(
        "action_masks" in inspect.signature(predict).parameters
        for predict in (agent.predict, agent.policy.predict)
    )
    state: Any = None
    for step in range(choices.shape[1]):
        masks = search_space.action_masks(choices[:, :step])
        masks = np.broadcast_to(masks, (number, masks.shape[-1])).copy()
        keywords: dict[str, Any] = {"action_masks": masks} if takes_masks else {}
        episode_starts = np.full(number, step == 0)
        keywords["deterministic"] = deterministic
        observations = space.encode(decided)
        actions, state = agent.predict(observations, state, episode_starts, **keywords)
        if isinstance(agent.action_space, spaces.Box):  # scores, as VecContinuousAction has them
            actions = np.where(masks, actions, -np.inf).argmax(axis=1)
        choices[:, step], _ = resolve_actions(masks, actions)
        decided[:, step] = choices[:, step] + 1
    return [search_space.decode(sequence) for sequence in choices]


class TrainSharedWeights(BaseCallback):
    """Trains the shared weights for an epoch at regular numbers of an agent's episodes.

    The first epoch precedes the first episode. Earlier epochs of the weights count, so that a
    resumed agent continues where it was. It stops an agent whose shared weights diverged.

    Args:
        episodes: Number of the agent's episodes that follow an epoch of the weights.
    """

    @validated
    def __init__(self, episodes: Positive = 300) -> None:
        super().__init__()
        self.episodes = episodes
        self.diverged = False

    def _on_training_start(self) -> None:
        self.shared = shared_weights(self.training_env)
        self.decisions = len(self.shared.search_space.decisions)
        self._train_if_due()

    def _on_rollout_start(self) -> None:
        self._train_if_due()

    def _on_step(self) -> bool:
        # Not every algorithm calls `_on_rollout_start`
        if self.num_timesteps // self.training_env.num_envs % self.decisions == 1:
            self._train_if_due()
        return not self.diverged

    def _train_if_due(self) -> None:
        num_envs = self.training_env.num_envs
        num_ended = self.model.num_timesteps // (self.decisions * num_envs) * num_envs
        while self.shared.epoch <= num_ended // self.episodes and not self.diverged:
            epoch = self.shared.train_epoch(partial(draw, self.model, self.shared.search_space))
            self.diverged = not np.isfinite(epoch.loss)
            for name in ("epoch", "loss", "accuracy", "learning_rate", "seconds"):
                self.logger.record(f"shared/{name}", getattr(epoch, name))


def random_state() -> dict[str, Any]:
    """Return the state of the generators that policies draw from."""
    return {
        "python": random.getstate(),
        "numpy": np.random.get_state(),  # noqa: NPY002 (Stable-Baselines3's own generator)
        "torch": torch.random.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_state(state: dict[str, Any]) -> None:
    """Set the generators to a state of `random_state`."""
    random.setstate(state["python"])
    np.random.set_state(state["numpy"])  # noqa: NPY002
    torch.random.set_rng_state(state["torch"])
    for index, of_gpu in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
        torch.cuda.set_rng_state(of_gpu, index)
