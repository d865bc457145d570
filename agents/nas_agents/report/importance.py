"""Importance of decisions, and which choices pay, from the children of a search.

Both are estimates from what an agent happened to choose, under models that can be wrong: a random
forest, and a sum of the choices' effects. The first says how well it predicts; the second has
standard errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import BayesianRidge
from sklearn.model_selection import KFold

LEAST = 20
"""Number of different children below which nothing is said."""
FOLDS, TREES, SHUFFLES = 3, 30, 5


class Importance(NamedTuple):
    """How much each decision matters."""

    predicted: float
    """Share of the variance of children left out that the forest predicts, at most 1; at 0 or
    below, there is nothing in it."""
    decisions: dict[str, tuple[float, float]]
    """Mean drop of that share when the decision's choices are shuffled, and its standard error
    over the folds; the most important first."""


class Effect(NamedTuple):
    """The gain of a choice over the average choice of its decision."""

    decision: str
    """Its name; or the number of decisions that have the label, for its mean effect there."""
    label: str
    gain: float
    """In the units of accuracies."""
    error: float
    """Standard error of ``gain``."""

    @property
    def sentence(self) -> str:
        """The effect in words, in points of accuracy."""
        does = "gains" if self.gain > 0 else "loses"
        points = f"{100 * abs(self.gain):.1f} points ± {100 * self.error:.1f}"
        return f"{self.label} in {self.decision} {does} {points}"


def distinct(
    choices: NDArray[np.int64], accuracies: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the different rows of choices, (m, T), and their mean accuracies, (m,)."""
    rows, inverse = np.unique(choices, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    return rows, np.bincount(inverse, accuracies) / np.bincount(inverse)


def importance_of(
    choices: NDArray[np.int64], accuracies: NDArray[np.float64], names: list[str]
) -> Importance | None:
    """Return the permutation importance (Breiman 2001) of decisions in a random forest.

    The forest is trained on two thirds of the children, and judged on the others, three times. None
    where there are fewer than `LEAST` different ones, or all are equally good.

    Args:
        choices: (m, T), different rows.
        accuracies: (m,)
        names: Of the T decisions.
    """
    varied = np.flatnonzero(np.ptp(choices, axis=0)) if len(choices) else np.zeros(0, np.int64)
    if len(choices) < LEAST or not len(varied) or not np.ptp(accuracies):
        return None
    drops, scores = [], []
    for train, test in KFold(FOLDS, shuffle=True, random_state=0).split(choices):
        forest = RandomForestRegressor(TREES, max_features=1 / 3, random_state=0)
        forest.fit(choices[train][:, varied], accuracies[train])
        judged = choices[test][:, varied], accuracies[test]
        scores.append(forest.score(*judged))
        drops.append(_drops(forest, *judged))
    mean, error = np.mean(drops, axis=0), np.std(drops, axis=0, ddof=1) / FOLDS**0.5
    ranked = np.argsort(-mean, kind="stable")
    found = {names[varied[n]]: (float(mean[n]), float(error[n])) for n in ranked}
    return Importance(float(np.mean(scores)), found)


def _drops(
    forest: RandomForestRegressor, choices: NDArray[np.int64], accuracies: NDArray[np.float64]
) -> list[float]:
    """Return how much the predicted share of the variance falls when each column is shuffled.

    All shuffles of a column are predicted at once: a forest's call costs more than its rows.
    """
    rng, drops = np.random.default_rng(0), []
    error = np.square(forest.predict(choices) - accuracies).mean()
    variance = accuracies.var() or np.inf
    for column in range(choices.shape[1]):
        rows = np.tile(choices, (SHUFFLES, 1, 1))  # (SHUFFLES, m, T)
        rows[..., column] = rng.permuted(rows[..., column], axis=1)
        predicted = forest.predict(rows.reshape(-1, choices.shape[1])).reshape(SHUFFLES, -1)
        drops.append(float((np.square(predicted - accuracies).mean() - error) / variance))
    return drops


def effects_of(
    choices: NDArray[np.int64],
    accuracies: NDArray[np.float64],
    decisions: Mapping[str, list[str]],
) -> list[Effect]:
    """Return what each choice gains over the average of its decision's choices, the best first.

    Accuracies are modelled as a sum of the choices' effects by Bayesian ridge regression (MacKay
    1992), whose posterior gives the standard errors, and which needs no more children than effects.
    A label that several decisions have gets one effect more: its mean in all of them.

    Args:
        choices: (m, T), different rows.
        accuracies: (m,)
        decisions: Labels of the choices of each decision.
    """
    columns = [
        (step, choice)
        for step in range(choices.shape[1])
        if len(used := np.unique(choices[:, step])) > 1
        for choice in used.tolist()
    ]
    if len(choices) < LEAST or not columns or not np.ptp(accuracies):
        return []
    codes = np.stack([choices[:, step] == choice for step, choice in columns], axis=1)
    model = BayesianRidge().fit(codes.astype(np.float64), accuracies)

    # Contrasts: each choice against the mean of its decision's choices
    steps = np.array([step for step, _ in columns])
    same = steps[:, np.newaxis] == steps
    contrasts = np.eye(len(columns)) - same / same.sum(axis=1, keepdims=True)
    names, labels = list(decisions), list(decisions.values())
    rows = [
        (names[step], labels[step][choice], contrast)
        for (step, choice), contrast in zip(columns, contrasts, strict=True)
    ]
    for label in dict.fromkeys(label for _, label, _ in rows):
        of_label = [contrast for _, other, contrast in rows if other == label]
        if len(of_label) > 1:
            rows.append((f"{len(of_label)} decisions on average", label, np.mean(of_label, axis=0)))
    effects = [
        Effect(name, label, float(row @ model.coef_), float((row @ model.sigma_ @ row) ** 0.5))
        for name, label, row in rows
    ]
    return sorted(effects, key=lambda effect: -effect.gain)


def standing_out(effects: list[Effect], most: int = 8) -> list[Effect]:
    """Return the effects of more than two standard errors: at most ``most`` gains and losses."""
    clear = [effect for effect in effects if abs(effect.gain) > 2 * effect.error]
    gains = [effect for effect in clear if effect.gain > 0][:most]
    losses = [effect for effect in clear if effect.gain < 0][-most:]
    return gains + losses
