"""TensorBoard, live: scalars, the drawing of each new best, what is chosen at each decision."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import numpy as np

from nas_agents.callbacks.scalars import ScalarCallback, imported, names_of
from nas_agents.runs.callbacks import Child, Start
from nas_agents.runs.summary import SearchResult
from nas_gym.rendering import draw, write

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

DELAY = 2
"""Seconds until what is written is on disk."""


class TensorBoard(ScalarCallback):
    """Writes TensorBoard's logs, for ``tensorboard --logdir runs`` (extra ``tensorboard``).

    The tab "Custom scalars" has one chart a decision, with a line a choice.

    Args:
        folder: Where to write; default: ``tensorboard`` in the run folder.
    """

    def __init__(self, folder: Path | None = None) -> None:
        imported("tensorboard")
        self.folder = folder
        self.writer: SummaryWriter | None = None

    def on_start(self, start: Start) -> None:
        from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415  # loads slowly

        super().on_start(start)
        folder = self.folder or start.run / "tensorboard"
        self.writer = SummaryWriter(str(folder), flush_secs=DELAY)
        charts = {
            decision.name: [
                "Multiline",
                [f"^{re.escape(tag(name))}$" for name in names_of(decision)],
            ]
            for decision in self.decisions
        }
        best = ["^search/best_accuracy$", "^random/"]
        against = {"best so far and random search": ["Multiline", best]}
        self.writer.add_custom_scalars({"search": against, "choices": charts})

    def write(self, scalars: dict[str, float], step: int) -> None:
        assert self.writer is not None
        for name, value in scalars.items():
            self.writer.add_scalar(tag(name), value, step)

    def on_child(self, child: Child) -> None:
        super().on_child(child)
        if child.is_best:
            assert self.writer is not None
            picture = np.asarray(draw(child.architecture).convert("RGB"))  # (H, W, 3) uint8
            self.writer.add_image("best", picture, child.number, dataformats="HWC")
            code = indent(write(child.architecture), "    ")  # in Markdown
            self.writer.add_text("best", code, child.number)

    def on_failure(self, error: BaseException) -> None:
        if self.writer is not None:
            self.writer.close()

    def on_end(self, result: SearchResult) -> None:
        super().on_end(result)
        if self.writer is not None:
            self.writer.close()


def tag(name: str) -> str:
    """Return a name as TensorBoard allows it."""
    return re.sub(r"[^-/\w.]", "_", name, flags=re.ASCII)
