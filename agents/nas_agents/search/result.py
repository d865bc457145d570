"""`SearchResult`: what a search found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_agents.search.progress import Progress, StopReason
from nas_gym.training.final import FinalResult


@dataclass(frozen=True)
class SearchResult:
    """Result of a search, new or resumed."""

    run: Path
    stopped_by: StopReason
    progress: Progress
    final: FinalResult | None
    """None where there was no final training, or it failed, or an earlier process did it."""
    summary: dict[str, Any]
    """The content of ``summary.json``."""
    finished_before: bool = False
    """True if a resumed search had been finished, except perhaps for its final training."""

    @property
    def complaint(self) -> str:
        """The reason why a search stopped after failures, or because its weights diverged."""
        if self.stopped_by == "diverged":
            return (
                f"the shared weights diverged after {self.progress.episodes} children: their loss "
                "is not finite any more, and under them no child can be evaluated. What was "
                f"recorded is in {self.run}; start another run with a lower learning rate (--set "
                "learning_rate=0.01), or with clipped gradients (--set gradient_clip=5)"
            )
        return (
            f"{self.progress.failures_in_a_row} children in a row failed, so the settings are "
            f"likely wrong; the last one: {self.progress.last_failure}. What was recorded is in "
            f"{self.run}; --max-failures allows more"
        )
