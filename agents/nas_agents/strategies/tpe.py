"""The tree-structured Parzen estimator (Bergstra et al. 2011, https://hal.science/hal-00642998)

as Optuna implements it: Bayesian optimization with one categorical parameter a decision.
"""

from __future__ import annotations

import warnings

import numpy as np

from nas_agents.strategies.strategy import Strategy
from nas_gym import SearchSpace
from nas_gym.errors import require_integer, require_truth
from nas_gym.search_spaces import Choices

try:
    import optuna
except ImportError as error:
    raise ImportError("it needs Optuna: pip install 'nas-gym[optuna]'") from error


class TPE(Strategy):
    """Optuna's TPE, asked and told.

    A decision is a parameter only where it leaves a choice (Optuna's define-by-run), and another
    one for every set of choices that is valid: each set has its own distribution.

    Args:
        search_space: Whose sequences of choices are proposed.
        seed: Of Optuna's sampler.
        startup: How many architectures are drawn at random first.
        candidates: How many are drawn from the density of the good ones to find a proposal.
        multivariate: Whether the densities are of all decisions together, and not of each.

    Raises:
        InvalidSettings: an argument is not valid.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        seed: int | None = None,
        startup: int = 10,
        candidates: int = 24,
        multivariate: bool = False,
    ) -> None:
        super().__init__(search_space, seed)
        require_integer("startup", startup, least=0)
        require_integer("candidates", candidates, least=1)
        require_truth("multivariate", multivariate)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            sampler = optuna.samplers.TPESampler(
                seed=int(self.rng.integers(2**32)),
                n_startup_trials=startup,
                n_ei_candidates=candidates,
                multivariate=multivariate,
                constant_liar=True,  # keeps away from what is under way
            )
        self._study = _silent_study(sampler)
        self._trials: dict[bytes, list[int]] = {}
        """The numbers of the trials that are under way, by their choices."""

    def propose(self) -> Choices:
        trial = self._study.ask()
        choices = np.zeros(len(self.search_space.decisions), dtype=np.int64)
        for step, decision in enumerate(self.search_space.decisions):
            valid = np.flatnonzero(self.search_space.valid_choices(choices[:step])).tolist()
            if len(valid) == 1:
                choices[step] = valid[0]
            else:
                name = f"{decision.name} of {valid}"
                choices[step] = trial.suggest_categorical(name, valid)
        self._trials.setdefault(choices.tobytes(), []).append(trial.number)
        return choices

    def observe(self, choices: Choices, reward: float) -> None:
        trials = self._trials.get(choices.tobytes())
        if trials:
            self._study.tell(trials.pop(0), reward)


def _silent_study(sampler: optuna.samplers.BaseSampler) -> optuna.Study:
    """A study in memory, without the line that Optuna logs of each."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(sampler=sampler, direction="maximize")
    finally:
        optuna.logging.set_verbosity(verbosity)
