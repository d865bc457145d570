"""NASNet's controller algorithm (Zoph et al. 2018, https://arxiv.org/abs/1707.07012, appendix A.1).

Proximal policy optimization (Schulman et al. 2017) with a moving average of the rewards in the
place of Stable-Baselines3's value function. Everything else is MaskablePPO.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from nas_agents.controllers.episodes import MovingAverage, episode_returns
from nas_agents.controllers.lstm_policy import MaskableControllerPolicy
from nas_gym.errors import require
from nas_gym.outside.json_text import short
from nas_gym.settings import NonNegative, Share, validated

FIXED = {"vf_coef": 0.0, "gamma": 1.0, "gae_lambda": 1.0}
"""Arguments of MaskablePPO that follow from the baseline."""


class BaselineBuffer(MaskableRolloutBuffer):
    """Gives every decision of an episode the advantage R - b, ``baseline`` being b."""

    level = 0.0
    """The last rollout's baseline."""

    def __init__(self, *arguments: Any, baseline: MovingAverage, **keywords: Any) -> None:
        self.baseline = baseline
        super().__init__(*arguments, **keywords)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: NDArray[np.bool_]) -> None:
        """Set returns and advantages; raise `InvalidSettings` if an episode has not ended."""
        starts = self.episode_starts.astype(np.bool_)
        ends = np.concatenate([starts[1:], dones[None]])
        returns, finished, first = episode_returns(self.rewards, ends)
        require(
            bool(finished.all()),
            f"n_steps: a rollout of {self.buffer_size} steps ends within an episode; take a "
            "multiple of the number of decisions",
        )
        self.level = self.baseline.update(returns[first])
        advantages = returns - self.level
        self.returns = returns.astype(np.float32)
        self.advantages = advantages.astype(np.float32)


class BaselinePPO(MaskablePPO):
    """MaskablePPO with advantages R - b, b being the average of earlier episodes' rewards R.

    Nothing is discounted, every decision of an episode has the same advantage, and the policy's
    value head is neither used nor trained. Rollouts are whole episodes: n_steps has to be a
    multiple of their length.

    Args:
        *arguments, **keywords: As in MaskablePPO. Advantages are not normalized by default, because
            normalization cancels the baseline out.
        baseline_decay: Weight of earlier rewards in b, from 0 to below 1; 0.95 in the paper.
        final_ent_coef: What ``ent_coef`` falls to, linearly over the steps that `learn` is asked
            for, so that the policy explores first and settles at the end; default: it is constant.

    Raises:
        InvalidSettings: returns are to be discounted, or a value head to be trained; and, when it
            learns, a rollout ended within an episode.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {
        "LstmPolicy": MaskableControllerPolicy,
        **MaskablePPO.policy_aliases,
    }

    @validated
    def __init__(
        self,
        *arguments: Any,
        baseline_decay: Share = 0.95,
        final_ent_coef: NonNegative | None = None,
        **keywords: Any,
    ) -> None:
        self.baseline = MovingAverage(baseline_decay)
        for name, value in FIXED.items():
            given = keywords.setdefault(name, value)
            why = f"got {short(given)}; a moving average takes the value head's place"
            require(given == value, f"{name}: it is {value!r} here, {why}")
        own: dict[str, Any] = {"rollout_buffer_class": BaselineBuffer}
        super().__init__(*arguments, **{"normalize_advantage": False, **keywords, **own})
        last = self.ent_coef if final_ent_coef is None else final_ent_coef
        self.ent_coefs = (self.ent_coef, last)
        """Weights of the entropy at the beginning and at the end."""

    def _setup_model(self) -> None:
        # A loaded agent's arguments of the buffer have a baseline of their own
        self.rollout_buffer_kwargs = {"baseline": self.baseline}
        super()._setup_model()

    def train(self) -> None:
        assert isinstance(self.rollout_buffer, BaselineBuffer)
        self.logger.record("train/baseline", self.rollout_buffer.level)
        first, last = self.ent_coefs
        self.ent_coef = last + (first - last) * max(0.0, self._current_progress_remaining)
        self.logger.record("train/ent_coef", self.ent_coef)
        super().train()
