"""Monte-Carlo tree search with copies of the environment, in 60 lines.

    python examples/planning.py

A copy in the middle of an episode goes on from there, and shares the memory of what was evaluated
(UCT: Kocsis & Szepesvari 2006).
"""

from __future__ import annotations

import math
from copy import deepcopy
from dataclasses import dataclass, field

import gymnasium as gym
import numpy as np

from nas_gym import NASEnv


@dataclass
class Node:
    """A prefix of decisions: how often it was visited, and the sum of the rewards below it."""

    visits: int = 0
    total: float = 0.0
    children: dict[int, Node] = field(default_factory=dict)

    def best_action(self, exploration: float) -> int:
        """Return the action with the largest upper confidence bound."""

        def bound(child: Node) -> float:
            spread = math.sqrt(math.log(self.visits + 1) / (child.visits or 1e-9))
            return child.total / max(1, child.visits) + exploration * spread

        return max(self.children, key=lambda action: bound(self.children[action]))


def simulate(env: NASEnv, root: Node, rng: np.random.Generator, exploration: float) -> float:
    """Go down the tree to a leaf, finish the network at random, and note its reward on the way."""
    path, node, terminated, reward = [root], root, False, 0.0
    while not terminated:
        valid = np.flatnonzero(env.action_masks())
        if node.visits:  # known: choose by its children; else at random
            node.children = node.children or {int(action): Node() for action in valid}
            action = node.best_action(exploration)
            node = node.children[action]
            path.append(node)
        else:
            action = int(rng.choice(valid))
        _, step_reward, terminated, _, _ = env.step(action)
        reward = float(step_reward)
    for node in path:
        node.visits, node.total = node.visits + 1, node.total + reward
    return reward


def main(networks: int = 300, exploration: float = 0.02, seed: int = 0) -> None:
    """Plan, and print the best network that was found and how many were looked at."""
    env = gym.make("nas_gym/TinyBench-v0").unwrapped
    assert isinstance(env, NASEnv)
    env.reset()
    root, rng = Node(), np.random.default_rng(seed)
    rewards = [simulate(deepcopy(env), root, rng, exploration) for _ in range(networks)]
    few = max(1, networks // 5)
    print(f"best {max(rewards):.1%}, mean of the last {few} {np.mean(rewards[-few:]):.1%}")
    print(f"{env.budget.made} different networks of {networks}")


if __name__ == "__main__":
    main()
