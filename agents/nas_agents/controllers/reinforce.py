"""REINFORCE (Williams 1992, https://doi.org/10.1007/BF00992696) for controllers.

As in NAS (Zoph & Le 2017, https://arxiv.org/abs/1611.01578, section 3.2), ENAS (Pham et al. 2018)
and NAS-Bench-201 (Dong & Yang 2020): the gradient of a batch of m architectures is

    1/m  sum_k  sum_t  grad log pi(a_t | a_1 .. a_{t-1})  (R_k - b),

b being a moving average of the rewards. Decisions that an earlier policy mu drew (see
`nas_agents.controllers.asynchronous`) have the weight min(1, pi / mu) of V-trace (Espeholt et al.
2018, https://arxiv.org/abs/1802.01561). A Stable-Baselines3 algorithm.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import FiniteFloat
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from nas_agents.controllers.episodes import MovingAverage, Step, episode_returns, late_weights
from nas_agents.controllers.lstm_policy import MaskableControllerPolicy
from nas_agents.controllers.policies import IndependentLogits
from nas_agents.controllers.priority_queue import Decided, PriorityQueue
from nas_gym.settings import Above0, Count, NonNegative, Positive, Share, require_known, validated

KEYWORDS = (
    "policy_kwargs", "tensorboard_log", "verbose", "seed", "device", "stats_window_size",
    "monitor_wrapper", "_init_setup_model",
)  # fmt: skip
"""Stable-Baselines3's arguments that keep their meaning."""


