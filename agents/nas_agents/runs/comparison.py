"""Searches beside each other, at equal numbers of evaluations: ``nas-gym compare``."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nas_agents.runs.front import dominated_shares, vectors_of
from nas_agents.runs.progress import first_of
from nas_agents.runs.random_children import recorded_accuracies
from nas_agents.runs.reading import EPISODE, EPISODES, is_partial, read_episodes, reading_line
from nas_agents.runs.settings import environment_arguments, load_record
from nas_agents.strategies.random_search import expected_best, quantile_of_best
from nas_gym import Architecture, Evaluator, SearchSpace
from nas_gym.errors import require
from nas_gym.family import registered_families
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.table import Table

TOPS = (1, 5, 25)
"""Of the best architecture, of the best 5, and of the best 25: as in NASNet's figure (Zoph et al.
2018, https://arxiv.org/abs/1707.07012, section 4.4)."""
SAMPLES = 10_000
"""Random architectures looked up, where a table has too many to look all of them up."""


@dataclass(frozen=True)
class Found:
    """Result of the searches of one agent after a number of evaluations."""

    agent: str
    """Its name, with the arguments in which it differs from others of that name."""
    runs: int
    evaluations: int
    means: tuple[float, ...]
    """Mean validation accuracy, in [0, 1], or reward, of the best of each of `TOPS`, over the runs;
    NaN where a run has fewer different architectures."""
    deviations: tuple[float, ...]
    """Between the runs; NaN where there is one."""
    hypervolume: float
    """Mean share that the front dominates of all between the worst and the best values of the
    children of all these runs; NaN where there is one objective."""
    hypervolume_deviation: float
    metric: str = "accuracy"
    """Name of the metric of which accuracies are scores (see `nas_gym.evaluation.Metric`), or
    "reward"."""


class Children(NamedTuple):
    """The n children of a run, in order."""

    accuracies: NDArray[np.float64]  # (n,), 0 for those that failed, nan if trained in part
    keys: list[str]
    rewards: NDArray[np.float64] | None  # (n, K), nan for those that failed; None for numbers
    metric: str  # what they are measured by
    numbers: NDArray[np.float64]  # (n,), rewards, of vectors the first entry; nan if in part
    paid: NDArray[np.int64]  # (n,), evaluations that count in the budget; see `paid_up_to`

    def up_to(self, evaluations: int) -> Children:
        """Return the children that a number of evaluations pays for."""
        most = int(np.searchsorted(self.paid, evaluations, side="right"))
        parts: Any = (each if isinstance(each, str | None) else each[:most] for each in self)
        return Children(*parts)


def children(run: Path) -> Children:
    """Return the children of a run."""
    file, keys, (settings, _) = run / EPISODES, [], load_record(run)
    needed = ["architecture", "accuracy", "reward", "status"]
    needed += ["cached"] * settings.repeats_are_free
    records = read_episodes(file, {name: EPISODE[name] for name in needed})
    for number, record in enumerate(records, start=1):
        with reading_line(file, number):
            keys.append(Architecture.from_json(record["architecture"]).key)
    accuracies = np.array([np.nan if is_partial(each) else each["accuracy"] for each in records])
    rewards = [np.nan if is_partial(each) else first_of(each["reward"]) for each in records]
    metric = str(records[0].get("metric", "accuracy")) if records else "accuracy"
    paid = paid_up_to(records, settings.repeats_are_free)
    return Children(accuracies, keys, vectors_of(records, file), metric, np.array(rewards), paid)


def paid_up_to(records: Sequence[Mapping[str, Any]], repeats_are_free: bool) -> NDArray[np.int64]:
    """Return the number of evaluations in the budget after each of n episodes, (n,)."""
    counts = [not (repeats_are_free and each["cached"]) for each in records]
    return np.cumsum(counts, dtype=np.int64)


