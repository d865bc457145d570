"""REINFORCE in 40 lines: a softmax for each decision, and a moving average as the baseline.

    python examples/agent_from_scratch.py

Williams 1992; in this form, with independent softmaxes, in NAS-Bench-201 (Dong & Yang 2020).
"""

from __future__ import annotations

import gymnasium as gym
import numpy as np

import nas_gym  # noqa: F401 (registers the environments)


def main(networks: int = 1000, learning_rate: float = 2.0, seed: int = 0) -> None:
    """Learn to design cells, and print how good the networks get."""
    env, rng = gym.make("nas_gym/TinyBench-v0"), np.random.default_rng(seed)
    decisions, actions = 6, 5  # edges of a cell, and operations
    logits, baseline, rewards = np.zeros((decisions, actions)), 0.0, []
    for number in range(networks):
        env.reset()
        gradient, reward = np.zeros_like(logits), 0.0
        for decision in range(decisions):
            probabilities = np.exp(logits[decision]) / np.exp(logits[decision]).sum()
            action = rng.choice(actions, p=probabilities)
            gradient[decision] = np.eye(actions)[action] - probabilities
            reward = float(env.step(action)[1])
        baseline = reward if number == 0 else 0.95 * baseline + 0.05 * reward
        logits += learning_rate * (reward - baseline) * gradient
        rewards.append(reward)
    for part in np.array_split(rewards, min(10, networks)):
        print(f"mean accuracy of {len(part)} networks: {part.mean():.1%}")


if __name__ == "__main__":
    main()
