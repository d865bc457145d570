"""The progress of a search: a status on a terminal, lines of text elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from typing_extensions import Self

from nas_agents.cli.terminal.progress import StatusLine, note
from nas_agents.runs.callbacks import Callback, Child
from nas_agents.runs.progress import COMPARED, Progress
from nas_agents.runs.settings import SearchSettings
from nas_gym.data.dataset import Dataset
from nas_gym.errors import counted
from nas_gym.evaluation import shown
from nas_gym.training.tasks.task import Data

LINES = 10
"""Number of lines that a search prints where there is no terminal."""
MOST_CLASSES = 20
"""Number of classes up to which the images of each are printed."""


class FinalDisplay(Callback):
    """The final training: epochs done, and the time left.

    Everything goes to standard error; standard output is for results.
    """

    def __init__(self) -> None:
        self.line = StatusLine()
        self.first_epoch: int | None = None
        self.first_ended = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.line.close()

    def on_dataset(self, dataset: Data) -> None:
        """Show how a data set was read, so that a wrong reading is seen before the training."""
        for line in described(dataset):
            note(line)

    def on_notice(self, line: str) -> None:
        """Show what the user should know before the work begins."""
        note(line)

    def on_trial(self, number: int, accuracy: float | None, settings: Mapping[str, Any]) -> None:
        """Show a trial of the tuning; one without an accuracy was stopped."""
        worth = "stopped" if accuracy is None else f"validation accuracy {accuracy:.2%}"
        values = ", ".join(
            f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in settings.items()
        )
        note(f"trial {number}: {worth}; {values}")

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        """Show that an epoch of the final training is done."""
        if self.first_epoch is None:  # it also warms up: what is left follows the others
            self.line.close()
            self.first_epoch, self.first_ended = epoch, time.perf_counter()
        status = f"final training: epoch {epoch}/{epochs}"
        done, every = epoch - self.first_epoch, max(1, epochs // LINES)
        on_terminal = self.line.show(status, epoch, epochs)
        if not on_terminal and (done < 2 or epoch == epochs or epoch % every == 0):
            left = (time.perf_counter() - self.first_ended) / max(1, done) * (epochs - epoch)
            about = f", about {left:.0f} s left" if done and epoch < epochs else ""
            note(f"{status}{about}")


class Display(FinalDisplay):
    """Children trained, the best so far, the last ones' accuracy, and the time left."""

    def __init__(self, settings: SearchSettings) -> None:
        super().__init__()
        self.settings, self.shown = settings, 0

    def on_child(self, child: Child) -> None:
        """Show that a child was trained."""
        progress = child.progress
        self.shown += 1
        if self.shown == 1 and progress.resumed:
            note(f"resumed after {counted(progress.resumed, 'child')}")
        status = self._status(progress)
        on_terminal = self.line.show(status, *self._done_of_all(progress))
        every = max(1, (self.settings.episodes or LINES * 10) // LINES)
        if not on_terminal and (progress.episodes % every == 0 or self.shown == 1):
            note(f"{progress.seconds:6.0f} s  {status}")

    def _done_of_all(self, progress: Progress) -> tuple[float, float | None]:
        """Return what is done, and all there is to do, by the limit that says it best."""
        settings = self.settings
        if settings.episodes:
            return progress.episodes, settings.episodes
        if settings.evaluations:
            return progress.made, settings.evaluations
        return progress.seconds, settings.seconds

    def _status(self, progress: Progress) -> str:
        episodes, evaluations = self.settings.episodes, self.settings.evaluations
        done = f"{progress.episodes}/{episodes} children"
        done = done if episodes else counted(progress.episodes, "child")
        paid = f" ({progress.made}/{evaluations} evaluated)" if evaluations else ""
        if not progress.whole:
            return f"{done}{paid}  none trained to the end yet"
        return (
            f"{done}{paid}  "
            f"best {shown(progress.best_accuracy, progress.metric)}  "
            f"last {len(progress.recent)}: {shown(progress.recent_accuracy, progress.metric)}"
            f"{_against_first(progress)}"
        )


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


def _against_first(progress: Progress) -> str:
    """Return the comparison with the first children, once the last ones are others."""
    if progress.whole < 2 * COMPARED or progress.metric != "accuracy":
        return ""
    change = 100 * (progress.recent_accuracy - progress.first_accuracy)
    return f" ({change:+.1f} points over the first {COMPARED})"
