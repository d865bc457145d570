"""Predicts rewards that weigh accuracy against a cost, from a model of each.

The reward itself is no matter of learning, and is computed. Under MnasNet's hard constraint (Tan et
al. 2019, https://arxiv.org/abs/1807.11626, section 3) it falls off a cliff at the target, which a
smooth model of rewards would round off. What is known of the cost before a training is not modelled
either.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nas_agents.strategies.gaussian_process import Floats, GaussianProcess
from nas_gym.rewards import CostReward
from nas_gym.search_spaces import Choices

Predict = Callable[[Choices], Floats]
"""From sequences of choices, (N, T), to a number of each, (N,)."""


def costed(reward: CostReward, accuracy_of: Predict, cost_of: Predict) -> Predict:
    """Return the predicted rewards' ranks, from 0; a cost that is NaN is worse than any."""

    def predict(choices: Choices) -> Floats:
        rewards = reward.of(accuracy_of(choices), cost_of(choices))
        return _ranks(np.where(np.isnan(rewards), -np.inf, rewards))

    return predict


def within_limits(predicted: Predict, excess_of: Predict) -> Predict:
    """Return ranks, from 0: what exceeds a limit is below all else, and the lower the more.

    These are the rules of Deb 2000 for constraints,
    https://doi.org/10.1016/S0045-7825(99)00389-8, section 3.
    """

    def predict(choices: Choices) -> Floats:
        return _ranks(predicted(choices), -excess_of(choices))

    return predict


def _ranks(*keys: Floats) -> Floats:
    """Return the ranks, (N,) from 0, by (N,) keys of which the last counts most."""
    order = np.lexsort(keys)
    ranks = np.empty(len(order))
    ranks[order] = np.arange(len(order))
    return ranks


def in_accuracies(scores_of: Predict, scores: Floats, observed: Floats) -> Predict:
    """Return predictions of accuracies, in [0, 1], from those of their normal scores.

    Between the n ``observed`` ones it interpolates, and beyond the best it goes on with the slope
    from their median to the best.
    """
    order = np.argsort(scores)
    xs, ys = scores[order], observed[order]
    slope = (ys[-1] - np.median(ys)) / max(xs[-1], 1e-9)

    def predict(choices: Choices) -> Floats:
        values = scores_of(choices)
        beyond = slope * np.maximum(values - xs[-1], 0)
        accuracies: Floats = np.minimum(np.interp(values, xs, ys) + beyond, 1.0)
        return accuracies

    return predict


def learned_cost(choices: Choices, costs: Floats, width: float, noise: float) -> Predict:
    """Return the mean of a Gaussian process of the logarithms of (n,) costs, NaN where unknown.

    A cost of 0, which has none, counts as the least other one.
    """
    known, above = np.isfinite(costs), costs[costs > 0]
    logs = np.log(np.maximum(costs[known], above.min() if len(above) else 1.0))
    mean, deviation = logs.mean(), logs.std() + 1e-9
    model = GaussianProcess(choices[known], (logs - mean) / deviation, width, noise)

    def predict(drawn: Choices) -> Floats:
        predicted: Floats = np.exp(mean + deviation * model.optimistic(drawn, 0.0))
        return predicted

    return predict
