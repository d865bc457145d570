"""Callbacks of Stable-Baselines3's agents."""

from __future__ import annotations

from stable_baselines3.common.callbacks import BaseCallback


class StopOnBudget(BaseCallback):
    """Ends an agent's ``learn()`` once the budget is exhausted.

    env = gym.make("nas_gym/NASNet-v0", limits={"asked": 100})
    PPO("MlpPolicy", env).learn(100_000, callback=StopOnBudget())
    """

    def _on_step(self) -> bool:
        return not any(info.get("budget_exhausted") for info in self.locals["infos"])
