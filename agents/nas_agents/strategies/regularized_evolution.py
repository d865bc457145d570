"""Regularized evolution (Real et al. 2019, https://arxiv.org/abs/1802.01548, algorithm 1)."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

from nas_agents.strategies.base import Strategy
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices
from nas_gym.settings import Positive, Seed, Share, validated


class RegularizedEvolution(Strategy):
    """Aging evolution: the best of a random sample has a child, and the oldest dies.

    A mutation changes the choice of one decision, and redraws later choices that this invalidates.
    As in the paper, a sample may hold an individual twice, and children that are trained at the
    same time join the population in the order in which they end.

    Args:
        population: P, size of the population; AmoebaNet's is 100, NAS-Bench-201's 10.
        sample: S, individuals drawn to find a parent; AmoebaNet's is 25, NAS-Bench-201's 3.
        identity: Probability of the mutation that changes nothing; AmoebaNet's is 0.05.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        population: Positive = 100,
        sample: Positive = 25,
        identity: Share = 0.0,
    ) -> None:
        super().__init__(search_space, seed)
        self.population_size, self.sample_size, self.identity = population, sample, identity
        self.population: deque[tuple[float, Choices]] = deque(maxlen=population)
        """(reward, choices) of the living, the oldest first."""
        self._num_random = 0

    def propose(self) -> Choices:
        # The first P individuals are random.
        if self._num_random < self.population_size or not self.population:
            self._num_random += 1
            return self.sample()

        alive = len(self.population)
        candidates = [self.population[self.below(alive)] for _ in range(self.sample_size)]
        _, parent = max(candidates, key=itemgetter(0))
        if self.identity and self.uniform() < self.identity:
            return parent
        return self.mutate(parent)

    def observe(self, choices: Choices, reward: float) -> None:
        self.population.append((reward, choices))
