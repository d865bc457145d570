"""REINFORCE (Williams 1992, https://doi.org/10.1007/BF00992696), as controllers are trained with it

in NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, section 3.2), ENAS (Pham et al. 2018) and
NAS-Bench-201 (Dong & Yang 2020): the gradient of a batch of m architectures is

    1/m  sum_k  sum_t  grad log pi(a_t | a_1 .. a_{t-1})  (R_k - b),

b being a moving average of the rewards. As a Stable-Baselines3 algorithm.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from nas_agents.controllers.lstm_policy import MaskableControllerPolicy
from nas_agents.controllers.moving_average import MovingAverage, episode_returns
from nas_agents.controllers.policies import IndependentLogits
from nas_gym.errors import require, require_integer, require_number, with_fixed


class Step(NamedTuple):
    """One decision in each of the N environments."""

    observations: Tensor  # (N, ...)
    actions: Tensor  # (N,) or (N, T)
    masks: NDArray[np.bool_] | None  # (N, A)
    rewards: NDArray[np.float32]  # (N,)
    dones: NDArray[np.bool_]  # (N,)


class Reinforce(OnPolicyAlgorithm):
    """Policy gradient of whole episodes, not discounted, against a moving average of their returns.

    It acts in Discrete and in MultiDiscrete action spaces: one decision at a time, with the masks
    of the environment if it has any, or all of them at once (`nas_gym.wrappers.WholeArchitecture`).

    Args:
        policy: "LstmPolicy", "MlpPolicy", "IndependentLogits", or a class with the
            ``evaluate_actions`` of sb3-contrib's maskable policies. A value head stays as it was.
        env: The environment, or the id of one.
        learning_rate: Adam's; NAS's by default.
        n_episodes: m, the architectures of an update; NAS's by default. With N environments, it is
            rounded up to a multiple of N.
        ent_coef: What an architecture's entropy, the sum of its decisions', adds to its objective.
        baseline_decay, bias_correction, own_reward: See `MovingAverage`; NAS does not tell its own.
        max_grad_norm: The largest norm of a gradient; None for any.
        use_masking: Whether masks are asked for.
        **keywords: ``policy_kwargs``, ``seed`` and what else all of Stable-Baselines3 takes.

    Raises:
        InvalidSettings: a value is out of its range.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "LstmPolicy": MaskableControllerPolicy,
        "MlpPolicy": MaskableActorCriticPolicy,
        "IndependentLogits": IndependentLogits,
    }
    policy: Any

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: GymEnv | str,
        learning_rate: float | Schedule = 6e-4,
        n_episodes: int = 8,
        ent_coef: float = 0.0,
        baseline_decay: float = 0.95,
        bias_correction: bool = False,
        own_reward: bool = False,
        max_grad_norm: float | None = None,
        use_masking: bool = True,
        **keywords: Any,
    ) -> None:
        require_integer("n_episodes", n_episodes, least=1)
        require_number("ent_coef", ent_coef, float("-inf"), float("inf"))
        require(max_grad_norm is None or max_grad_norm > 0, "max_grad_norm: expected more than 0")
        self.n_episodes, self.use_masking = n_episodes, use_masking
        self.baseline = MovingAverage(baseline_decay, bias_correction, own_reward)
        fixed = {"n_steps": 1, "gamma": 1.0, "gae_lambda": 1.0, "vf_coef": 0.0, "use_sde": False}
        keywords = with_fixed(keywords, fixed, "updates are of whole episodes, against an average")
        keywords |= {"sde_sample_freq": -1, "max_grad_norm": max_grad_norm}
        keywords |= {"supported_action_spaces": (spaces.Discrete, spaces.MultiDiscrete)}
        super().__init__(policy, env, learning_rate, ent_coef=ent_coef, **keywords)  # type: ignore[arg-type]

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        policy = self.policy_class(
            self.observation_space, self.action_space, self.lr_schedule, **self.policy_kwargs
        )
        self.policy = policy.to(self.device)
        self._steps: list[Step] = []
        self.rollout_buffer = None  # type: ignore[assignment]  # `_steps` takes its place

    def learn(
        self,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 10,
        tb_log_name: str = "Reinforce",
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> Reinforce:
        return super().learn(
            total_timesteps, callback, log_interval, tb_log_name, reset_num_timesteps, progress_bar
        )

    def predict(self, *arguments: Any, **keywords: Any) -> tuple[NDArray[np.int64], Any]:
        """As in every algorithm; ``action_masks``, (N, A) or (A,), say what is valid."""
        return self.policy.predict(*arguments, **keywords)  # type: ignore[no-any-return]

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Acts until ``n_episodes`` have ended; False if the callback stopped it."""
        self.policy.set_training_mode(False)
        discrete = isinstance(self.action_space, spaces.Discrete)
        masked = self.use_masking and discrete and is_masking_supported(env)
        self._steps.clear()
        ended = 0
        callback.on_rollout_start()
        while ended < self.n_episodes:
            observations = torch.tensor(self._last_obs, device=self.device)
            masks = get_action_masks(env) if masked else None
            with torch.no_grad():
                actions = self.policy._predict(observations, **_masking(masks))
            new_obs, rewards, dones, infos = env.step(actions.cpu().numpy())
            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            self._steps.append(Step(observations, actions, masks, rewards, dones))
            self._last_obs = new_obs  # type: ignore[assignment]
            ended += int(dones.sum())
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """One step of gradient ascent. Steps of episodes still under way are left out."""
        self.policy.set_training_mode(True)
        optimizer = self.policy.optimizer
        self._update_learning_rate(optimizer)
        observations, actions, masks, rewards, dones = zip(*self._steps, strict=True)
        returns, known, first = episode_returns(np.stack(rewards), np.stack(dones))
        episodes = returns[known & first]
        baseline = self.baseline.before(episodes)
        seen, done = torch.cat(observations), torch.cat(actions)
        given = _masking(None if masks[0] is None else np.concatenate(masks))
        _, log_prob, entropy = self.policy.evaluate_actions(seen, done, **given)
        ended = torch.from_numpy(known.ravel()).to(log_prob.device)
        # minus the objective above, whose gradient is the one that the module's text tells
        weights = np.where(known, baseline - returns, 0.0).ravel() / len(episodes)
        loss = log_prob @ torch.from_numpy(weights).to(log_prob)
        if self.ent_coef:
            loss = loss - entropy @ ended.to(entropy) * (self.ent_coef / len(episodes))
        loss = loss + self.penalty(seen, done, log_prob, ended) / len(episodes)
        optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        optimizer.step()
        self._steps.clear()
        self._n_updates += 1
        self.logger.record("train/baseline", baseline)
        self.logger.record("train/entropy", entropy.mean().item())
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")

    def penalty(
        self, observations: Tensor, actions: Tensor, log_prob: Tensor, ended: Tensor
    ) -> Tensor | float:
        """What a subclass takes from the objective, of all architectures together.

        Args:
            observations: Of S decisions, (S, ...).
            actions: (S,) or (S, T).
            log_prob: Of the actions, (S,), with a gradient.
            ended: (S,) whether a decision's episode ended; others do not count.
        """
        return 0.0


def _masking(masks: NDArray[np.bool_] | None) -> dict[str, Any]:
    """The keyword that masks are given to a policy by; policies without masks have none."""
    return {} if masks is None else {"action_masks": masks}
