"""What a benchmark's searches found: means, intervals, and tests against the baseline."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_agents.bench.searching import environment_of
from nas_agents.bench.settings import Benchmark, Search
from nas_gym import NASEnv, Table
from nas_gym.rewards import accuracy

Floats = NDArray[np.float64]
Record = dict[str, Any]
MEASURES = {"reward": 2, "validation": 3, "test": 4}
"""Places of what a search can be measured by, in the points of its `Meter.best`."""
CLOSE = 1e-12
"""Difference up to which rewards are the same."""


@dataclass(frozen=True)
class Row:
    """Result of the searches of one agent on one data set within one budget."""

    dataset: str
    agent: str
    limit: float
    measure: str
    """"test" or "validation", an accuracy in percent, or "reward"."""
    values: tuple[float, ...]
    """The measure of the network with the best reward; one a search."""
    mean: float
    deviation: float
    interval: tuple[float, float]
    """95% confidence interval of the mean (Student's t)."""
    p_welch: float
    """Of Welch's t-test that the mean is the baseline's, two-sided; NaN for the baseline itself."""
    p_mann_whitney: float
    optimum: int | None
    """Number of searches that found a network of the best reward of all; None if not known."""
    evaluations: float
    """Of different networks, or of all with ``pay_repeats``, on average; NaN below the largest
    limit."""
    last_fifth: float
    """Mean reward of the last fifth of all networks that a search asked for, on average."""
    cpu_seconds: float
    """Of one search, on average; as a benchmark runs beside others, a rough figure."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data, which has no NaN."""
        return {name: _without_nan(value) for name, value in asdict(self).items()}


def _without_nan(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_without_nan(each) for each in value]
    return None if isinstance(value, float) and math.isnan(value) else value


@dataclass(frozen=True)
class Group:
    """The searches of one agent on one data set."""

    search: Search
    """One of them."""
    agent: str
    records: tuple[Record, ...]
    measure: str

    def values(self, spent: float) -> Floats:
        """Return the measure of the best network within an expense, (n,); NaN before the first."""
        place, scale = MEASURES[self.measure], 1.0 if self.measure == "reward" else 100.0
        found = [[p for p in each["best"] if p[0] <= spent] for each in self.records]
        values = [points[-1][place] if points else None for points in found]
        return scale * np.array(values, dtype=np.float64)  # None becomes NaN

    def rewards(self, spent: float) -> Floats:
        """Return the best reward within an expense, (n,); -inf before the first."""
        return np.array(
            [
                max((p[2] for p in each["best"] if p[0] <= spent), default=-math.inf)
                for each in self.records
            ]
        )


def groups_of(benchmark: Benchmark, records: Sequence[Record]) -> list[Group]:
    """Return the searches by data set and agent, in the order of `Benchmark.searches`."""
    agents, places = list(benchmark.agents), benchmark.places()
    each = len(agents) * len(places)
    searches = benchmark.searches()[:each]
    return [
        Group(search, agents[n % len(agents)], tuple(records[n::each]), measure_of(search))
        for n, search in enumerate(searches)
    ]


def measure_of(search: Search) -> str:
    """Return what a result is measured by.

    The reward, where it is not the accuracy or nothing is recorded; else test accuracy where it is
    known, else validation accuracy.
    """
    reported = environment_of(search, reported=True)
    table = reported.memory.evaluator
    if reported.reward is not accuracy or not isinstance(table, Table):
        return "reward"
    return "validation" if np.isnan(table.test).all() else "test"


def rows_of(benchmark: Benchmark, groups: Sequence[Group]) -> list[Row]:
    """Return the rows of the table: by data set, by limit, in the order of the agents."""
    rows = []
    for place in benchmark.places():
        here = [group for group in groups if place.items() <= group.search.env_arguments.items()]
        optimum = best_reward(environment_of(here[0].search))
        [baseline] = [group for group in here if group.agent == benchmark.baseline]
        for limit in benchmark.limits:
            rows += [_row(group, baseline, limit, optimum) for group in here]
    return rows


def _row(group: Group, baseline: Group, limit: float, optimum: float) -> Row:
    values = group.values(limit)
    tests = (math.nan, math.nan)
    if group is not baseline:
        tests = p_values(values, baseline.values(limit))
    whole = limit == group.search.limit
    found = int((group.rewards(limit) >= optimum - CLOSE).sum())
    return Row(
        group.search.dataset,
        group.agent,
        limit,
        group.measure,
        tuple(values.tolist()),
        *mean_of(values),
        *tests,
        None if math.isnan(optimum) else found,
        float(np.mean([each["evaluations"] for each in group.records])) if whole else math.nan,
        float(np.mean([each["last_fifth"] for each in group.records])),
        float(np.mean([each["cpu_seconds"] for each in group.records])),
    )


def mean_of(values: Floats) -> tuple[float, float, tuple[float, float]]:
    """Return mean, standard deviation, and the 95% interval of the mean; NaN of one value."""
    mean, number = float(values.mean()), len(values)
    if number == 1:
        return mean, math.nan, (math.nan, math.nan)
    deviation = float(values.std(ddof=1))
    half = float(stats.t.ppf(0.975, number - 1)) * deviation / math.sqrt(number)
    return mean, deviation, (mean - half, mean + half)


def p_values(values: Floats, others: Floats) -> tuple[float, float]:
    """Return p of Welch's t-test and of Mann and Whitney's, two-sided; NaN where undefined."""
    if len(values) < 2 or len(others) < 2:
        return math.nan, math.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of values that are all the same
        welch = float(stats.ttest_ind(values, others, equal_var=False).pvalue)
        return welch, float(stats.mannwhitneyu(values, others).pvalue)


def best_reward(env: NASEnv) -> float:
    """Return the best reward of a recorded benchmark; NaN where the environment is none."""
    table = env.memory.evaluator
    if not isinstance(table, Table):
        return math.nan
    if env.reward is accuracy:
        return float(table.accuracy.max())
    return max(float(env.reward(table.evaluation(row))) for row in range(len(table)))
