"""Recurrent cells for a language model: a search of ENAS's cells on a text of yours.

    python examples/text.py path/to/text.txt

Without a path it reads Python's own documentation. A child is measured by its perplexity on the
validation part of the text; the reward is 80 / perplexity. A minute or two.
"""

from __future__ import annotations

import sys
from typing import Any

import gymnasium as gym

import nas_gym  # noqa: F401 (registers the environments)


def main(text: str = "pydoc", networks: int = 6, **arguments: Any) -> None:
    """Design cells at random, and print the perplexity of each."""
    reward = {"name": "perplexity", "c": 80}
    env = gym.make(
        "nas_gym/ENASRecurrent-v0", nodes=4, dataset=text, epochs=1, reward=reward, **arguments
    )
    env.action_space.seed(0)
    for _ in range(networks):
        _, info = env.reset()
        terminated = False
        while not terminated:
            _, value, terminated, _, info = env.step(env.action_space.sample(info["action_mask"]))
        record = info["evaluation"]
        result = record["status"]
        if result == "ok":
            result = f"perplexity {record['value']:.1f}"
        print(f"{result}, reward {value:.2f}: {info['architecture']}")


if __name__ == "__main__":
    main(sys.argv[1] if sys.argv[1:] else "pydoc")