class Reinforce(OnPolicyAlgorithm):
    """Policy gradient of whole, undiscounted episodes with a moving average as the baseline.

    It acts in Discrete and in MultiDiscrete action spaces: one decision at a time, with the masks
    of the environment if it has any, or all of them at once (`nas_gym.wrappers.WholeArchitecture`).

    Args:
        policy: One of `policy_aliases`, or a class with the ``evaluate_actions`` of sb3-contrib's
            maskable policies. A value head is not trained.
        env: The environment, or the id of one.
        learning_rate: Adam's; NAS's by default.
        n_episodes: m, the architectures of an update; NAS's by default. With N environments, it is
            rounded up to a multiple of N.
        ent_coef: Weight of an architecture's entropy, the sum of its decisions', in its objective.
        baseline_decay, bias_correction, own_reward, mean_reward: See `MovingAverage`; NAS states
            none.
        max_grad_norm: Norm that larger gradients are clipped to; None for no clipping.
        queue_size: k of priority queue training (Abolafia et al. 2018, section 3.2): the mean
            log-likelihood of the k best distinct sequences of actions is added to the objective.
        use_masking: Use the environment's masks.
        **keywords: Those of `KEYWORDS`, as in Stable-Baselines3.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "LstmPolicy": MaskableControllerPolicy,
        "MlpPolicy": MaskableActorCriticPolicy,
        "IndependentLogits": IndependentLogits,
    }
    policy: Any

    @validated
    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: gym.Env[Any, Any] | VecEnv | str | None,
        learning_rate: NonNegative | Schedule = 6e-4,
        n_episodes: Positive = 8,
        ent_coef: FiniteFloat = 0.0,
        baseline_decay: Share = 0.95,
        bias_correction: bool = False,
        own_reward: bool = False,
        mean_reward: bool = False,
        max_grad_norm: Above0 | None = None,
        queue_size: Count = 0,
        use_masking: bool = True,
        **keywords: Any,
    ) -> None:
        require_known(keywords, (*inspect.signature(type(self)).parameters, *KEYWORDS))
        self.n_episodes = n_episodes
        self.use_masking = use_masking
        self.baseline = MovingAverage(baseline_decay, bias_correction, own_reward, mean_reward)
        self.queue = PriorityQueue(queue_size)
        keywords |= {"n_steps": 1, "gamma": 1.0, "gae_lambda": 1.0, "vf_coef": 0, "use_sde": False}
        keywords |= {"sde_sample_freq": -1, "ent_coef": ent_coef, "max_grad_norm": max_grad_norm}
        actions = (spaces.Discrete, spaces.MultiDiscrete)
        super().__init__(policy, env, learning_rate, supported_action_spaces=actions, **keywords)  # type: ignore[arg-type]

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        arguments: Any = (self.observation_space, self.action_space, self.lr_schedule)
        self.policy = self.policy_class(*arguments, **self.policy_kwargs).to(self.device)
        self.steps: list[Step] = []
        self.rollout_buffer = None  # type: ignore[assignment]  # `steps` takes its place

    def learn(self, *arguments: Any, tb_log_name: str = "Reinforce", **keywords: Any) -> Reinforce:
        return super().learn(*arguments, tb_log_name=tb_log_name, **keywords)  # type: ignore[misc]

    def predict(self, *arguments: Any, **keywords: Any) -> tuple[NDArray[np.int64], Any]:
        """Predict as every algorithm does; ``action_masks``, (N, A) or (A,), are respected."""
        return self.policy.predict(*arguments, **keywords)  # type: ignore[no-any-return]

    def collect_rollouts(
        self, env: VecEnv, callback: BaseCallback, rollout_buffer: Any, n_rollout_steps: int
    ) -> bool:
        """Act until ``n_episodes`` have ended; return False if the callback stops it."""
        self.policy.set_training_mode(False)
        stepwise = isinstance(self.action_space, spaces.Discrete)
        masked = self.use_masking and stepwise and is_masking_supported(env)
        self.steps.clear()
        num_ended = 0

        callback.on_rollout_start()
        while num_ended < self.n_episodes:
            observations = torch.tensor(self._last_obs, device=self.device)
            masks = get_action_masks(env) if masked else None
            with torch.no_grad():
                actions = self.policy._predict(observations, action_masks=masks)
            new_obs, rewards, dones, infos = env.step(actions.cpu().numpy())

            self.num_timesteps += env.num_envs
            callback.update_locals(locals())
            if not callback.on_step():
                return False
            self._update_info_buffer(infos, dones)
            self.steps.append(Step(observations, actions, masks, rewards, dones))
            self._last_obs = new_obs  # type: ignore[assignment]
            num_ended += int(dones.sum())
        callback.update_locals(locals())
        callback.on_rollout_end()
        return True

    def train(self) -> None:
        """Make one step of gradient ascent, without the steps of episodes still under way."""
        self.policy.set_training_mode(True)
        self._update_learning_rate(self.policy.optimizer)

        # R_k - b, for each step of the finished episodes
        rewards = np.stack([step.rewards for step in self.steps])  # (S, N)
        dones = np.stack([step.dones for step in self.steps])
        returns, finished, first = episode_returns(rewards, dones)
        episodes = returns[finished & first]  # (m,)
        baseline = self.baseline.update(episodes)
        advantages = np.where(finished, returns - baseline, 0.0).ravel()

        observations, actions, log_probs, entropy = self._evaluate(self.steps)
        ended = torch.from_numpy(finished.ravel()).to(log_probs.device)

        advantages = advantages * self._weights(log_probs, advantages)
        # Minus the objective whose gradient stands above
        weights = torch.from_numpy(-advantages / len(episodes)).to(log_probs)
        policy_loss = log_probs @ weights
        entropy_loss = -(entropy @ ended.to(entropy)) / len(episodes)
        penalty_loss = self.penalty(observations, actions, log_probs, ended) / len(episodes)
        self.queue.add_finished(self.steps, returns, dones, finished & first)
        queue_loss = self._queue_loss(policy_loss)
        loss = policy_loss + self.ent_coef * entropy_loss + penalty_loss + queue_loss

        self.policy.optimizer.zero_grad()
        loss.backward()
        if self.max_grad_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.policy.parameters(), self.max_grad_norm)
        self.policy.optimizer.step()
        self.steps.clear()

        self._n_updates += 1
        self.logger.record("train/n_updates", self._n_updates, exclude="tensorboard")
        self.logger.record("train/baseline", baseline)
        self.logger.record("train/entropy", entropy.mean().item())
        losses = {"policy": policy_loss, "entropy": entropy_loss, "penalty": penalty_loss}
        losses |= {"queue": queue_loss} if self.queue.size else {}
        for name, loss in losses.items():
            self.logger.record(f"train/{name}_loss", loss.item())

    def _weights(
        self, log_probs: Tensor, advantages: NDArray[np.float64]
    ) -> NDArray[np.floating] | float:
        """Return the weights of the steps, (D,), if an earlier policy drew them; 1 otherwise."""
        drawn = [step.log_probs for step in self.steps if step.log_probs is not None]
        if not drawn:
            return 1.0
        ratios = (log_probs.detach() - torch.cat(drawn)).exp().cpu().numpy()
        return late_weights(ratios, advantages)

    def _evaluate(
        self, decided: Sequence[Step] | Sequence[Decided]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return D decisions' observations, actions, log-probabilities and entropies, (D,)."""
        observations = torch.cat([each.observations for each in decided])
        actions = torch.cat([each.actions for each in decided])
        parts = [each.masks for each in decided if each.masks is not None]
        masks = np.concatenate(parts) if parts else None
        evaluated = self.policy.evaluate_actions(observations, actions, action_masks=masks)
        return observations, actions, *evaluated[1:]

    def _queue_loss(self, like: Tensor) -> Tensor:
        """Return minus the mean log-likelihood of the episodes in the queue, () as ``like``."""
        best = self.queue.episodes
        if not best:
            return torch.zeros_like(like)
        log_probs = self._evaluate(best)[2]
        return -log_probs.sum() / len(best)

    def penalty(
        self, observations: Tensor, actions: Tensor, log_probs: Tensor, ended: Tensor
    ) -> Tensor:
        """Return a subclass's further loss, summed over all architectures.

        Of S decisions, observations are (S, ...), actions (S,) or (S, T), and their
        log-probabilities, which have a gradient, (S,). Where ``ended``, (S,), is False, the episode
        is not finished, and the decision does not count.
        """
        return log_probs.new_zeros(())
