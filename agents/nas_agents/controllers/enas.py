"""ENAS (Pham et al. 2018, https://arxiv.org/abs/1802.03268, sections 2.2 to 2.4)

as a Stable-Baselines3 algorithm, in an environment whose children share their weights:

    env = gym.make("nas_gym/ENASMicro-v0", evaluator="weight-sharing")
    agent = ENAS("LstmPolicy", env, n_episodes=10, episodes_an_epoch=300)
    agent.learn(150 * 300 * 40)
    architecture, evaluation = agent.choose()

An epoch of the shared weights w, each step on a child that the controller draws, takes turns with
REINFORCE of the controller, whose reward is a child's accuracy under w on a minibatch of validation
images. At the end, the best of some candidates by all validation images is to be trained from
scratch. Any other agent can be the controller too, with the callback
`nas_agents.controllers.shared_weights.TrainSharedWeights`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback, CallbackList
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor

from nas_agents.controllers.reinforce import Reinforce
from nas_agents.controllers.shared_weights import (
    TrainSharedWeights,
    best_by_shared_weights,
    draw,
    random_state,
    set_random_state,
    shared_weights,
)
from nas_gym import Architecture, Evaluation
from nas_gym.errors import require_integer, require_number
from nas_gym.evaluation.memory import Memory
from nas_gym.families.enas.macro_search_space import SKIP_LABELS
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
        entropy_reward: What the reward has of the entropy, without a gradient of its own.
        full_entropy: Whether that is the entropy of all of a decision's choices, as in the released
            micro search, or -p log p of the one that was made, as in the macro one.
        skip_target: Rho, the prior probability of a skip connection in the macro search space.
        skip_weight: The weight of the divergence from it: for each layer, that of all its skips.
        skip_logits: Whether the divergence is that of sigmoid(q), as in the released code, rather
            than of the skip's probability, which is sigmoid(2 q) there: the logits are (-q, q).
        candidates: Architectures of which `choose` takes the best.
        **keywords: As in `Reinforce`.

    Raises:
        InvalidSettings: a value is out of its range, or the children share no weights.
    """

    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: GymEnv | str,
        learning_rate: float = 3.5e-4,
        n_episodes: int = 10,
        episodes_an_epoch: int = 300,
        entropy_reward: float = 1e-4,
        full_entropy: bool = False,
        skip_target: float = 0.4,
        skip_weight: float = 0.8,
        skip_logits: bool = False,
        candidates: int = 10,
        **keywords: Any,
    ) -> None:
        require_integer("episodes_an_epoch", episodes_an_epoch, least=1)
        require_integer("candidates", candidates, least=1)
        require_number("skip_target", skip_target, 1e-9, 1)
        for name, weight in (("entropy_reward", entropy_reward), ("skip_weight", skip_weight)):
            require_number(name, weight, 0, np.inf)
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
        """The shared weights; `save` and `load` take them along."""
        assert self.env is not None
        return shared_weights(self.env)

    def choose(self) -> tuple[Architecture, Evaluation]:
        """The best of some architectures drawn from the controller, by all validation images.

        They count as evaluations asked for.
        """
        assert self.env is not None
        memory: Memory = self.env.get_attr("memory")[0]
        return best_by_shared_weights(memory, draw(self, self.shared.search_space, self.candidates))

    def train(self) -> None:
        if self.entropy_reward:
            self._add_entropy()
        super().train()

    def _add_entropy(self) -> None:
        """Adds to the last reward of each episode what its decisions have of entropy."""
        observations, actions, masks, rewards, dones = zip(*self._steps, strict=True)
        given = {} if masks[0] is None else {"action_masks": np.concatenate(masks)}
        with torch.no_grad():
            _, log_prob, entropy = self.policy.evaluate_actions(
                torch.cat(observations), torch.cat(actions), **given
            )
        if not self.full_entropy:
            entropy = -log_prob.exp() * log_prob
        of_steps = self.entropy_reward * entropy.cpu().numpy().reshape(np.shape(rewards))
        under_way = np.zeros_like(of_steps[0])
        for number, ended in enumerate(dones):
            under_way += of_steps[number]
            with_bonus = rewards[number] + np.where(ended, under_way, 0)
            self._steps[number] = self._steps[number]._replace(rewards=with_bonus)
            under_way[ended] = 0

    def penalty(
        self, observations: Tensor, actions: Tensor, log_prob: Tensor, ended: Tensor
    ) -> Tensor | float:
        """The weighted divergence of skip connections from their prior: of all architectures.

        The mean over layers of sum_j KL(Bernoulli(p_j) || Bernoulli(rho)).
        """
        decisions = self.shared.search_space.decisions
        skips = torch.tensor([decision.choices == SKIP_LABELS for decision in decisions])
        layers = len(decisions) - int(skips.sum()) - 1  # the first one has no skips
        chosen = skips.to(observations.device)[(observations > 0).sum(1)] & ended
        if not self.skip_weight or not chosen.any():
            return 0.0
        log_p = log_prob[chosen].double().clamp(max=-1e-9)  # of what was chosen, yes or no
        log_odds = log_p - torch.log(-torch.expm1(log_p))
        if self.skip_logits:
            log_odds = log_odds / 2
        yes, rho = actions[chosen] == 1, self.skip_target
        log_odds = torch.where(yes, log_odds, -log_odds)
        p, log_sigmoid = log_odds.sigmoid(), torch.nn.functional.logsigmoid
        divergence = p * (log_sigmoid(log_odds) - np.log(rho))
        divergence = divergence + (1 - p) * (log_sigmoid(-log_odds) - np.log(1 - rho))
        weighted: Tensor = self.skip_weight * divergence.sum() / layers
        return weighted.to(log_prob)

    def _init_callback(self, callback: Any, progress_bar: bool = False) -> BaseCallback:
        callbacks = CallbackList(
            [
                TrainSharedWeights(self.episodes_an_epoch),
                super()._init_callback(callback, progress_bar),
            ]
        )
        callbacks.init_callback(self)
        return callbacks

    def _setup_learn(self, *arguments: Any, **keywords: Any) -> Any:
        prepared = super()._setup_learn(*arguments, **keywords)
        if self._random_state is not None:
            set_random_state(self._random_state)
            self._random_state = None
        return prepared

    def save(self, path: Any, exclude: Any = None, include: Any = None) -> None:
        """As in every algorithm, with the shared weights and the state of all random numbers: the
        loaded agent's ``learn(..., reset_num_timesteps=False)`` goes on to the bit, from between
        two rollouts.
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
        """As in every algorithm; an agent without an environment leaves the shared weights out."""
        given = load_path_or_dict
        if self.env is None and isinstance(given, dict):
            given = {name: state for name, state in given.items() if name != "shared"}
        super().set_parameters(given, exact_match, device)
