"""The tree-structured Parzen estimator (Bergstra et al. 2011, https://hal.science/hal-00642998).

Optuna's implementation: Bayesian optimization with one categorical parameter a decision.
"""

from __future__ import annotations

import warnings

import numpy as np

from nas_agents.strategies.base import Strategy
from nas_gym import SearchSpace
from nas_gym.search_spaces import Choices
from nas_gym.settings import Count, Positive, Seed, validated

try:
    import optuna
except ImportError as error:
    raise ImportError("it needs Optuna: pip install 'nas-gym[optuna]'") from error


class TPE(Strategy):
    """Optuna's TPE through its ask-and-tell interface.

    A decision is a parameter only where several choices are valid (Optuna's define-by-run), and a
    different one for every set of valid choices: each set has its own distribution.

    Args:
        startup: Number of random architectures proposed first.
        candidates: Number of candidates for a proposal, drawn from the density of good ones.
        multivariate: Use one density of all decisions together instead of one for each.
    """

    @validated
    def __init__(
        self,
        search_space: SearchSpace,
        seed: Seed | None = None,
        startup: Count = 10,
        candidates: Positive = 24,
        multivariate: bool = False,
    ) -> None:
        super().__init__(search_space, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(self.rng.integers(2**32)),
                n_startup_trials=startup,
                n_ei_candidates=candidates,
                multivariate=multivariate,
                constant_liar=True,  # keeps away from proposals under way
            )
        self._study = _silent_study(sampler)
        self._trials: dict[bytes, list[int]] = {}
        """The numbers of the trials under way, by their choices."""

    def propose(self) -> Choices:
        trial = self._study.ask()
        choices = np.zeros(len(self.search_space.decisions), dtype=np.int64)
        for step, decision in enumerate(self.search_space.decisions):
            valid = np.flatnonzero(self.search_space.valid_choices(choices[:step])).tolist()
            choices[step] = valid[0]
            if len(valid) > 1:
                choices[step] = trial.suggest_categorical(f"{decision.name} of {valid}", valid)
        self._trials.setdefault(choices.tobytes(), []).append(trial.number)
        return choices

    def observe(self, choices: Choices, reward: float) -> None:
        trials = self._trials.get(choices.tobytes())
        if trials:
            self._study.tell(trials.pop(0), reward)


def _silent_study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """Return a study in memory, without Optuna's log line about it."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler, direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
