"""ENAS (Pham et al. 2018, https://arxiv.org/abs/1802.03268, sections 2.2 to 2.4).

A Stable-Baselines3 algorithm for environments whose children share their weights:

    env = gym.make("nas_gym/ENASMicro-v0", evaluator="weight-sharing")
    agent = ENAS("LstmPolicy", env, n_episodes=10, episodes_an_epoch=300)
    agent.learn(150 * 300 * 40)
    architecture, evaluation = agent.choose()

An epoch of the shared weights w, each step on a child that the controller draws, alternates with
REINFORCE of the controller, whose reward is a child's accuracy under w on a minibatch of validation
images. At the end, the best of some candidates by all validation images is to be trained from
scratch. The callback `nas_agents.controllers.sharing.shared_weights.TrainSharedWeights` lets any
other agent be the controller.
"""

from __future__ import annotations

from typing import Annotated, Any

import gymnasium as gym
import numpy as np
import torch
from annotated_types import Interval
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor
from torch.nn import functional as F

from nas_agents.controllers.reinforce import Reinforce
from nas_agents.controllers.sharing.shared_weights import (
    TrainSharedWeights,
    best_by_shared_weights,
    draw,
    random_state,
    set_random_state,
    shared_weights,
)
from nas_agents.controllers.steps import SKIPS
from nas_agents.strategies.as_agent import num_decided
from nas_gym import Architecture, Evaluation
from nas_gym.evaluation.memory import Memory
from nas_gym.settings import NonNegative, Positive, validated
from nas_gym.weight_sharing.evaluator import WeightSharing


