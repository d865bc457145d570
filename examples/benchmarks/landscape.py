"""Synthetic rewards whose optimum is known, with environments.

    nas-gym bench examples.benchmarks.landscape:examples/Landscape-v0 --out results/landscape
    nas-gym bench examples.benchmarks.landscape:examples/Macro-v0 --out results/macro

Decisions come in blocks. A block has tables of random numbers for each of its decisions, and for
some pairs of them; it is worth the sum, so what a decision is best made as depends on others. No
table spans two blocks, so the best and the worst of a block's choices are found by enumeration, and
with them those of the whole: the reward is scaled to 0 and 1 there.

- `Landscape-v0` has NASNet's 50 decisions. A block is NASNet's: the pairs are either hidden state
  with its operation, the two operations, and the first of them with the way to combine.
- `Macro-v0` has the size of NAS-Bench-Macro (Su et al. 2021, https://arxiv.org/abs/2103.11922): 8
  layers, each the identity or one of two mobile blocks, 6,561 networks. They are one block, whose
  pairs are neighbours. Its numbers are random, too; they are not that benchmark's accuracies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

import nas_gym
from nas_gym import (
    Architecture,
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    Evaluation,
    NASEnv,
    NASNetSearchSpace,
    SearchSpace,
)

PAIRS = ((0, 2), (1, 3), (2, 3), (2, 4))
"""Of the five decisions of NASNet's block: two hidden states, their operations, and how to
combine."""
LAYERS = 8


class Landscape:
    """A synthetic evaluator, whose best architecture is worth 1 and whose worst 0.

    Args:
        search_space: The search space, all of whose choices are always valid.
        seed: The seed of the random tables.
        block: Number of decisions of a block.
        pairs: Places of two decisions within a block that have a table together.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        seed: int = 0,
        block: int = 5,
        pairs: Sequence[tuple[int, int]] = PAIRS,
    ) -> None:
        self.search_space, self.pairs = search_space, pairs
        rng = np.random.default_rng(seed)
        sizes = np.reshape(search_space.num_choices, (-1, block))
        self.blocks = [self._block(block.tolist(), rng) for block in sizes]
        self.lowest = sum(float(block.min()) for block in self.blocks)
        self.highest = sum(float(block.max()) for block in self.blocks)

    def _block(self, sizes: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
        """Return the value of every combination of a block's K choices, (k_1, ..., k_K)."""
        worth = np.zeros(tuple(sizes))
        for axes in [*((axis,) for axis in range(len(sizes))), *self.pairs]:
            shape = [size if axis in axes else 1 for axis, size in enumerate(sizes)]
            worth = worth + rng.random(shape)
        return worth

    def reward(self, choices: NDArray[np.int64]) -> float:
        """Return the value of a sequence of choices, (T,), in [0, 1]."""
        parts = zip(self.blocks, choices.reshape(len(self.blocks), -1), strict=True)
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

    def __init__(
        self, landscape: int = 0, training_seed: int = 0, observation: str = "choices"
    ) -> None:
        search_space = NASNetSearchSpace()
        evaluator = Landscape(search_space, landscape)
        super().__init__(search_space, evaluator, observation=observation)


class MacroArchitecture(CustomArchitecture, kind="macro-landscape"):
    """The layers of a network, one after another."""

    decisions = tuple(
        Decision(f"layer_{number}", ("identity", "MB3_K3", "MB6_K5"))
        for number in range(1, LAYERS + 1)
    )


class MacroEnv(NASEnv):
    """A chain of 8 layers of three kinds, under the reward of a `Landscape`."""

    def __init__(self, landscape: int = 0, training_seed: int = 0) -> None:
        search_space = CustomSearchSpace(MacroArchitecture)
        neighbours = [(number, number + 1) for number in range(LAYERS - 1)]
        super().__init__(search_space, Landscape(search_space, landscape, LAYERS, neighbours))


nas_gym.register("examples/Landscape-v0", "examples.benchmarks.landscape:LandscapeEnv")
nas_gym.register("examples/Macro-v0", "examples.benchmarks.landscape:MacroEnv")
