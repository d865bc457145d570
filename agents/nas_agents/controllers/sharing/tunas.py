"""TuNAS's controller (Bender et al. 2020, https://arxiv.org/abs/2008.06120, section 3).

Source of the details: https://github.com/google-research/google-research, tunas
(mobile_architecture_search.py). With other constants it is that of ProxylessNAS-R (Cai et al. 2019,
https://arxiv.org/abs/1812.00332, section 3.3.2):

    env = gym.make("nas_gym/TuNAS-v0", evaluator="weight-sharing", reward={
        "name": "tunas", "target": 2e6, "cost": "multiply_adds"})
    agent = TuNAS("IndependentLogits", env)
    agent.learn(90 * 300 * 58)
    architecture, evaluation = agent.choose()
"""

from __future__ import annotations

from typing import Any, ClassVar

import gymnasium as gym
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import Schedule
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.controllers.policies import IndependentLogits
from nas_agents.controllers.sharing.enas import ENAS
from nas_agents.controllers.sharing.shared_weights import best_by_shared_weights, draw
from nas_gym import Architecture, Evaluation
from nas_gym.settings import Above0, NonNegative, Positive, Share, validated


class TuNAS(ENAS):
    """REINFORCE of independent logits, which begins when the shared weights are warm.

    Args:
        policy: As in `Reinforce`; TuNAS's is "IndependentLogits".
        env: An environment whose children share their weights.
        learning_rate: The controller's, after the delay.
        n_episodes: Architectures of an update of the controller.
        episodes_an_epoch: Architectures evaluated after each epoch of the shared weights.
        delay: Share of the search in which the controller stays as it is.
        growth: Factor by which the learning rate has grown at the end, exponentially.
        **keywords: As in `Reinforce`.

    Raises:
        InvalidSettings: a value is out of its range, or the children share no weights.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "IndependentLogits": IndependentLogits,
        **ENAS.policy_aliases,
    }

    @validated
    def __init__(
        self,
        policy: str | type[BasePolicy],
        env: gym.Env[Any, Any] | VecEnv | str | None,
        learning_rate: NonNegative | Schedule = 4.8e-3,
        n_episodes: Positive = 10,
        episodes_an_epoch: Positive = 300,
        delay: Share = 0.25,
        growth: Above0 = 10.0,
        **keywords: Any,
    ) -> None:
        self.delay, self.growth = delay, growth
        keywords = {"entropy_reward": 0.0, "skip_weight": 0.0, **keywords}
        super().__init__(policy, env, learning_rate, n_episodes, episodes_an_epoch, **keywords)

    def choose(self) -> tuple[Architecture, Evaluation]:
        """Return the most probable architecture, evaluated on all validation images."""
        assert self.env is not None
        chosen = draw(self, self.shared.search_space, 1, deterministic=True)
        return best_by_shared_weights(self.env.get_attr("memory")[0], chosen)

    def _update_learning_rate(self, optimizers: Any) -> None:
        super()._update_learning_rate(optimizers)
        since = (1 - self._current_progress_remaining - self.delay) / (1 - self.delay)
        factor = 0.0 if since < 0 else self.growth**since
        for group in optimizers.param_groups:
            group["lr"] *= factor
