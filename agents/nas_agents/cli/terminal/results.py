"""Results of searches and trainings, in lines of text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nas_agents.runs.progress import Progress
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import counted
from nas_gym.evaluation import shown
from nas_gym.rendering import write

WORST = 3
"""Number of classes whose test accuracy is printed; ``summary.json`` has all."""


def named(split: str, score: float, metric: str) -> str:
    """Return a score with the name of its split: "test accuracy 97.31%"."""
    if metric == "accuracy":
        return f"{split} accuracy {shown(score)}"
    return f"{split}: {shown(score, metric)}"


def by_class(accuracies: Mapping[str, float], majority: float) -> str:
    """Return the worst classes' test accuracies, and the accuracy of the most frequent answer."""
    worst = sorted(accuracies, key=lambda name: accuracies[name])[:WORST]
    named = ", ".join(f"{name} {accuracies[name]:.2%}" for name in worst)
    return f"  worst classes: {named}; always the most frequent class: {majority:.2%}"


def _best(summary: Mapping[str, Any]) -> list[str]:
    """Return which architecture is the best, by which evaluations."""
    best, held = summary["best"], summary["finalists"]
    child = "chosen by the agent" if best["episode"] is None else f"child {best['episode']}"
    metric = best.get("metric", "accuracy")
    measured = named("validation", best["validation_accuracy"], metric)
    line = f"best: {best['key'][:8]}, {child}, {measured}"
    if held is None:
        return [line]
    standing = held["standing"]
    single = max(standing, key=lambda row: (row["accuracies"][0], -row["episode"]))
    return [
        f"{line} (mean of {held['seeds'] + 1} evaluations, best of "
        f"{counted(len(standing), 'finalist')})",
        f"best single evaluation: child {single['episode']}, "
        f"{shown(single['accuracies'][0], metric)}, and "
        f"{shown(single['validation_accuracy'], metric)} by its mean",
    ]


def _resumed(result: SearchResult) -> list[str]:
    """Return what became of the episodes that an earlier process recorded, where that is all."""
    if result.verified:
        return [f"verified: {counted(result.verified, 'episode')} came out as recorded"]
    before = "this search was finished before; nothing was left to evaluate"
    return [before] if result.finished_before else []


def _without_best(progress: Progress) -> str:
    """Return why there is no best child."""
    if not progress.episodes:
        return "no child was evaluated"
    if progress.statuses["ok"]:
        return "no child was trained to the end"
    return "no child could be evaluated; episodes.jsonl in the run folder says why"


def describe(result: SearchResult) -> str:
    """Return the results of a search, in lines of text."""
    progress, summary = result.progress, result.summary
    lines = [
        *_resumed(result),
        f"{counted(progress.episodes, 'child')} in {summary['search_seconds']:.0f} s "
        f"({summary['evaluations']['made']} evaluated, {summary['failed']} failed); "
        f"stopped by: {result.stopped_by}",
    ]
    if progress.best_architecture is None:
        lines.append(_without_best(progress))
    else:
        lines += [write(progress.best_architecture), *_best(summary)]
    front = summary.get("front")
    if front is not None:
        lines.append(
            f"front: {counted(len(front['members']), 'child')} by "
            f"{', '.join(front['objectives'])}; hypervolume {front['hypervolume']:.2%} "
            "(summary.json, front.png)"
        )
    if summary["random_search"] is not None:
        lines.append(
            "random search, as many evaluations: "
            f"{shown(summary['random_search'], progress.metric)} on average"
        )
    final = summary["final"]
    if final is not None:
        lines.append(
            f"retrained for {counted(final['epochs'], 'epoch')} in {final['seconds']:.0f} s: "
            f"{named('test', final['test_accuracy'], final['metric'])}, "
            f"{final['parameters']:,} parameters"
        )
        if final["class_accuracies"]:
            lines.append(by_class(final["class_accuracies"], final["majority"]))
    elif summary["test_accuracy"] is not None:
        epochs = summary["test_epochs"]
        after = "" if epochs is None else f" after {counted(epochs, 'epoch')}"
        lines.append(f"recorded test accuracy{after}: {summary['test_accuracy']:.2%}")
    return "\n".join([*lines, f"run folder: {result.run}"])
