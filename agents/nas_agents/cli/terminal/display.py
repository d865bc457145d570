"""The progress of a search: a live bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.progress import TaskID, TextColumn
from typing_extensions import Self

from nas_agents.cli.terminal.common import plain, progress_bars
from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.progress import COMPARED, Progress
from nas_agents.runs.settings import SearchSettings
from nas_agents.runs.summary import SearchResult
from nas_gym.data.dataset import Dataset
from nas_gym.evaluation import shown
from nas_gym.rendering import write
from nas_gym.training.tasks.task import Data

LINES = 10
"""Number of lines that a search prints where there is no terminal."""
MOST_CLASSES = 20
"""Number of classes up to which the images of each are printed."""
WORST = 3
"""Number of classes whose test accuracy is printed; ``summary.json`` has all."""


class FinalDisplay(Callback):
    """The final training: epochs done, and the time left.

    Everything goes to standard error; standard output is for results.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self.bars = progress_bars(self.console, TextColumn("{task.fields[status]}"))
        self.final_bar: TaskID | None = None
        self.first_epoch, self.first_ended = 0, 0.0

    def __enter__(self) -> Self:
        return self  # the bars start after the reading of images, which has a bar of its own

    def __exit__(self, *_: object) -> None:
        self.bars.stop()

    def on_dataset(self, dataset: Data) -> None:
        """Show how a data set was read, so that a wrong reading is seen before the training."""
        for line in described(dataset):
            self.console.print(plain(line), markup=False, soft_wrap=True)
        self.bars.start()

    def on_notice(self, line: str) -> None:
        """Show what the user should know before the work begins."""
        self.console.print(plain(line), markup=False, soft_wrap=True)

    def on_trial(self, number: int, accuracy: float | None, settings: Mapping[str, Any]) -> None:
        """Show a trial of the tuning; one without an accuracy was stopped."""
        worth = "stopped" if accuracy is None else f"validation accuracy {accuracy:.2%}"
        values = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in settings.items()
        )
        self.console.print(f"trial {number}: {worth}; {values}", soft_wrap=True)

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        """Show that an epoch of the final training is done."""
        self.bars.start()
        status = f"epoch {epoch}/{epochs}"
        if self.final_bar is None:  # the first one also warms up: what is left follows the others
            self.final_bar = self.bars.add_task("final training", status="")
            self.first_epoch, self.first_ended = epoch, time.perf_counter()
        self.bars.update(self.final_bar, total=epochs, completed=epoch, status=status)
        done = epoch - self.first_epoch
        if self.bars.disable and (
            done < 2 or epoch == epochs or epoch % max(1, epochs // LINES) == 0
        ):
            left = (time.perf_counter() - self.first_ended) / max(1, done) * (epochs - epoch)
            about = f", about {left:.0f} s left" if done and epoch < epochs else ""
            self.console.print(f"final training: {status}{about}", soft_wrap=True)


class Display(FinalDisplay):
    """Children trained, the best so far, the last ones' accuracy, and the time left."""

    def __init__(self, settings: SearchSettings) -> None:
        super().__init__()
        self.settings, self.shown = settings, 0
        counted = settings.episodes or settings.evaluations
        total = float(counted or settings.seconds or 0) or None
        self.search_bar = self.bars.add_task("search", total=total, status="starting")

    def on_child(self, child: Child) -> None:
        """Show that a child was trained."""
        self.bars.start()
        progress = child.progress
        self.shown += 1
        if self.shown == 1 and progress.resumed:
            self.console.print(f"resumed after {progress.resumed} children", soft_wrap=True)
        episodes, evaluations = self.settings.episodes, self.settings.evaluations
        paid = f" ({progress.made}/{evaluations} evaluated)" if evaluations else ""
        status = (
            f"{progress.episodes}{f'/{episodes}' if episodes else ''} children{paid}  "
            f"best {shown(progress.best_accuracy, progress.metric)}  "
            f"last {len(progress.recent)}: {shown(progress.recent_accuracy, progress.metric)}"
            f"{_against_first(progress)}"
        )
        done = progress.made if evaluations else progress.seconds
        done = progress.episodes if episodes else done
        self.bars.update(self.search_bar, completed=done, status=status)
        every = max(1, (episodes or LINES * 10) // LINES)
        if self.bars.disable and (progress.episodes % every == 0 or self.shown == 1):
            self.console.print(f"{progress.seconds:6.0f} s  {status}", soft_wrap=True)


def described(dataset: Data) -> list[str]:
    """Return how a data set was read, in lines of text."""
    facts = dataset.summary()
    if not isinstance(dataset, Dataset):
        return [f"data: {dataset.name}", *(f"{name}: {value}" for name, value in facts.items())]
    counts = facts["classes"]
    height, width, channels = facts["shape"]
    train, validation, test = facts["split"]
    named = [f"{name} {number:,}" for name, number in counts.items()]
    if len(named) > MOST_CLASSES:
        fewest, most = min(counts.values()), max(counts.values())
        named = [f"{len(named):,} of {fewest:,} to {most:,} images"]
    lines = [
        f"data: {dataset.name}, {facts['images']:,} images of {height}x{width}x{channels}; "
        f"{train:,} to train, {validation:,} to validate, {test:,} to test; "
        f"always the most frequent class: {facts['majority']:.2%}",
        f"classes: {', '.join(named)}",
    ]
    lines += [f"{subject}: {text}" for subject, text in dataset.chosen.items()]
    if facts["skipped"]:
        lines.append(f"skipped: {', '.join(facts['skipped'])}")
    lines += facts["shared"]
    return lines


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


def _against_first(progress: Progress) -> str:
    """Return the comparison with the first children, once the last ones are others."""
    if progress.episodes < 2 * COMPARED or progress.metric != "accuracy":
        return ""
    change = 100 * (progress.recent_accuracy - progress.first_accuracy)
    return f" ({change:+.1f} points over the first {COMPARED})"


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
        f"{line} (mean of {held['seeds'] + 1} trainings, best of {len(standing)} finalists)",
        f"best single evaluation: child {single['episode']}, "
        f"{shown(single['accuracies'][0], metric)}, and "
        f"{shown(single['validation_accuracy'], metric)} by its mean",
    ]


def describe(result: SearchResult) -> str:
    """Return the results of a search, in lines of text."""
    progress, summary = result.progress, result.summary
    lines = [
        f"{progress.episodes} children in {summary['search_seconds']:.0f} s "
        f"({summary['evaluations']['made']} trained, {summary['failed']} failed); "
        f"stopped by: {result.stopped_by}"
    ]
    if result.finished_before:
        lines.insert(0, "this search was finished before; nothing was left to evaluate")
    if progress.best_architecture is None:
        why = "; episodes.jsonl in the run folder says why" if progress.episodes else ""
        lines.append(f"no child could be trained{why}")
    else:
        lines += [write(progress.best_architecture), *_best(summary)]
    front = summary.get("front")
    if front is not None:
        lines.append(
            f"front: {len(front['members'])} children by {', '.join(front['objectives'])}; "
            f"hypervolume {front['hypervolume']:.2%} (summary.json, front.png)"
        )
    if summary["random_search"] is not None:
        lines.append(
            f"random search, as many evaluations: {summary['random_search']:.2%} on average"
        )
    final = summary["final"]
    if final is not None:
        lines.append(
            f"retrained for {final['epochs']} epochs in {final['seconds']:.0f} s: "
            f"{named('test', final['test_accuracy'], final['metric'])}, "
            f"{final['parameters']:,} parameters"
        )
        if final["class_accuracies"]:
            lines.append(by_class(final["class_accuracies"], final["majority"]))
    elif summary["test_accuracy"] is not None:
        epochs = summary["test_epochs"]
        after = "" if epochs is None else f" after {epochs} epochs"
        lines.append(f"recorded test accuracy{after}: {summary['test_accuracy']:.2%}")
    return "\n".join([*lines, f"run folder: {result.run}"])
