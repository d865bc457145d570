"""NSGA-II (Deb et al. 2002, https://doi.org/10.1109/4235.996017), by Optuna's implementation.

A genetic algorithm for several objectives: parents are chosen by non-domination rank and, within a
rank, by crowding distance; children cross two parents over and mutate.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from annotated_types import Ge, Interval

from nas_agents.strategies.optuna_strategy import OptunaStrategy, optuna
from nas_gym import Memory, Objectives, SearchSpace
from nas_gym.errors import require
from nas_gym.rewards import AnyReward
from nas_gym.search_spaces import Choices
from nas_gym.settings import Seed, validated

Probability = Annotated[float, Interval(ge=0, le=1)]


class NSGA2(OptunaStrategy):
    """Optuna's NSGA-II; a decision is a gene, whose value stands for a valid choice.

    As in the environment, value a means valid choice number (a modulo the number of valid choices),
    so every genome is an architecture, and any two can be crossed over. Children that failed are no
    parents: where others are beyond the objectives' worst values, they would be among the best.

    Args:
        objectives: K, the number of objectives.
        population: Size of the population; the first one is random.
        crossover: Probability that a child has two parents.
        swap: Probability that a gene is the second parent's.
        mutation: Probability that a gene is drawn at random; default: 1 / T.
    """

    multi_objective: ClassVar[bool] = True

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        objectives: Annotated[int, Ge(2)] = 2,
        population: Annotated[int, Ge(2)] = 50,
        crossover: Probability = 0.9,
        swap: Probability = 0.5,
        mutation: Probability | None = None,
    ) -> None:
        self._settings: dict[str, Any] = {
            "population_size": population,
            "crossover_prob": crossover,
            "swapping_prob": swap,
            "mutation_prob": mutation,
        }
        super().__init__(search_space, seed, objectives)

    def prepare(self, reward: AnyReward, memory: Memory | None) -> None:
        number = len(reward.names) if isinstance(reward, Objectives) else None
        own = len(self._study.directions)
        says = f"objectives: the reward has {number}, got {own}; give objectives={number}"
        require(number in (own, None), says)

    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        return optuna.samplers.NSGAIISampler(seed=seed, **self._settings)

    def choose(self, trial: optuna.Trial, choices: Choices, step: int) -> int:
        number = self.search_space.num_choices[step]
        value = trial.suggest_categorical(self.search_space.decisions[step].name, range(number))
        choice, _ = self.search_space.rules(choices, step).resolve(value)
        return choice

    def observe_evaluation(
        self, choices: Choices, reward: list[float], evaluation: Mapping[str, Any]
    ) -> None:
        if evaluation["status"] == "ok":
            self.observe(choices, reward)
        else:
            self._tell(choices, state=optuna.trial.TrialState.FAIL)