def best_of(
    accuracies: NDArray[np.float64], keys: Sequence[str], at: Sequence[int]
) -> NDArray[np.float64]:
    """Return means of the best architectures after A numbers of evaluations: (A, `TOPS`).

    An architecture counts once, however often it was asked for, at its best accuracy; one that was
    trained in part, of the accuracy NaN, does not count. NaN where there are fewer.
    """
    rows = []
    for number in at:
        best: dict[str, float] = {}
        for key, accuracy in zip(keys[:number], accuracies[:number].tolist(), strict=True):
            if not math.isnan(accuracy):
                best[key] = max(accuracy, best.get(key, accuracy))
        ranked = np.sort(list(best.values()))[::-1]
        rows.append([ranked[:top].mean() if len(ranked) >= top else np.nan for top in TOPS])
    return np.array(rows)


def compare(runs: Sequence[Path], evaluations: int | None = None) -> list[Found]:
    """Return what agents found in one environment; the better ones first.

    Runs that differ in their seeds alone are taken together. They are compared after a number of
    evaluations; default: those of the shortest run. Repeats count, unless a run's budget has them
    for free. What is compared are accuracies; or rewards, if these are numbers and rank the
    children in another order, as those that weigh a cost.
    """
    require(bool(runs), "runs: name at least one run folder")
    settings = [_settings(run) for run in runs]
    _check_environments(runs, settings)
    searches: dict[str, dict[int, Children]] = defaultdict(dict)
    for run, name, each in zip(runs, _names(settings), settings, strict=True):
        require(
            each["seed"] not in searches[name],
            f"runs: {run} is the same search as another one, of the seed {each['seed']}; "
            "leave one of them out",
        )
        searches[name][each["seed"]] = children(run)
    every = [each for found in searches.values() for each in found.values()]
    shortest = min(int(each.paid[-1]) if len(each.paid) else 0 for each in every)
    number = shortest if evaluations is None else evaluations
    require(
        1 <= number <= shortest,
        f"evaluations: the shortest of these runs has {shortest}; got {number}",
    )
    by_reward = _rank_otherwise(every)
    compared = {
        agent: [each.up_to(number) for each in found.values()] for agent, found in searches.items()
    }
    shares = iter(dominated_shares([each.rewards for run in compared.values() for each in run]))
    rows = [
        _row(agent, found, number, by_reward, [next(shares) for _ in found])
        for agent, found in compared.items()
    ]
    by_share = not any(math.isnan(row.hypervolume) for row in rows)

    def worth(row: Found) -> float:
        value = row.hypervolume if by_share else row.means[0]
        return -math.inf if math.isnan(value) else value  # no child was trained in full

    return sorted(rows, key=worth, reverse=True)


def _row(
    agent: str, found: Sequence[Children], number: int, by_reward: bool, shares: Sequence[float]
) -> Found:
    """Return what an agent's runs found, by the children compared and their fronts' shares."""
    scores = [each.numbers if by_reward else each.accuracies for each in found]
    tops = [
        best_of(score, each.keys, [len(each.keys)])[0]
        for score, each in zip(scores, found, strict=True)
    ]
    best = np.column_stack([tops, shares])  # (runs, TOPS + 1)
    spread = best.std(axis=0, ddof=1) if len(found) > 1 else np.full(best.shape[1], np.nan)
    *means, share = best.mean(axis=0).tolist()
    *deviations, share_deviation = spread.tolist()
    row = (agent, len(found), number, tuple(means), tuple(deviations), share, share_deviation)
    return Found(*row, metric="reward" if by_reward else found[-1].metric)


def _rank_otherwise(runs: Sequence[Children]) -> bool:
    """Return True if rewards that are numbers rank the children otherwise than accuracies do."""
    if any(each.rewards is not None for each in runs):
        return False
    names = ("accuracies", "numbers")
    return rank_otherwise(*(np.concatenate([getattr(each, n) for each in runs]) for n in names))


