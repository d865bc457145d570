"""A run as the report needs it: arrays of its children, read from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_agents.runs.comparison import Band, paid_up_to, random_band, rank_otherwise, spaced
from nas_agents.runs.progress import first_of
from nas_agents.runs.reading import (
    EPISODE,
    EPISODES,
    NUMBER,
    PERHAPS,
    SETTINGS,
    UPDATES,
    broken,
    broken_line,
    is_partial,
    read_episodes,
    wrong_with,
)
from nas_agents.runs.settings import environment_arguments, load_record
from nas_agents.runs.summary import read_summary
from nas_gym.evaluation.evaluation import COSTS

UPDATE = {
    **{"number": (int,), "children": (int,), "reward": NUMBER, "entropy": PERHAPS, "logs": (dict,)}
}
LARGEST = 1e30
WINDOW = 50
"""Number of children, the last ones, whose choices are counted."""
POINTS = 60
"""Number of moments at which they are counted."""


@dataclass(frozen=True)
class Run:
    """A search, with its n children in order."""

    path: Path
    name: str
    """The folder's name, or its path where several have the same."""
    record: Mapping[str, Any]
    """The content of ``settings.json``."""
    env_arguments: Mapping[str, Any]
    """The environment's arguments, with those that the agent needs."""
    summary: Mapping[str, Any] | None
    """The content of ``summary.json``; None while the search is going on."""
    episodes: list[dict[str, Any]]
    """The content of ``episodes.jsonl``."""
    lines: list[dict[str, Any]]
    """Those of the n children that were not trained in part alone."""
    numbers: NDArray[np.int64]
    """The number of each among all children, from 1 on, (n,)."""
    paid: NDArray[np.int64]
    """The number of evaluations in the search's budget up to each, (n,); see `paid_up_to`."""
    updates: list[dict[str, Any]]
    """The content of ``updates.jsonl``."""
    decisions: dict[str, list[str]]
    """Labels of the choices of each of T decisions."""
    choices: NDArray[np.int64]  # (n, T)

    @property
    def agent(self) -> str:
        """Name of the agent that searched."""
        return str(self.record.get("chosen_agent", self.record.get("agent", "")))

    @property
    def metric(self) -> str:
        """Name of the metric of which accuracies are scores."""
        return str(self.lines[0]["metric"]) if self.lines else "accuracy"

    @cached_property
    def accuracies(self) -> NDArray[np.float64]:
        """Validation accuracies, (n,); 0 for children that failed."""
        return np.array([line["accuracy"] for line in self.lines], dtype=np.float64)

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """Rewards, (n,); of vector rewards the first entry."""
        return np.array([first_of(line["reward"]) for line in self.lines], dtype=np.float64)

    @cached_property
    def trained(self) -> NDArray[np.bool_]:
        """True for children that did not fail, (n,)."""
        return np.array([line["status"] == "ok" for line in self.lines], dtype=np.bool_)

    @cached_property
    def costs(self) -> dict[str, NDArray[np.float64]]:
        """Costs that were counted of trained children, (n,) each, nan where one was not."""
        columns = {
            name: np.array([line[name] for line in self.lines], dtype=np.float64) for name in COSTS
        }
        counted = [name for name in COSTS if not np.isnan(columns[name][self.trained]).all()]
        return {name: columns[name] for name in counted}

    @cached_property
    def band(self) -> Band | None:
        """The results of random searches, where the search could know them."""
        held = (self.summary or {}).get("random_band")
        if held is None:
            return None
        wrong = wrong_with(held, dict.fromkeys(Band._fields, (list,)))
        numbers = [] if wrong else [held[name] for name in Band._fields]
        if len({len(column) for column in numbers}) != 1:
            raise broken(self.path / "summary.json", "has no numbers for 'random_band'")
        return Band(*numbers)

    @property
    def band_source(self) -> str:
        """From which children the `band` is known."""
        stored = (self.summary or {}).get("random_stored")
        if type(stored) is int:
            return f"{stored:,} random children in the store"
        trained = "training" in self.record
        return "children recorded with the package" if trained else "the table of all networks"

    @cached_property
    def moments(self) -> list[int]:
        """Numbers of ``lines`` after which choices are counted, at most `POINTS`."""
        least = min(WINDOW, max(1, len(self.lines) // 4))
        return sorted(set(np.linspace(least, len(self.lines), POINTS).round().astype(int).tolist()))

    @cached_property
    def evaluations(self) -> list[int]:
        """Numbers of all children at `moments`."""
        return [int(self.numbers[moment - 1]) for moment in self.moments]

    def shares(self, decision: int) -> NDArray[np.float64]:
        """Return the share of each of k choices among the last children at `moments`, (M, k)."""
        number = len(list(self.decisions.values())[decision])
        width = self.moments[0]
        made = self.choices[:, decision]
        counts = [np.bincount(made[at - width : at], minlength=number) for at in self.moments]
        return np.array(counts) / width


def read_run(path: Path, name: str) -> Run:
    """Read a run's folder.

    Raises:
        InvalidRunFolder: the folder holds no run, or a broken one.
    """
    settings, record = load_record(path)
    every = read_episodes(path / EPISODES, EPISODE)
    numbers = [number for number, line in enumerate(every, 1) if not is_partial(line)]
    lines = [every[number - 1] for number in numbers]
    updates: list[dict[str, Any]] = []
    if (path / UPDATES).exists():
        updates = read_episodes(path / UPDATES, UPDATE)
        for number, each in enumerate(updates, 1):
            if not all(type(value) in NUMBER for value in each["logs"].values()):
                raise broken_line(path / UPDATES, number, "has logs that are no numbers")
            _require_moderate(path / UPDATES, number, each)
    decisions = _decisions(path, record)
    choices = _choices(path, dict(zip(numbers, lines, strict=True)), decisions)
    places = np.array(numbers, dtype=np.int64)
    paid = paid_up_to(every, settings.repeats_are_free)[places - 1]
    parts = (every, lines, places, paid, updates, decisions, choices)
    arguments, summary = environment_arguments(settings, record), read_summary(path)
    if summary is not None and summary["episodes"] != len(every):
        summary = None  # of the search before it went on
    return Run(path, name, record, arguments, summary, *parts)


def read_runs(paths: Sequence[Path]) -> list[Run]:
    """Read the folders of runs, which get names of their own; see `read_run`."""
    names = [path.resolve().name for path in paths]
    return [
        read_run(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


def band_of(runs: list[Run]) -> tuple[Band, str] | None:
    """Return what random searches find, and where that is known from; None if it is not.

    It is known where random children are recorded, in a table, with the package or in a run's
    store. Otherwise, random searches are drawn from the children of those among the runs. Runs in
    several environments have no band.
    """
    places = [(r.record["env_id"], r.env_arguments, r.record.get("repeats")) for r in runs]
    if len({json.dumps(place, sort_keys=True) for place in places}) > 1:
        return None
    bands = [(r.band, f"random search, from {r.band_source}") for r in runs if r.band is not None]
    if bands:
        return max(bands, key=lambda each: each[0].evaluations[-1])
    drawn = [run for run in runs if run.agent == "random" and len(run.lines)]
    if not drawn:
        return None
    accuracies = np.concatenate([run.accuracies for run in drawn])
    most = max(int(run.paid.max(initial=0)) for run in runs)
    where = f"random search, drawn from {len(accuracies):,} random children"
    return random_band(accuracies, spaced(most)), where


def rewards_rank(runs: Sequence[Run]) -> bool:
    """Return True if the runs have one reward, a number, and it ranks otherwise than accuracy."""
    asked = {json.dumps(run.env_arguments.get("reward")) for run in runs}
    vectors = any(isinstance(line["reward"], list) for run in runs for line in run.lines)
    if len(asked) != 1 or vectors:
        return False
    names = ("accuracies", "rewards")
    columns = ([getattr(run, name)[run.trained] for run in runs] for name in names)
    return rank_otherwise(*map(np.concatenate, columns))


def _require_moderate(file: Path, number: int, line: Mapping[str, Any]) -> None:
    """Raise `InvalidRunFolder` for a number that is too large to be drawn."""
    for name, value in line.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, int | float) and abs(each) > LARGEST:
                raise broken_line(file, number, f"has a number beyond {LARGEST:g} for {name!r}")


def _decisions(path: Path, record: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return the decisions, from ``settings.json``."""
    decisions: Any = record.get("decisions")
    sound = isinstance(decisions, dict) and all(
        isinstance(labels, list) and labels and all(isinstance(label, str) for label in labels)
        for labels in decisions.values()
    )
    if not sound or not decisions:
        raise broken(path / SETTINGS, "has no 'decisions', each with its choices' labels")
    found: dict[str, list[str]] = decisions
    return found


def _choices(
    path: Path, lines: Mapping[int, dict[str, Any]], decisions: Mapping[str, list[str]]
) -> NDArray[np.int64]:
    """Return the choices of n children, (n, T), whose lines are given by their numbers."""
    numbers = np.array([len(labels) for labels in decisions.values()])
    rows = np.zeros((len(lines), len(numbers)), dtype=np.int64)
    for place, (number, line) in enumerate(lines.items()):
        _require_moderate(path / EPISODES, number, line)
        row = line["choices"]
        sound = len(row) == len(numbers) and all(type(choice) is int for choice in row)
        if not (sound and all(0 <= c < k for c, k in zip(row, numbers.tolist(), strict=True))):
            raise broken_line(path / EPISODES, number, f"has no {len(numbers)} valid 'choices'")
        rows[place] = row
    return rows
