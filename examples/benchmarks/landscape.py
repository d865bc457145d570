"""A synthetic reward for NASNet's 50 decisions, whose optimum is known; with an environment.

    nas-gym bench examples.benchmarks.landscape:examples/Landscape-v0 --out results/landscape

Each block has tables of random numbers for each of its five decisions, and for four pairs of them:
either hidden state with its operation, the two operations, and the first of them with the way to
combine. A block is worth the sum; what a decision is best made as depends on the others. No table
spans two blocks, so the best and the worst of a block's choices are found by enumeration, and with
them those of the whole: the reward is scaled to 0 and 1 there.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import nas_gym
from nas_gym import Architecture, Evaluation, NASEnv, NASNetSearchSpace

DECISIONS = 5
"""Of a block: two hidden states, their operations, and how to combine."""
PAIRS = ((0, 2), (1, 3), (2, 3), (2, 4))


class Landscape:
    """A synthetic evaluator of NASNet's cells, whose best is worth 1 and whose worst 0."""

    def __init__(self, search_space: NASNetSearchSpace, seed: int = 0) -> None:
        self.search_space = search_space
        rng = np.random.default_rng(seed)
        sizes = np.reshape(search_space.num_choices, (-1, DECISIONS))
        self.blocks = [self._block(block.tolist(), rng) for block in sizes]
        self.lowest = sum(float(block.min()) for block in self.blocks)
        self.highest = sum(float(block.max()) for block in self.blocks)

    @staticmethod
    def _block(sizes: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the value of every combination of a block's five choices, (k_1, ..., k_5)."""
        worth = np.zeros(tuple(sizes))
        for axes in [*((axis,) for axis in range(DECISIONS)), *PAIRS]:
            shape = [size if axis in axes else 1 for axis, size in enumerate(sizes)]
            worth = worth + rng.random(shape)
        return worth

    def reward(self, choices: NDArray[np.int64]) -> float:
        """Return the value of a sequence of choices, (T,), in [0, 1]."""
        parts = zip(self.blocks, choices.reshape(-1, DECISIONS), strict=True)
        worth = sum(float(block[tuple(chosen)]) for block, chosen in parts)
        return (worth - self.lowest) / (self.highest - self.lowest)

    def best(self) -> NDArray[np.int64]:
        """Return the optimum, (T,)."""
        places = [np.unravel_index(block.argmax(), block.shape) for block in self.blocks]
        return np.concatenate(places).astype(np.int64)

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        """Evaluate each with its reward as the accuracy."""
        rewards = [self.reward(self.search_space.encode(each)) for each in architectures]
        return [Evaluation("ok", r, (r,), 0.0, 0, "landscape") for r in rewards]


class LandscapeEnv(NASEnv):
    """NASNet's decisions under the reward of a `Landscape`."""

    def __init__(self, landscape: int = 0, training_seed: int = 0) -> None:
        search_space = NASNetSearchSpace()
        super().__init__(search_space, Landscape(search_space, landscape))


nas_gym.register("examples/Landscape-v0", "examples.benchmarks.landscape:LandscapeEnv")
