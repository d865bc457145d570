"""A Stable-Baselines3 agent designs networks; the best one is drawn.

    python examples/first_search.py

Twenty networks of one block a cell, each trained for two epochs on handwritten digits: about half
a minute on two cores.
"""

from __future__ import annotations

import gymnasium as gym
from sb3_contrib import MaskablePPO
from stable_baselines3.common.callbacks import BaseCallback

import nas_gym
from nas_gym.rendering import draw, write


class BestChild(BaseCallback):
    """Remembers the best network: at the end of an episode, `info` holds it."""

    accuracy, architecture = 0.0, ""

    def _on_step(self) -> bool:
        for info in self.locals["infos"]:
            if "evaluation" in info and info["evaluation"]["accuracy"] > self.accuracy:
                self.accuracy = info["evaluation"]["accuracy"]
                self.architecture = info["architecture"]
                print(f"best so far: {self.accuracy:.1%}")
        return True


def main() -> None:
    """Search, then print and draw the best network."""
    env = gym.make("nas_gym/NASNet-v0", blocks=1, dataset="digits", epochs=2)
    agent = MaskablePPO("MlpPolicy", env, n_steps=50, batch_size=50, gamma=1.0, seed=0)
    best = BestChild()
    agent.learn(20 * 10, callback=best)
    architecture = nas_gym.Architecture.from_json(best.architecture)
    print(write(architecture))
    draw(architecture).save("best.png")


if __name__ == "__main__":
    main()
