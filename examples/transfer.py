"""Transfer: PPO learns on a table for nothing, and then designs networks that are really trained.

    python examples/transfer.py

TinyBench and NASBench201-v0 have the same decisions, so an agent of the one acts in the other.
Its first designs are compared with those of an agent that knows nothing. A minute on two cores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from stable_baselines3 import PPO

from nas_gym.sb3 import make_vec_env


def main(recorded: int = 500, trained: int = 20) -> None:
    """Learn on the table, and print the mean accuracy of both agents' designs."""
    table = make_vec_env("nas_gym/TinyBench-v0", n_envs=10, seed=0)
    settings: dict[str, Any] = {"batch_size": 60, "gamma": 1.0, "learning_rate": 3e-3}
    agents = [PPO("MlpPolicy", table, n_steps=6, seed=0, **settings) for _ in range(2)]
    agents[0].learn(recorded * 6)
    for agent, name in zip(agents, ("after the table", "untrained"), strict=True):
        envs = make_vec_env("nas_gym/NASBench201-v0", n_envs=1, env_kwargs={"epochs": 1})
        rewards: list[float] = []
        observations: Any = envs.reset()
        while len(rewards) < trained:
            actions, _ = agent.predict(observations)
            observations, reward, ended, _ = envs.step(actions)
            rewards += list(reward[ended])
        print(f"{name}: mean accuracy of {trained} designs {np.mean(rewards):.1%}")


if __name__ == "__main__":
    main()
