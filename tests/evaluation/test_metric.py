"""Scores of metrics: in [0, 1], larger where the network is better, and inverse to `value`."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import InvalidSettings
from nas_gym.evaluation import Metric, shown
from nas_gym.evaluation.metric import ACCURACY, BITS_PER_CHARACTER, PERPLEXITY

METRICS = (
    *(ACCURACY, PERPLEXITY, BITS_PER_CHARACTER),
    Metric("error", 0.0, 1.0),
    Metric("return", -5.0, higher_is_better=True),
)


@given(metric=st.sampled_from(METRICS), shares=st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_scores_keep_the_order_and_can_be_read_back(
    metric: Metric, shares: tuple[float, float]
) -> None:
    span = 1000 if math.isinf(metric.highest) else metric.highest - metric.lowest
    low, high = sorted(metric.lowest + share * span for share in shares)
    scores = [metric.score(value) for value in (low, high)]
    assert all(0 <= score <= 1 for score in scores)
    assert scores == sorted(scores, reverse=not metric.higher_is_better)
    assert metric.value(scores[0]) == pytest.approx(low, abs=1e-6)


def test_known_metrics() -> None:
    assert ACCURACY.score(0.25) == 0.25
    assert PERPLEXITY.score(80.0) == 1 / 80
    assert PERPLEXITY.value(0.0) == math.inf
    assert shown(0.25) == "25.00%"
    assert shown(1 / 80, "perplexity") == "80 perplexity"
    assert shown(0.25, "another") == "0.2500 (score of another)"
    with pytest.raises(InvalidSettings, match="no range"):
        Metric("nothing", 1.0, 1.0)
