"""The progress of a search: a live bar on a terminal, lines of text elsewhere."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from nas_agents.search.progress import Progress
from nas_agents.search.settings import SearchSettings
from nas_agents.search.summary import SearchResult
from nas_gym.rendering import write

LINES = 10
"""Number of lines that a search prints where there is no terminal."""


class Display:
    """Children trained, the best so far, the last ones' accuracy, and the time left.

    Everything goes to standard error; standard output is for results.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.console = Console(stderr=True, highlight=False)
        self.live = self.console.is_terminal
        self.bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self.live,
        )
        self.total = float(settings.episodes or settings.seconds or 0) or None
        self.search_bar: TaskID | None = None
        self.final_bar: TaskID | None = None
        self.shown = 0

    def __enter__(self) -> Display:
        self.bars.start()
        self.search_bar = self.bars.add_task("search", total=self.total, status="starting")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bars.stop()

    def episode(self, progress: Progress) -> None:
        """Show that a child was trained."""
        self.shown += 1
        if self.shown == 1 and progress.resumed:
            self.console.print(f"resumed after {progress.resumed} children", soft_wrap=True)
        of = f"/{self.settings.episodes}" if self.settings.episodes else ""
        status = (
            f"{progress.episodes}{of} children  best {progress.best_accuracy:.2%}  "
            f"last {len(progress.recent)}: {progress.recent_accuracy:.2%}"
        )
        done = progress.episodes if self.settings.episodes else progress.seconds
        assert self.search_bar is not None
        self.bars.update(self.search_bar, completed=done, status=status)
        every = max(1, (self.settings.episodes or LINES * 10) // LINES)
        if not self.live and (progress.episodes % every == 0 or self.shown == 1):
            self.console.print(f"{progress.seconds:6.0f} s  {status}", soft_wrap=True)

    def final_epoch(self, epoch: int, epochs: int) -> None:
        """Show that an epoch of the final training is done."""
        if self.final_bar is None:
            self.final_bar = self.bars.add_task("final training", total=epochs, status="")
        self.bars.update(self.final_bar, completed=epoch, status=f"epoch {epoch}/{epochs}")
        if not self.live and epoch in (1, epochs):
            self.console.print(f"final training: epoch {epoch}/{epochs}", soft_wrap=True)


def describe(result: SearchResult) -> str:
    """Return the results of a search, in lines of text."""
    progress, summary = result.progress, result.summary
    counts = summary["evaluations"]
    lines = [
        f"{progress.episodes} children in {summary['search_seconds']:.0f} s "
        f"({counts['made']} trained, {summary['failed']} failed); stopped by: {result.stopped_by}"
    ]
    if result.finished_before:
        lines.insert(0, "this search was finished before; nothing was left to evaluate")
    if progress.best_architecture is None:
        why = "; episodes.jsonl in the run folder says why" if progress.episodes else ""
        lines.append(f"no child could be trained{why}")
    else:
        lines.append(write(progress.best_architecture))
        chosen = progress.best_episode is None
        lines.append(
            f"best: {progress.best_architecture.key[:8]}, "
            f"{'chosen by the agent' if chosen else f'child {progress.best_episode}'}, "
            f"validation accuracy {progress.best_accuracy:.2%}"
        )
    if summary["random_search"] is not None:
        lines.append(
            f"random search, as many evaluations: {summary['random_search']:.2%} on average"
        )
    final = summary["final"]
    if final is not None:
        lines.append(
            f"retrained for {final['epochs']} epochs in {final['seconds']:.0f} s: "
            f"test accuracy {final['test_accuracy']:.2%}, {final['parameters']:,} parameters"
        )
    elif summary["test_accuracy"] is not None:
        lines.append(f"recorded test accuracy: {summary['test_accuracy']:.2%}")
    if summary["final_failure"]:
        lines.append(f"the final training failed: {summary['final_failure']}")
    return "\n".join([*lines, f"run folder: {result.run}"])
