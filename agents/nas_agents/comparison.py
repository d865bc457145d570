"""Searches beside each other, at equal numbers of evaluations: ``nas-gym compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_agents.random_search import expected_best
from nas_agents.run_folder import EPISODES, SETTINGS, InvalidRunFolder, read_json
from nas_gym import Architecture, Evaluator
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation.table import ChoicesIndex, Table

TOPS = (1, 5, 25)
"""Of the best architecture, of the best 5, and of the best 25: as in NASNet's figure (Zoph et al.
2018, https://arxiv.org/abs/1707.07012, section 4.4)."""
SAMPLES = 10_000
"""Random architectures looked up, where a table has too many to look all of them up."""


@dataclass(frozen=True)
class Found:
    """What the searches of one agent found after as many evaluations."""

    agent: str
    runs: int
    evaluations: int
    means: tuple[float, ...]
    """Mean validation accuracy, in [0, 1], of the best of each of `TOPS`, over the runs."""
    deviations: tuple[float, ...]
    """Between the runs; NaN where there is one."""


def children(run: Path) -> tuple[NDArray[np.float64], list[str]]:
    """The validation accuracies of a run's children, (n,), and their keys, in the agent's order.

    Raises:
        InvalidRunFolder: the folder holds no run.
    """
    file = run / EPISODES
    if not file.is_file():
        raise InvalidRunFolder(f"run: {run} is no run folder: there is no {EPISODES} in it")
    whole = [line for line in file.read_text(encoding="utf-8").splitlines(True) if line[-1] == "\n"]
    records = [json.loads(line) for line in whole]
    keys = [Architecture.from_json(record["architecture"]).key for record in records]
    return np.array([record["accuracy"] for record in records]), keys


def best_of(
    accuracies: NDArray[np.float64], keys: Sequence[str], at: Sequence[int]
) -> NDArray[np.float64]:
    """Means of the best architectures after each of A numbers of evaluations: (A, `TOPS`).

    An architecture counts once, however often it was asked for, at its best accuracy.
    """
    rows = []
    for number in at:
        best: dict[str, float] = {}
        for key, accuracy in zip(keys[:number], accuracies[:number].tolist(), strict=True):
            best[key] = max(accuracy, best.get(key, 0.0))
        ranked = np.sort(list(best.values()))[::-1]
        rows.append([float(ranked[:top].mean()) for top in TOPS])
    return np.array(rows)


def compare(runs: Sequence[Path], evaluations: int | None = None) -> list[Found]:
    """What agents found in one environment; the better ones first.

    Args:
        runs: Run folders; those of one agent are taken together.
        evaluations: After how many; default: as many as the shortest run has.

    Raises:
        InvalidRunFolder: a folder holds no run.
        InvalidSettings: the runs are in different environments, or not so long.
    """
    require(bool(runs), "runs: name at least one run folder")
    first: dict[str, Any] = {}
    of_agent: dict[str, list[tuple[NDArray[np.float64], list[str]]]] = {}
    for run in runs:
        settings = read_json(run / SETTINGS)
        if settings is None:
            raise InvalidRunFolder(f"run: {run} is no run folder: there is no {SETTINGS} in it")
        first = first or settings
        for name in ("env_id", "env_arguments", "repeats"):
            if settings[name] != first[name]:
                raise InvalidSettings(
                    f"runs: {run} has {name} {settings[name]}, and {runs[0]} has {first[name]}; "
                    "only searches in the same environment can be compared"
                )
        of_agent.setdefault(settings["agent"], []).append(children(run))
    shortest = min(len(keys) for found in of_agent.values() for _, keys in found)
    number = shortest if evaluations is None else evaluations
    require(
        1 <= number <= shortest,
        f"evaluations: the shortest of these runs has {shortest}; got {number}",
    )
    rows = []
    for agent, found in of_agent.items():
        each = np.array([best_of(*one, [number])[0] for one in found])  # (runs, TOPS)
        spread = each.std(axis=0, ddof=1) if len(each) > 1 else np.full(len(TOPS), np.nan)
        means, deviations = each.mean(axis=0).tolist(), spread.tolist()
        rows.append(Found(agent, len(each), number, tuple(means), tuple(deviations)))
    return sorted(rows, key=lambda row: -row.means[0])


def random_best(evaluator: Evaluator, evaluations: int) -> float | None:
    """The best validation accuracy of so many random architectures, on average.

    Exact where a table knows every sequence of choices; otherwise, from `SAMPLES` that are drawn.
    None where the evaluator is no table: random search would have to train its children.
    """
    if not isinstance(evaluator, Table) or evaluations < 1:
        return None
    index, search_space = evaluator.index, evaluator.search_space
    if isinstance(index, ChoicesIndex) and not search_space.conditional:
        rows = index.row_of
    else:
        rng = np.random.default_rng(0)
        rows = evaluator.rows(np.stack([search_space.sample(rng) for _ in range(SAMPLES)]))
    return expected_best(evaluator.accuracy[rows], evaluations)
