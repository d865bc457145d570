"""`StrategyAgent`: any `Strategy` as a Stable-Baselines3 algorithm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import MaybeCallback, PyTorchObs, Schedule
from stable_baselines3.common.utils import safe_mean
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv

from nas_agents.strategies.base import Strategy, begun
from nas_agents.strategies.random_search import RandomSearch
from nas_gym import Objectives
from nas_gym.errors import InvalidSettings, require
from nas_gym.search_spaces import Choices
from nas_gym.settings import Seed, validated


class BestArchitecture(BasePolicy):
    """Designs the best architecture found; before any reward, that of the first choices.

    It reads the next decision off observations, which are `NASEnv`'s or their one-hot code.
    """

    best: torch.Tensor
    """(T,) int64."""

    def __init__(
        self,
        observation_space: spaces.Space[Any],
        action_space: spaces.Space[Any],
        lr_schedule: Schedule,
        num_choices: Sequence[int],
    ) -> None:
        super().__init__(observation_space, action_space)
        self.num_choices = num_choices
        self.register_buffer("best", torch.zeros(len(num_choices), dtype=torch.int64))

    def _predict(self, observation: PyTorchObs, deterministic: bool = False) -> torch.Tensor:
        assert isinstance(observation, torch.Tensor)
        if not isinstance(self.action_space, spaces.Discrete):
            return self.best.expand(len(observation), -1)
        steps = num_decided(observation, self.num_choices)
        return self.best[steps.clamp(max=len(self.best) - 1)]


def num_decided(observations: torch.Tensor, num_choices: Sequence[int]) -> torch.Tensor:
    """Return the number of decisions made, (N,), in N observations: choices or one-hot codes."""
    if observations.shape[1] == len(num_choices):
        return (observations > 0).sum(dim=1)
    sizes = np.array(num_choices) + 1
    undecided = observations[:, np.cumsum(sizes) - sizes]  # the first entry of each code
    return (undecided == 0).sum(dim=1)


class StrategyAgent(BaseAlgorithm):
    """Plays a strategy's proposals decision by decision, and returns the rewards to it.

    With N environments, N proposals are under way at a time. The proposal of a truncated episode
    is dropped without a reward; an episode interrupted by a save is played again. `predict` designs
    the best architecture found. It works in every `VecEnv` of `NASEnv` whose actions are its own,
    or `nas_gym.wrappers.WholeArchitecture`'s.

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/TinyBench-v0", n_envs=8)
        agent = StrategyAgent(RegularizedEvolution, vec_env, {"population": 20, "sample": 5})
        agent.learn(6 * 500)

    Args:
        strategy: The strategy's class.
        env: The environments.
        arguments: The strategy's arguments except the search space, which is the environments',
            and the seed.
        seed: Seed of the strategy.
        verbose, tensorboard_log: As in Stable-Baselines3.
        device: Has no effect.
        policy: The policy of `predict`.

    Raises:
        InvalidSettings: the environment is not nas_gym's, its rewards do not suit the strategy, or
            an argument is not valid.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"BestArchitecture": BestArchitecture}
    policy: BestArchitecture

    @validated
    def __init__(
        self,
        strategy: type[Strategy] | None = None,
        env: gym.Env[Any, Any] | VecEnv | str | None = None,
        arguments: Mapping[str, Any] | None = None,
        seed: Seed | None = None,
        verbose: int = 0,
        tensorboard_log: str | None = None,
        device: torch.device | str = "cpu",
        policy: str | type[BasePolicy] = BestArchitecture,
        _init_setup_model: bool = True,
    ) -> None:
        ours: dict[str, Any] = {"learning_rate": 0.0, "support_multi_env": True}
        ours["supported_action_spaces"] = (spaces.Discrete, spaces.MultiDiscrete)
        common: dict[str, Any] = {"tensorboard_log": tensorboard_log, "verbose": verbose}
        super().__init__(policy, env, **ours, **common, device=device, seed=seed)
        self.best_reward = float("-inf")
        self._best: list[float] = []
        """The reward of the best architecture, all of its entries."""
        self._proposals: list[Choices | None] = []
        """The proposal under way in each environment, or None."""
        self._steps: list[int] = []
        """The number of decisions made of each proposal."""
        if _init_setup_model:
            if strategy is None or self.env is None:
                raise InvalidSettings("strategy, env: give both; only a saved agent has its own")
            self.set_random_seed(seed)
            designs = self.env.has_attr("search_space")
            require(designs, f"env: {self.env} is no environment of nas_gym")
            reward = self.env.get_attr("reward")[0]
            _check_reward(strategy, isinstance(reward, Objectives))
            search_space = self.env.get_attr("search_space")[0]
            self.strategy = begun(strategy(search_space, self.seed, **(arguments or {})))
            here = isinstance(self.env.unwrapped, DummyVecEnv)  # and in no other process
            memory = self.env.get_attr("memory")[0] if here else None
            self.strategy.prepare(reward, memory)
            self._setup_model()

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        num_choices = self.strategy.search_space.num_choices
        arguments: Any = (self.observation_space, self.action_space, self.lr_schedule, num_choices)
        self.policy = self.policy_class(*arguments).to(self.device)  # type: ignore[assignment]

    def learn(  # type: ignore[override]
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 10,
        **keywords: Any,
    ) -> StrategyAgent:
        """Play ``total_timesteps`` decisions; ``log_interval`` is in episodes."""
        starts = keywords.get("reset_num_timesteps", True) or self._last_obs is None
        keywords = {"tb_log_name": "StrategyAgent", **keywords}
        total_timesteps, callbacks = self._setup_learn(total_timesteps, callback, **keywords)
        assert self.env is not None
        if starts:
            # Proposals of interrupted episodes are played again from their first decision.
            self._steps = [0] * self.env.num_envs
            kept = self._proposals[: self.env.num_envs]
            self._proposals = kept + [None] * (self.env.num_envs - len(kept))

        callbacks.on_training_start(locals(), globals())
        while self.num_timesteps < total_timesteps and self._play(callbacks, log_interval):
            pass
        callbacks.on_training_end()
        return self

    def _play(self, callbacks: BaseCallback, log_interval: int) -> bool:
        """Step all environments once; return False if a callback ends the learning."""
        assert self.env is not None
        self._last_obs, rewards, dones, infos = self.env.step(self._actions())  # type: ignore[assignment]
        self.num_timesteps += self.env.num_envs
        self._update_info_buffer(infos, dones)
        for index in np.flatnonzero(dones).tolist():
            self._end_episode(index, rewards[index].tolist(), infos[index])
            if self._episode_num % log_interval == 0:
                self._log()
        callbacks.update_locals(locals())
        return callbacks.on_step()

    def _actions(self) -> NDArray[np.int64]:
        """Return the proposals' next actions: (N,), or (N, T) if one action decides all."""
        playing = [self.strategy.proposal() if each is None else each for each in self._proposals]
        self._proposals = [*playing]
        if isinstance(self.action_space, spaces.MultiDiscrete):
            return np.stack(playing)
        actions = [choices[step] for choices, step in zip(playing, self._steps, strict=True)]
        self._steps = [step + 1 for step in self._steps]
        return np.array(actions)

    def _end_episode(self, index: int, reward: Any, info: Mapping[str, Any]) -> None:
        choices = self._proposals[index]
        self._proposals[index] = None
        self._steps[index] = 0
        if info.get("TimeLimit.truncated", False):
            return

        assert choices is not None
        self._episode_num += 1
        self.strategy.observe_evaluation(choices, reward, info["evaluation"])
        vector = reward if isinstance(reward, list) else [reward]
        if vector > self._best:
            self._best, self.best_reward = vector, vector[0]
            self.policy.best.copy_(torch.as_tensor(choices))

    def _log(self) -> None:
        self.logger.record("time/episodes", self._episode_num, exclude="tensorboard")
        self.logger.record("time/total_timesteps", self.num_timesteps, exclude="tensorboard")
        self.logger.record("rollout/best_reward", self.best_reward)
        if self.ep_info_buffer:
            rewards = [episode["r"] for episode in self.ep_info_buffer]
            self.logger.record("rollout/ep_rew_mean", safe_mean(rewards))
        self.logger.dump(step=self.num_timesteps)


def _check_reward(strategy: type[Strategy], vectors: bool) -> None:
    """Raise `InvalidSettings` if a strategy cannot learn from rewards that are vectors, or numbers.

    Random search takes any.
    """
    learns, gets = ("vectors", "numbers") if strategy.multi_objective else ("numbers", "vectors")
    require(
        vectors == strategy.multi_objective or issubclass(strategy, RandomSearch),
        f"strategy: {strategy.__name__} learns from {learns}, and the rewards of this environment "
        f"are {gets}; ids with MO- have vectors, others numbers",
    )
