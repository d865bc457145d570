"""How a search stands, and when it is over."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from nas_agents.runs.reading import is_partial, reading_line
from nas_agents.runs.settings import SearchSettings
from nas_gym import Architecture
from nas_gym.evaluation.evaluation import COSTS
from nas_gym.pareto import Front, Member

FROM_EVALUATION = (
    *("accuracy", "status", "cached", "seconds"),
    *(*COSTS, "message", "metric", "value"),
)
"""The fields of an `Evaluation` that ``episodes.jsonl`` has."""
COMPARED = 10
"""Number of children at the beginning, and at the end, whose mean accuracies are compared."""
MOST_REPEATS = 500
"""Number of children in a row that cost nothing of a budget of evaluations or simulated seconds,
after which a search has converged."""
StopReason = Literal[
    "episodes",
    "evaluations",
    "converged",
    "seconds",
    "simulated_seconds",
    "target_accuracy",
    "failures",
    "diverged",
    "interrupted",
]
UNFINISHED: tuple[StopReason, ...] = ("failures", "diverged", "interrupted")
"""The reasons after which nothing is chosen, and nothing trained to the end."""


@dataclass
class Progress:
    """How a search stands: its counts, and its best architecture so far.

    Children that were trained for a part of their epochs are counted, and no more: they are no best
    ones, and their accuracies are not compared with those of full trainings.
    """

    episodes: int = 0
    resumed: int = 0
    """Number of these that an earlier process recorded."""
    started: float = field(default_factory=time.perf_counter)
    best_reward: Any = float("-inf")
    """A number, or the list of a vector reward; the first objective says which is best."""
    best_accuracy: float = 0.0
    best_episode: int | None = None
    best_architecture: Architecture | None = None
    best_evaluation: dict[str, Any] = field(default_factory=dict)
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=COMPARED))
    """Accuracies of the last ten children."""
    first: list[float] = field(default_factory=list)
    """Accuracies of the first ten children."""
    whole: int = 0
    """Number of children that were not trained in part alone."""
    epochs: Counter[str] = field(default_factory=Counter)
    """Number of trainings by their epochs, where children are trained in parts."""
    statuses: Counter[str] = field(default_factory=Counter)
    made: int = 0
    """Evaluations really made; the others were answered from memory, or from the store."""
    repeats_in_a_row: int = 0
    """Number of the last children, if none of them was really evaluated."""
    unpaid_in_a_row: int = 0
    """Number of the last children, if none of them took seconds of training."""
    training_seconds: float = 0.0
    """Seconds of training in the evaluations made."""
    failures_in_a_row: int = 0
    """Number of the last evaluations made, if all of them failed; those beyond a limit or a record
    do not count."""
    last_failure: str = ""
    front: Front | None = None
    """The Pareto front, where there are several objectives."""
    repeats_are_free: bool = False
    """True if the search's budget is of evaluations that are really made, or of their seconds."""

    @property
    def seconds(self) -> float:
        """Seconds since the search started; of a resumed one, those of its processes together.

        The time of a process that was killed, after its last episode, does not count.
        """
        return time.perf_counter() - self.started

    @property
    def paid(self) -> int:
        """Number of children that count in the budget: all, unless repeats are free."""
        return self.made if self.repeats_are_free else self.episodes

    @property
    def recent_accuracy(self) -> float:
        """Mean accuracy of the last ten children."""
        return sum(self.recent) / len(self.recent) if self.recent else 0.0

    @property
    def first_accuracy(self) -> float:
        """Mean accuracy of the first ten children."""
        return sum(self.first) / len(self.first) if self.first else 0.0

    @property
    def metric(self) -> str:
        """Name of the metric of which accuracies here are scores; see `nas_gym.evaluation`."""
        return str(self.best_evaluation.get("metric", "accuracy"))

    @property
    def failed(self) -> int:
        """Number of children that failed."""
        return self.episodes - self.statuses["ok"]

    @classmethod
    def of(cls, records: Iterable[Mapping[str, Any]], file: Path) -> Progress:
        """Return the progress of a search that ended before, from the lines of its file alone."""
        progress = cls()
        for number, record in enumerate(records, start=1):
            with reading_line(file, number):
                progress.add(record)
            progress.resumed += 1
        return progress

    def add(self, record: Mapping[str, Any]) -> bool:
        """Count an episode, given as its line in ``episodes.jsonl``; return True if it is best."""
        self.started = time.perf_counter() - record["elapsed"]
        self.episodes += 1
        part = is_partial(record)
        if "epochs" in record:
            self.epochs[str(record["epochs"])] += 1
        if not part:
            self.whole += 1
            self.recent.append(record["accuracy"])
            if len(self.first) < COMPARED:
                self.first.append(record["accuracy"])
        self.statuses[record["status"]] += 1
        self.repeats_in_a_row += 1
        self.unpaid_in_a_row += 1
        if not record["cached"]:
            self.made, self.repeats_in_a_row = self.made + 1, 0
            self.training_seconds += record["seconds"]
            self.unpaid_in_a_row *= record["seconds"] == 0
        if record["status"] == "ok":
            self.failures_in_a_row = 0
        elif not record["cached"] and record["status"] not in ("over_limit", "unrecorded"):
            self.failures_in_a_row += 1
            self.last_failure = f"{record['status']}: {record['message'] or 'no message'}"
        if record["status"] != "ok" or part:
            return False
        if self.front is not None:
            vector = self.front.objectives.of_record(record)
            self.front.add(Member(vector, record["architecture"], self.episodes))
        if as_vector(record["reward"]) <= as_vector(self.best_reward):
            return False
        best = Architecture.from_json(record["architecture"])
        self.choose(best, record["reward"], record, self.episodes)
        return True

    def choose(
        self,
        architecture: Architecture,
        reward: Any,
        evaluation: Mapping[str, Any],
        episode: int | None = None,
    ) -> None:
        """Make an architecture the best, whatever the episodes were worth; ``episode`` is its."""
        self.best_architecture, self.best_episode = architecture, episode
        self.best_reward, self.best_accuracy = reward, evaluation["accuracy"]
        self.best_evaluation = {name: evaluation[name] for name in FROM_EVALUATION}


def first_of(reward: Any) -> float:
    """Return a reward, or the first entry of a vector reward."""
    return float(reward[0] if isinstance(reward, list) else reward)


def as_vector(reward: Any) -> list[float]:
    """Return a reward as a list, by which the better one of two is the larger one.

    Of two networks that are equal in the first objectives, the next one decides, so the best
    network is on the front.
    """
    return reward if isinstance(reward, list) else [reward]


def reached(limits: SearchSettings, progress: Progress) -> StopReason | None:
    """Return why a search ends after the episode added last; None if it goes on."""
    accuracy = progress.recent[-1] if progress.recent else 0.0
    by_seconds = limits.simulated_seconds and not limits.evaluations
    free = progress.unpaid_in_a_row if by_seconds else progress.repeats_in_a_row
    spent: dict[StopReason, tuple[float, float | None]] = {
        "target_accuracy": (accuracy, limits.target_accuracy),
        "episodes": (progress.episodes, limits.episodes),
        "evaluations": (progress.made, limits.evaluations),
        "converged": (free, limits.repeats_are_free and MOST_REPEATS),
        "seconds": (progress.seconds, limits.seconds),
        "simulated_seconds": (progress.training_seconds, limits.simulated_seconds),
        "failures": (progress.failures_in_a_row, limits.max_failures),
    }
    over = (why for why, (value, limit) in spent.items() if limit and value >= limit)
    return next(over, None)
