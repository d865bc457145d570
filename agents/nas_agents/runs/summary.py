"""``summary.json``: counts, the best architecture, times."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from nas_agents.runs.comparison import random_accuracies, random_band, spaced
from nas_agents.runs.front import front_record
from nas_agents.runs.progress import Progress, StopReason
from nas_agents.runs.random_children import stored_accuracies
from nas_agents.runs.reading import BEST, NUMBER, PERHAPS, SUMMARY, broken, read_json, wrong_with
from nas_gym import Architecture, Evaluator, InvalidArchitecture, NASEnv
from nas_gym.errors import counted
from nas_gym.evaluation.evaluation import COSTS
from nas_gym.rewards import accuracy
from nas_gym.tables.table import Table
from nas_gym.training.final import FinalResult

NEEDED = {
    **{
        "stopped_by": (str,),
        "episodes": (int,),
        "evaluations": (dict,),
        "failed": (int,),
        "search_seconds": NUMBER,
        "seconds": NUMBER,
    },
    **{"final": (dict, type(None)), "final_failure": (str,), "finalists": (dict, type(None))},
    **{"test_accuracy": PERHAPS, "test_epochs": PERHAPS, "random_search": PERHAPS},
    "best": (dict, type(None)),
}
NEEDED_OF_BEST = {"key": (str,), "episode": (int, type(None)), "validation_accuracy": NUMBER}
NEEDED_OF_FINAL = {
    **{"test_accuracy": NUMBER, "class_accuracies": (dict,), "majority": NUMBER},
    **{"parameters": (int,), "epochs": (int,), "seconds": NUMBER},
    **{"metric": (str,), "test_value": PERHAPS},
}
"""The fields of ``summary.json`` that a resumed search and its display need."""


def summary_of(
    progress: Progress,
    stopped_by: StopReason,
    evaluator: Evaluator,
    env: NASEnv,
    finalists: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the summary of a search without its final training.

    The counts are those of ``episodes.jsonl``: evaluations asked for are made or cached, and the
    statuses are of all of them. ``random_search`` is the best validation accuracy that random
    search finds with as many (`Progress.paid`), on average, and ``random_band`` what with fewer
    (`Band`); null where that is not known (`random_accuracies`, of single trainings, and
    `stored_accuracies`), where the environment's reward is another, or where children were trained
    in parts: then ``epochs`` counts trainings by epochs. ``random_stored`` is the number of random
    children in the store, if they are what is known. ``front`` is null where there is one
    objective. With ``finalists``, the results of `Finalists.decide`, ``best`` has the mean of the
    evaluations.
    """
    return {
        "stopped_by": stopped_by,
        "episodes": progress.episodes,
        "evaluations": {
            "asked": progress.episodes,
            "made": progress.made,
            "cached": progress.episodes - progress.made,
            "seconds": progress.training_seconds,
        },
        "statuses": dict(progress.statuses),
        "epochs": dict(progress.epochs) or None,
        "failed": progress.failed,
        "last_failure": progress.last_failure,
        "best": _best(progress),
        "front": None if progress.front is None else front_record(progress.front),
        **_random_search(progress, evaluator, env),
        "finalists": finalists,
        "final": None,
        "final_failure": "",
        "test_accuracy": _recorded_test_accuracy(evaluator, progress),
        "test_epochs": evaluator.epochs if isinstance(evaluator, Table) else None,
        "search_seconds": progress.seconds,
        "seconds": progress.seconds,
    }


def _random_search(progress: Progress, evaluator: Evaluator, env: NASEnv) -> dict[str, Any]:
    """Return what the summary has of random search; null where it is not known."""
    number = progress.paid
    comparable = env.reward is accuracy and number and not progress.epochs
    single = comparable and getattr(env.memory.evaluator, "repeats", 1) == 1
    random = random_accuracies(evaluator, env.search_space) if single else None
    stored = None
    if random is None and comparable:
        random = stored = stored_accuracies(env.memory.evaluator, env.search_space, number)
    band = None if random is None else random_band(random, spaced(number))
    return {
        "random_search": None if band is None else band.mean[-1],
        "random_band": None if band is None else band._asdict(),
        "random_stored": None if stored is None else len(stored),
    }


def read_summary(run: Path) -> dict[str, Any] | None:
    """Return the content of a run's ``summary.json``; None if there is none."""
    file = run / SUMMARY
    if not file.exists():
        return None
    summary: dict[str, Any] = read_json(file)
    wrong = wrong_with(summary, NEEDED) or wrong_with(summary["evaluations"], {"made": (int,)})
    if not wrong and summary["best"] is not None:
        wrong = wrong_with(summary["best"], NEEDED_OF_BEST)
    if not wrong and summary["final"] is not None:
        wrong = wrong_with(summary["final"], NEEDED_OF_FINAL)
    if not wrong and summary["stopped_by"] not in get_args(StopReason):
        wrong = f"has {summary['stopped_by']!r} for 'stopped_by'"
    if wrong:
        raise broken(file, wrong)
    return summary


def same_best(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Return True if two summaries have the same best architecture."""
    return bool(one["best"] and other["best"]) and one["best"]["key"] == other["best"]["key"]


def read_best(run: Path) -> Architecture | None:
    """Return the best architecture of a run that ended; None if there is none.

    An agent may have chosen another than the best of its episodes.
    """
    best = read_json(run / BEST)
    if best is None:
        return None
    try:
        return Architecture.from_dict(best)
    except InvalidArchitecture as error:
        raise broken(run / BEST, f"is no architecture: {error}") from error


def _best(progress: Progress) -> dict[str, Any] | None:
    if progress.best_architecture is None:
        return None
    return {
        "episode": progress.best_episode,
        "key": progress.best_architecture.key,
        "reward": progress.best_reward,
        "validation_accuracy": progress.best_accuracy,
        "metric": progress.metric,
        "value": progress.best_evaluation["value"],
        **{cost: progress.best_evaluation[cost] for cost in COSTS},
    }


def _recorded_test_accuracy(evaluator: Evaluator, progress: Progress) -> float | None:
    """Return the best architecture's recorded test accuracy, which no agent was given, if any."""
    best = progress.best_architecture
    if best is None or not isinstance(evaluator, Table):
        return None
    accuracy = evaluator.test_accuracy(best)
    return None if math.isnan(accuracy) else accuracy


@dataclass(frozen=True)
class SearchResult:
    """Result of a search, new or resumed."""

    run: Path
    stopped_by: StopReason
    progress: Progress
    final: FinalResult | None
    """None where there was no final training, or it failed, or an earlier process did it."""
    summary: dict[str, Any]
    """The content of ``summary.json``; that has the reason why the search ended where what follows,
    finalists or final training, was interrupted."""
    finished_before: bool = False
    """True if a resumed search had been finished, except perhaps for its final training."""
    verified: int = 0
    """Number of recorded episodes that were repeated, and came out as recorded (``verify``)."""

    @property
    def complaint(self) -> str:
        """The reason why a search stopped after failures, or because its weights diverged."""
        if self.stopped_by == "diverged":
            return (
                f"the shared weights diverged after {counted(self.progress.episodes, 'child')}: "
                "their loss is not finite any more, and under them no child can be evaluated. What "
                f"was recorded is in {self.run}; start another run with a lower learning rate "
                "(--set learning_rate=0.01), or with clipped gradients (--set gradient_clip=5)"
            )
        return (
            f"{counted(self.progress.failures_in_a_row, 'child')} in a row failed, so the settings "
            f"are likely wrong; the last one: {self.progress.last_failure}. What was recorded is "
            f"in {self.run}; --max-failures allows more"
        )
