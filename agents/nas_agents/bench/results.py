"""Results of a benchmark's searches: means, intervals, and tests against the baseline."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from nas_agents.bench.searching import environment_of
from nas_agents.bench.settings import Benchmark, Search
from nas_gym import NASEnv, Table
from nas_gym.outside.json_text import without_nan
from nas_gym.rewards import accuracy, rewards_of

Floats = NDArray[np.float64]
Record = dict[str, Any]
CLOSE = 1e-12
"""Difference up to which rewards are the same."""


@dataclass(frozen=True)
class Row:
    """Result of the searches of one agent on one data set within one budget."""

    dataset: str
    reported: str
    """The data set on which what was found is scored: another one where it is transferred."""
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
    """Number of searches that found a network of the best reward of all; None if not known, or
    scored on another data set."""
    evaluations: float
    """Of different networks, or of all with ``pay_repeats``, on average; NaN below the largest
    limit."""
    last_fifth: float
    """Mean reward of the last fifth of all networks that a search asked for, on average; NaN below
    the largest limit, and where the budget was too small for one."""
    cpu_seconds: float
    """Of one search, on average; as a benchmark runs beside others, a rough figure. NaN below the
    largest limit."""

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON data, which has no NaN."""
        return {name: without_nan(value) for name, value in asdict(self).items()}


@dataclass(frozen=True)
class Group:
    """The searches of one agent on one data set, scored on one."""

    search: Search
    """One of them."""
    reported: Search
    """The same in the environment on whose record they are scored; see `Benchmark.reported`."""
    agent: str
    records: tuple[Record, ...]
    measure: str
    scores: Mapping[tuple[int, ...], float]
    """The measure by a network's choices."""

    @property
    def transferred(self) -> bool:
        """True if networks are scored on another data set than they were found on."""
        return self.search.dataset != self.reported.dataset

    def values(self, spent: float) -> Floats:
        """Return the measure of the best network within an expense, (n,); NaN before the first."""
        found = [[p for p in each["best"] if p[0] <= spent] for each in self.records]
        scored = [self.scores[tuple(points[-1][3])] if points else np.nan for points in found]
        return np.array(scored, dtype=np.float64)

    def rewards(self, spent: float) -> Floats:
        """Return the best reward within an expense, (n,); -inf before the first."""
        within = [[p[2] for p in each["best"] if p[0] <= spent] for each in self.records]
        return np.array([max(rewards, default=-math.inf) for rewards in within])


def groups_of(benchmark: Benchmark, records: Sequence[Record]) -> list[Group]:
    """Return the searches by data set, scored data set and agent, in the order of all of these."""
    agents, number = list(benchmark.agents), len(benchmark.agents) * len(benchmark.places())
    searches, groups = benchmark.searches()[:number], []
    for first in range(0, number, len(agents)):
        for place in range(len(benchmark.reported(searches[first]))):
            for offset, agent in enumerate(agents):
                search, own = searches[first + offset], tuple(records[first + offset :: number])
                reported = benchmark.reported(search)[place]
                measure = measure_of(reported)
                scores = scores_of(reported, measure, own)
                groups.append(Group(search, reported, agent, own, measure, scores))
    return groups


def place_of(dataset: str, reported: str, env_id: str) -> str:
    """Return the name of a panel or a table: where networks are scored, and were found."""
    found = "" if reported == dataset else f", found on {dataset or 'the default data set'}"
    return f"{reported or env_id}{found}"


def measure_of(reported: Search) -> str:
    """Return what a result is measured by.

    The reward, where it is not the accuracy or nothing is recorded; else test accuracy where it is
    known, else validation accuracy.
    """
    env = environment_of(reported)
    table = env.memory.evaluator
    if env.reward is not accuracy or not isinstance(table, Table):
        return "reward"
    return "validation" if np.isnan(table.test).all() else "test"


def scores_of(
    reported: Search, measure: str, records: Sequence[Record]
) -> dict[tuple[int, ...], float]:
    """Return the measure, a reward or percent, of all networks that were once the best."""
    env = environment_of(reported)
    found = list({tuple(point[3]) for record in records for point in record["best"]})
    if not found:
        return {}
    choices, table = np.array(found, dtype=np.int64), env.memory.evaluator
    if measure == "reward":
        made = env.memory.evaluate_choices(env.search_space, choices)
        scores = np.asarray(rewards_of(env.reward, made), dtype=np.float64)
    else:
        assert isinstance(table, Table)
        column = table.test if measure == "test" else table.accuracy
        scores = 100 * column[table.rows(choices)]
    return dict(zip(found, scores.tolist(), strict=True))


def rows_of(benchmark: Benchmark, groups: Sequence[Group]) -> list[Row]:
    """Return the rows of the table: by data set, by limit, in the order of the agents."""
    rows, number = [], len(benchmark.agents)
    for first in range(0, len(groups), number):
        here = groups[first : first + number]
        optimum = math.nan if here[0].transferred else best_reward(environment_of(here[0].search))
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
    made, last_fifth, cpu_seconds = (
        float(np.mean([math.nan if each[name] is None else each[name] for each in group.records]))
        for name in ("evaluations", "last_fifth", "cpu_seconds")
    )
    return Row(
        *(group.search.dataset, group.reported.dataset, group.agent, limit, group.measure),
        tuple(values.tolist()),
        *mean_of(values),
        *tests,
        None if math.isnan(optimum) else found,
        *(each if whole else math.nan for each in (made, last_fifth, cpu_seconds)),
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
