"""Base of the strategies whose proposals are those of an Optuna sampler."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

import numpy as np

from nas_agents.strategies.base import Strategy
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices

try:
    import optuna
except ImportError as error:
    raise ImportError("it needs Optuna: pip install 'nas-gym[optuna]'") from error

__all__ = ["OptunaStrategy", "optuna"]


class OptunaStrategy(Strategy):
    """An Optuna study in memory of K objectives, to be maximized, by its ask-and-tell interface.

    A subclass makes the sampler, and says how a decision is a parameter.
    """

    def __init__(self, search_space: SearchSpace, seed: int | None, objectives: int = 1) -> None:
        super().__init__(search_space, seed)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # no line about the study
        try:
            sampler = self.sampler(int(self.rng.integers(2**32)))
            maximize = [optuna.study.StudyDirection.MAXIMIZE] * objectives
            self._study = optuna.create_study(sampler=sampler, directions=maximize)
        finally:
            optuna.logging.set_verbosity(verbosity)
        self._trials: dict[bytes, list[int]] = {}
        """The numbers of the trials under way, by their choices."""

    @abstractmethod
    def sampler(self, seed: int) -> optuna.samplers.BaseSampler:
        """Return the sampler; called once."""

    @abstractmethod
    def choose(self, trial: optuna.Trial, choices: Choices, step: int) -> int:
        """Return a valid choice of a decision after ``choices[:step]``, by the sampler."""

    def propose(self) -> Choices:
        trial = self._study.ask()
        choices = np.zeros(len(self.search_space.decisions), dtype=np.int64)
        for step in range(len(choices)):
            choices[step] = self.choose(trial, choices, step)
        self._trials.setdefault(choices.tobytes(), []).append(trial.number)
        return choices

    def observe(self, choices: Choices, reward: float | list[float]) -> None:
        self._tell(choices, values=reward)

    def _tell(self, choices: Choices, **result: Any) -> None:
        """End the trial of a proposal, if it is one, with what `optuna.Study.tell` takes."""
        trials = self._trials.get(choices.tobytes())
        if trials:
            self._study.tell(trials.pop(0), **result)
