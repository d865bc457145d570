"""A reward of your own: accuracy, less what a network takes longer than 0.3 milliseconds.

    python examples/own_reward.py

A reward is a function of the child's record. The latency is measured on this machine, after the
child's training; ten networks take a few seconds.
"""

from __future__ import annotations

import gymnasium as gym

import nas_gym  # noqa: F401 (registers the environments)
from nas_gym.evaluation import Evaluation

ALLOWED = 0.0003  # seconds


def quick_and_good(evaluation: Evaluation) -> float:
    """Return the accuracy, less 10 points for each 0.1 ms beyond what is allowed, and at least 0.

    No network is worth less than one that failed, whose accuracy is 0.
    """
    late = max(0.0, (evaluation.latency or 0.0) - ALLOWED)
    return max(0.0, evaluation.accuracy - 1000 * late)


def main(networks: int = 10) -> None:
    """Design networks at random under this reward, and print their records."""
    env = gym.make("nas_gym/NASBench201-v0", epochs=1, latency={}, reward=quick_and_good)
    env.action_space.seed(0)
    for _ in range(networks):
        _, info = env.reset()
        terminated = False
        while not terminated:
            _, reward, terminated, _, info = env.step(env.action_space.sample(info["action_mask"]))
        record = info["evaluation"]
        latency = record["latency"]  # None of a child that failed before
        late = "an unknown latency" if latency is None else f"{1000 * latency:.2f} ms"
        print(f"reward {reward:.3f}: accuracy {record['accuracy']:.1%} in {late}")


if __name__ == "__main__":
    main()
