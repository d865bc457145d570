"""A random agent in Gymnasium's loop: episodes, masks, and what `info` says at the end.

    python examples/random_agent.py

Ten networks are trained on handwritten digits for an epoch each: a few seconds.
"""

from __future__ import annotations

import gymnasium as gym

import nas_gym  # noqa: F401 (registers the environments)


def main(networks: int = 10) -> None:
    """Design networks at random, and print what each was worth and the best one."""
    env = gym.make("nas_gym/NASNet-v0", blocks=2, dataset="digits", epochs=1, render_mode="ansi")
    env.action_space.seed(0)
    best, drawing = -1.0, ""
    for number in range(networks):
        _, info = env.reset()
        terminated = False
        while not terminated:
            action = env.action_space.sample(info["action_mask"])
            _, _, terminated, _, info = env.step(action)
        evaluation = info["evaluation"]
        accuracy, parameters = evaluation["accuracy"], evaluation["parameters"]
        print(f"network {number}: {accuracy:.1%}, {parameters:,} parameters")
        if accuracy > best:
            best, drawing = accuracy, str(env.render())
    print(drawing)


if __name__ == "__main__":
    main()
