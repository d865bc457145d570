"""PPO of Stable-Baselines3 learns to design cells; the best one is drawn in best.png.

    python examples/sb3_ppo.py

TinyBench, which ships with the package, has recorded what each cell is worth: 500 networks take
seconds.
"""

from __future__ import annotations

from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback

import nas_gym
from nas_gym.rendering import draw, write
from nas_gym.sb3 import make_vec_env


class Designs(BaseCallback):
    """Keeps all networks: at the end of an episode, `info` holds its network and its worth."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[float, str]] = []

    def _on_step(self) -> bool:
        ended = [info for info in self.locals["infos"] if "evaluation" in info]
        self.found += [(info["evaluation"]["accuracy"], info["architecture"]) for info in ended]
        return True


def main(networks: int = 500) -> None:
    """Learn; print the first and the last networks' mean accuracy; draw the best network."""
    envs = make_vec_env("nas_gym/TinyBench-v0", n_envs=10, seed=0)
    steps = envs.get_attr("decisions")[0]
    agent = PPO(
        "MlpPolicy", envs, n_steps=steps, batch_size=60, gamma=1.0, learning_rate=3e-3, seed=0
    )
    designs = Designs()
    agent.learn(networks * steps, callback=designs)
    accuracies = [accuracy for accuracy, _ in designs.found]
    few = max(1, len(accuracies) // 5)
    print(f"mean of the first {few} networks: {sum(accuracies[:few]) / few:.1%}")
    print(f"mean of the last {few} networks: {sum(accuracies[-few:]) / few:.1%}")
    accuracy, text = max(designs.found)
    architecture = nas_gym.Architecture.from_json(text)
    print(f"best: {accuracy:.1%}\n{write(architecture)}")
    draw(architecture).save("best.png")


if __name__ == "__main__":
    main()
