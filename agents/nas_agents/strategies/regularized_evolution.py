"""Regularized evolution (Real et al. 2019, https://arxiv.org/abs/1802.01548, algorithm 1)."""

from __future__ import annotations

from collections import deque
from operator import itemgetter

from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_number
from nas_gym.search_spaces import Choices


class RegularizedEvolution(Strategy):
    """Aging evolution: the best of a random sample has a child, and the oldest dies.

    A mutation gives one decision another choice, and draws what this rules out. As in the paper,
    a sample may hold an individual twice, and children that are trained at the same time join
    the population in the order in which they end.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of the draws.
        population: P, how many individuals are alive; AmoebaNet's is 100, NAS-Bench-201's 10.
        sample: S, how many are drawn to find a parent; AmoebaNet's is 25, NAS-Bench-201's 3.
        identity: How probable the mutation is that changes nothing; AmoebaNet's is 0.05.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        seed: int | None = None,
        population: int = 100,
        sample: int = 25,
        identity: float = 0.0,
    ) -> None:
        super().__init__(search_space, seed)
        require_integer("population", population, least=1)
        require_integer("sample", sample, least=1)
        require_number("identity", identity, lowest=0, below=1)
        self.population_size, self.sample_size = population, sample
        self.identity = identity
        self.population: deque[tuple[float, Choices]] = deque(maxlen=population)
        """(reward, choices) of the living, the oldest first."""
        self._random = 0
        """How many random individuals were proposed."""

    def propose(self) -> Choices:
        if self._random < self.population_size or not self.population:
            self._random += 1
            return self.sample()
        alive = len(self.population)
        sample = [self.population[self.below(alive)] for _ in range(self.sample_size)]
        _, parent = max(sample, key=itemgetter(0))
        if self.identity and self.uniform() < self.identity:
            return parent
        return self.mutate(parent)

    def observe(self, choices: Choices, reward: float) -> None:
        self.population.append((reward, choices))
