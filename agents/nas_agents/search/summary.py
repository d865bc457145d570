"""What ``summary.json`` says of a search."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path
from typing import Any, get_args

from nas_agents.search.comparison import random_best
from nas_agents.search.recorder import Progress, Recorder, StopReason
from nas_agents.search.run_folder import (
    NUMBER,
    PERHAPS,
    SUMMARY,
    Kinds,
    broken,
    read_json,
    wrong_with,
)
from nas_gym import Evaluator
from nas_gym.tables.table import Table
from nas_gym.training.final import FinalResult
from nas_gym.training.settings import TrainingSettings

NEEDED: dict[str, Kinds] = {
    **{"stopped_by": (str,), "evaluations": (dict,), "failed": (int,), "search_seconds": NUMBER},
    **{"final": (dict, type(None)), "final_failure": (str,)},
    **{"test_accuracy": PERHAPS, "random_search": PERHAPS},
}
NEEDED_OF_EVALUATIONS: dict[str, Kinds] = {"made": (int,)}
NEEDED_OF_FINAL: dict[str, Kinds] = {
    "test_accuracy": NUMBER,
    "parameters": (int,),
    "epochs": (int,),
    "seconds": NUMBER,
}
"""What a resumed search, and who tells of it, needs of ``summary.json``."""


def summary_of(recorder: Recorder, evaluator: Evaluator) -> dict[str, Any]:
    """The summary of a search without its final training.

    The counts are those of ``episodes.jsonl``: evaluations asked for are made or cached, and the
    statuses are of all of them. ``random_search`` is the best validation accuracy that random
    search finds with as many evaluations, on average; null where it would have to train children,
    or where the reward is another.

    Args:
        recorder: Which recorded the search.
        evaluator: The environment's.
    """
    progress = recorder.progress
    return {
        "stopped_by": recorder.stopped_by or "episodes",
        "episodes": progress.episodes,
        "evaluations": {
            "asked": progress.episodes,
            "made": progress.made,
            "cached": progress.episodes - progress.made,
            "seconds": progress.training_seconds,
        },
        "statuses": dict(progress.statuses),
        "failed": progress.failed,
        "last_failure": progress.last_failure,
        "best": _best(progress),
        "random_search": _random_search(recorder, evaluator),
        "final": None,
        "final_failure": "",
        "test_accuracy": _recorded_test_accuracy(evaluator, progress),
        "search_seconds": progress.seconds,
        "seconds": progress.seconds,
    }


def read_summary(run: Path) -> dict[str, Any] | None:
    """What a run's ``summary.json`` holds; None if there is none.

    Raises:
        InvalidRunFolder: it lacks what a resumed search needs of it, or cannot be read.
    """
    file = run / SUMMARY
    if not file.exists():
        return None
    summary: dict[str, Any] = read_json(file)
    wrong = wrong_with(summary, NEEDED) or wrong_with(summary["evaluations"], NEEDED_OF_EVALUATIONS)
    if not wrong and summary["final"] is not None:
        wrong = wrong_with(summary["final"], NEEDED_OF_FINAL)
    if not wrong and summary["stopped_by"] not in get_args(StopReason):
        wrong = f"has {summary['stopped_by']!r} for 'stopped_by'"
    if wrong:
        raise broken(file, wrong)
    return summary


def with_final(
    summary: dict[str, Any],
    final: FinalResult | None,
    settings: TrainingSettings,
    failure: str,
    seconds: float,
) -> dict[str, Any]:
    """A summary with what came of the final training.

    Args:
        summary: The search's.
        final: The result, if there is one.
        settings: How it was trained.
        failure: What went wrong, if anything did.
        seconds: Of the search and the final training together.
    """
    summary = {**summary, "final_failure": failure, "seconds": seconds}
    if final is None:
        return summary
    record = {
        "test_accuracy": final.test_accuracy,
        "parameters": final.parameters,
        "epochs": final.epochs,
        "seconds": final.seconds,
        "training": asdict(settings),
    }
    return {**summary, "final": record, "test_accuracy": final.test_accuracy}


def _best(progress: Progress) -> dict[str, Any] | None:
    if progress.best_architecture is None:
        return None
    evaluation = progress.best_evaluation
    return {
        "episode": progress.best_episode,
        "key": progress.best_architecture.key,
        "reward": progress.best_reward,
        "validation_accuracy": progress.best_accuracy,
        "parameters": evaluation["parameters"],
        "multiply_adds": evaluation["multiply_adds"],
        "latency": evaluation["latency"],
    }


def _random_search(recorder: Recorder, evaluator: Evaluator) -> float | None:
    if recorder.settings.env_arguments.get("reward", "accuracy") != "accuracy":
        return None
    return random_best(evaluator, recorder.progress.episodes)


def _recorded_test_accuracy(evaluator: Evaluator, progress: Progress) -> float | None:
    """The best architecture's test accuracy in a recorded benchmark, which no agent was given."""
    best = progress.best_architecture
    if best is None or not isinstance(evaluator, Table):
        return None
    accuracy = evaluator.test_accuracy(best)
    return None if math.isnan(accuracy) else accuracy
