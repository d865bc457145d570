"""The evolution of Once-for-All's tutorial, as a strategy of one's own.

Source: https://github.com/mit-han-lab/once-for-all, ofa/tutorial/evolution_finder.py. From the
repository's root, for `nas-gym bench` or `nas-gym search`:

    PYTHONPATH=. nas-gym search nas_gym/OFA-v0 --set evaluator=surrogate \
        --agent examples.reproduction.ofa_evolution:OFAEvolution --episodes 1000

The tutorial never asks for networks that are too slow, since its latency table is free of charge;
here, each network that is asked for counts, and one over a limit of the environment is worth 0.
"""

from __future__ import annotations

import numpy as np

from nas_agents.strategies import Strategy
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices, resolve_actions
from nas_gym.settings import Keep, Positive, Seed, validated


class OFAEvolution(Strategy):
    """Generations: the best quarter stays, and has mutants and crossings as children.

    Args:
        search_space, seed: As in `Strategy`.
        population: Networks of the first generation, and children of later ones.
        parents: Share of the population that stays.
        mutants: Share of the children that are mutants of one parent; others cross two.
        mutation: Probability of redrawing a mutant's choice.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        population: Positive = 100,
        parents: Keep = 0.25,
        mutants: Keep = 0.5,
        mutation: Keep = 0.1,
    ) -> None:
        super().__init__(search_space, seed)
        self.population_size, self.num_parents = population, max(1, round(parents * population))
        self.num_mutants, self.mutation = round(mutants * population), mutation
        self.population: list[tuple[float, Choices]] = []
        self._parents: list[Choices] = []
        self._num_proposed = 0

    def propose(self) -> Choices:
        generation, number = divmod(self._num_proposed, self.population_size)
        self._num_proposed += 1
        if generation == 0 or not self.population:
            return self.sample()
        if number == 0:
            best = sorted(self.population, key=lambda each: -each[0])[: self.num_parents]
            self.population, self._parents = best, [choices for _, choices in best]
        first, second = (self._parents[self.below(len(self._parents))] for _ in range(2))
        if number < self.num_mutants:
            redrawn = self.rng.random(len(first)) < self.mutation
            return self._valid(np.where(redrawn, self.sample(), first))
        return self._valid(np.where(self.rng.random(len(first)) < 0.5, first, second))

    def observe(self, choices: Choices, reward: float) -> None:
        self.population.append((reward, choices))

    def _valid(self, choices: Choices) -> Choices:
        """Return choices whose invalid ones are resolved as an environment does it."""
        made = choices.copy()
        for step in range(len(made)):
            valid = self.search_space.valid_choices(made[:step])
            made[step] = resolve_actions(valid[np.newaxis], made[[step]])[0][0]
        return made