def rank_otherwise(accuracies: NDArray[np.float64], rewards: NDArray[np.float64]) -> bool:
    """Return True if rewards, (n,), rank children otherwise than accuracies, (n,), do."""
    order = np.lexsort((rewards, accuracies))
    return bool((np.diff(rewards[order]) < 0).any())


def _settings(run: Path) -> dict[str, Any]:
    """Return the settings of a run, with the agent that ran, and the arguments that it needs."""
    settings, record = load_record(run)
    own: dict[str, Any] = {"agent": record.get("chosen_agent", settings.agent)}
    own["env_arguments"] = environment_arguments(settings, record)
    return {"agent_made_with": {}, **record, **vars(settings), **own}


def _check_environments(runs: Sequence[Path], settings: Sequence[Mapping[str, Any]]) -> None:
    """Raise `InvalidSettings` unless accuracies mean the same in all runs."""
    for run, each in zip(runs, settings, strict=True):
        require(
            each["env_arguments"].get("evaluator") != "weight-sharing" or _lasts(each["env_id"]),
            f"runs: {run} has accuracies under weights that change from epoch to epoch; "
            "compare what such searches end with, trained to the end",
        )
        for name in ("env_id", "env_arguments", "repeats"):
            require(
                each[name] == settings[0][name],
                f"runs: {run} has {name} {each[name]}, and {runs[0]} has {settings[0][name]}; "
                "only searches in the same environment can be compared",
            )


def _lasts(env_id: str) -> bool:
    """Return True if an environment's shared weights are trained once, before all evaluations."""
    from nas_agents.controllers.sharing.shared_weights import SHARING  # noqa: PLC0415 - loads torch

    ids = {each for family in registered_families() for each in family.environments}
    return env_id in ids - {*SHARING}


def _names(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return an agent's name for each run, with those of its arguments that differ."""
    names = []
    for each in settings:
        made, name = each["agent_made_with"], each["agent"]
        others = [other["agent_made_with"] for other in settings if other["agent"] == name]
        differ = [
            f"{argument}={made.get(argument)}"
            for argument in sorted({key for other in others for key in other})
            if any(other.get(argument) != made.get(argument) for other in others)
        ]
        names.append(f"{name} ({', '.join(differ)})" if differ else name)
    return names


def random_accuracies(
    evaluator: Evaluator, search_space: SearchSpace
) -> NDArray[np.float64] | None:
    """Return the validation accuracies of random architectures, (n,).

    Those of every sequence of choices where a table has them all; otherwise, of `SAMPLES` that are
    drawn. Of children that are trained, those recorded with the package; None where there are none.
    """
    if not isinstance(evaluator, Table):
        return recorded_accuracies(evaluator, search_space)
    index, search_space = evaluator.index, evaluator.search_space
    if isinstance(index, ChoicesIndex) and not search_space.conditional:
        rows = index.row_of
    else:
        rng = np.random.default_rng(0)
        rows = evaluator.rows(np.stack([search_space.sample(rng) for _ in range(SAMPLES)]))
    accuracies: NDArray[np.float64] = evaluator.accuracy[rows].astype(np.float64)
    return accuracies


class Band(NamedTuple):
    """Best validation accuracy of random searches after numbers of evaluations, (A,) each."""

    evaluations: list[int]
    mean: list[float]
    low: list[float]
    """One search in ten finds nothing better."""
    high: list[float]
    """One search in ten finds something better."""


def random_band(accuracies: NDArray[np.float64], evaluations: Sequence[int]) -> Band:
    """Return what random searches find that draw from these accuracies, with repeats."""
    numbers = list(evaluations)
    low, high = ([quantile_of_best(accuracies, n, q) for n in numbers] for q in (0.1, 0.9))
    return Band(numbers, [expected_best(accuracies, n) for n in numbers], low, high)


def spaced(most: int, points: int = 40) -> list[int]:
    """Return whole numbers from 1 to ``most``, about evenly spaced by their ratios."""
    return sorted(set(np.geomspace(1, most, points).round().astype(int).tolist())) if most else []