class ENAS(Reinforce):
    """Alternates epochs of the shared weights and updates of the controller.

    Args:
        policy: As in `Reinforce`.
        env: An environment whose children share their weights.
        learning_rate: The controller's.
        n_episodes: Architectures of an update of the controller.
        episodes_an_epoch: Architectures that the controller learns from after each epoch of the
            shared weights.
        entropy_reward: Weight of the entropy in the reward, where it has no gradient.
        full_entropy: Take the entropy of all of a decision's choices, as the released micro search
            does, instead of -p log p of the choice made, as the macro one does.
        skip_target: Rho, the prior probability of a skip connection in the macro search space.
        skip_weight: Weight of the divergence from it: for each layer, that of all its skips.
        skip_logits: Take the divergence of sigmoid(q), as the released code does, instead of the
            skip's probability, which is sigmoid(2 q) there: the logits are (-q, q).
        candidates: Architectures of which `choose` takes the best.
        **keywords: As in `Reinforce`.

    Raises:
        InvalidSettings: a value is out of its range, or the children share no weights.
    """

    @validated
    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: gym.Env[Any, Any] | VecEnv | str | None,
        learning_rate: NonNegative | Schedule = 3.5e-4,
        n_episodes: Positive = 10,
        episodes_an_epoch: Positive = 300,
        entropy_reward: NonNegative = 1e-4,
        full_entropy: bool = False,
        skip_target: Annotated[float, Interval(gt=0, lt=1)] = 0.4,
        skip_weight: NonNegative = 0.8,
        skip_logits: bool = False,
        candidates: Positive = 10,
        **keywords: Any,
    ) -> None:
        self.episodes_an_epoch, self.candidates = episodes_an_epoch, candidates
        self.entropy_reward, self.full_entropy = entropy_reward, full_entropy
        self.skip_target, self.skip_weight = skip_target, skip_weight
        self.skip_logits = skip_logits
        self._random_state: dict[str, Any] | None = None
        super().__init__(policy, env, learning_rate, n_episodes, **keywords)
        if self.env is not None:
            shared_weights(self.env)

    @property
    def shared(self) -> WeightSharing:
        """The shared weights; `save` and `load` include them."""
        assert self.env is not None
        return shared_weights(self.env)

    def choose(self) -> tuple[Architecture, Evaluation]:
        """Return the best of some architectures that the controller draws.

        Their accuracies are those on all validation images. They count as evaluations asked for.
        """
        assert self.env is not None
        memory: Memory = self.env.get_attr("memory")[0]
        return best_by_shared_weights(memory, draw(self, self.shared.search_space, self.candidates))

    def train(self) -> None:
        if self.entropy_reward:
            self._add_entropy()
        super().train()

    def _add_entropy(self) -> None:
        """Add the weighted entropy of an episode's decisions to its last reward."""
        with torch.no_grad():
            _, _, log_probs, entropy = self._evaluate(self.steps)
        if not self.full_entropy:
            entropy = -log_probs.exp() * log_probs
        num_envs = len(self.steps[0].rewards)
        bonus = self.entropy_reward * entropy.cpu().numpy().reshape(-1, num_envs)  # (S, N)

        bonus_so_far = np.zeros_like(bonus[0])
        for number, step in enumerate(self.steps):
            bonus_so_far += bonus[number]
            rewards = step.rewards + np.where(step.dones, bonus_so_far, 0)
            self.steps[number] = step._replace(rewards=rewards)
            bonus_so_far[step.dones] = 0

    def penalty(
        self, observations: Tensor, actions: Tensor, log_probs: Tensor, ended: Tensor
    ) -> Tensor:
        """Return the weighted divergence of skip connections from their prior.

        The mean over layers of sum_j KL(Bernoulli(p_j) || Bernoulli(rho)), summed over all
        architectures.
        """
        search_space = self.shared.search_space
        is_skip = torch.tensor([each.choices in SKIPS for each in search_space.decisions])
        num_layers = len(is_skip) - int(is_skip.sum()) - 1  # the first one has no skips
        next_decisions = num_decided(observations, search_space.num_choices)
        skips = is_skip.to(observations.device)[next_decisions] & ended
        if not self.skip_weight or not skips.any():
            return log_probs.new_zeros(())

        # The log-odds of the action, then those of a skip
        log_p = log_probs[skips].double().clamp(max=-1e-9)
        log_odds = log_p - torch.log(-torch.expm1(log_p))
        if self.skip_logits:
            log_odds = log_odds / 2
        log_odds = torch.where(actions[skips] == 1, log_odds, -log_odds)

        p = log_odds.sigmoid()
        rho = self.skip_target
        divergence = p * (F.logsigmoid(log_odds) - np.log(rho))
        divergence = divergence + (1 - p) * (F.logsigmoid(-log_odds) - np.log(1 - rho))
        weighted: Tensor = self.skip_weight * divergence.sum() / num_layers
        return weighted.to(log_probs)

    def _init_callback(self, callback: Any, progress_bar: bool = False) -> BaseCallback:
        given = super()._init_callback(callback, progress_bar)
        callbacks = CallbackList([TrainSharedWeights(self.episodes_an_epoch), given])
        callbacks.init_callback(self)
        return callbacks

    def _setup_learn(self, *arguments: Any, **keywords: Any) -> Any:
        prepared = super()._setup_learn(*arguments, **keywords)
        if self._random_state is not None:
            set_random_state(self._random_state)
            self._random_state = None
        return prepared

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """Save as every algorithm does, with the shared weights and all random states.

        After a save between two rollouts, the loaded agent's ``learn(...,
        reset_num_timesteps=False)`` continues bit for bit.
        """
        self._random_state = random_state()
        super().save(path, exclude, include)
        self._random_state = None

    def _get_torch_save_params(self) -> tuple[list[str], list[str]]:
        state_dicts, variables = super()._get_torch_save_params()
        return state_dicts + (["shared"] if self.env is not None else []), variables

    def set_parameters(
        self, load_path_or_dict: Any, exact_match: bool = True, device: Any = "auto"
    ) -> None:
        """Load parameters; an agent without an environment leaves the shared weights out."""
        parameters = load_path_or_dict
        if self.env is None and isinstance(parameters, dict):
            parameters = {name: state for name, state in parameters.items() if name != "shared"}
        super().set_parameters(parameters, exact_match, device)
