"""NASNet's controller algorithm (Zoph et al. 2018, https://arxiv.org/abs/1707.07012, appendix A.1):

proximal policy optimization (Schulman et al. 2017) against a moving average of the rewards, where
Stable-Baselines3's PPO has a value function. Everything else is MaskablePPO.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from sb3_contrib import MaskablePPO
from stable_baselines3.common.buffers import RolloutBuffer
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.controllers.lstm_policy import MaskableControllerPolicy
from nas_agents.controllers.moving_average import MovingAverage, episode_returns
from nas_gym.errors import require, with_fixed


class BaselinePPO(MaskablePPO):
    """MaskablePPO whose advantages are R - b, b being the average of earlier episodes' rewards R.

    Nothing is discounted, every decision of an episode has the same advantage, and the policy's
    value head is neither used nor trained. Rollouts are whole episodes: n_steps has to be a
    multiple of their length.

    Args:
        *arguments, **keywords: As in MaskablePPO. Advantages are not normalized unless asked for,
            for then the baseline would cancel out.
        baseline_decay: The weight of earlier rewards in b, 0.95 in the paper.

    Raises:
        InvalidSettings: returns are to be discounted, or a value head to be trained; and, when it
            learns, a rollout ended within an episode.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "LstmPolicy": MaskableControllerPolicy,
        **MaskablePPO.policy_aliases,
    }

    def __init__(self, *arguments: Any, baseline_decay: float = 0.95, **keywords: Any) -> None:
        self.baseline = MovingAverage(baseline_decay)
        fixed = {"vf_coef": 0.0, "gamma": 1.0, "gae_lambda": 1.0}
        keywords = with_fixed(keywords, fixed, "a moving average takes the value head's place")
        super().__init__(*arguments, **{"normalize_advantage": False, **keywords})

    def collect_rollouts(
        self,
        env: VecEnv,
        callback: BaseCallback,
        rollout_buffer: RolloutBuffer,
        n_rollout_steps: int,
        use_masking: bool = True,
    ) -> bool:
        """As in MaskablePPO; then the advantages are computed again."""
        if not super().collect_rollouts(
            env, callback, rollout_buffer, n_rollout_steps, use_masking
        ):
            return False
        assert isinstance(self._last_episode_starts, np.ndarray)
        starts = rollout_buffer.episode_starts.astype(np.bool_)
        ended = np.concatenate([starts[1:], self._last_episode_starts[None]])
        returns, known, first = episode_returns(rollout_buffer.rewards, ended)
        require(
            bool(known.all()),
            f"n_steps: a rollout of {n_rollout_steps} steps ends within an episode; take a "
            "multiple of the number of decisions",
        )
        rollout_buffer.returns = returns.astype(np.float32)
        advantages = returns - self.baseline.before(returns[first])
        rollout_buffer.advantages = advantages.astype(np.float32)
        self.logger.record("train/baseline", self.baseline.value)
        return True
