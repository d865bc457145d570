"""Weights & Biases (https://wandb.ai): settings, scalars, the drawing of each new best."""

from __future__ import annotations

from typing import Any

from nas_agents.callbacks.scalars import ScalarCallback
from nas_agents.runs.callbacks import Child, Start
from nas_agents.runs.progress import UNFINISHED
from nas_agents.runs.summary import SearchResult
from nas_gym.rendering import draw


class WandB(ScalarCallback):
    """Logs a search to Weights & Biases (extra ``wandb``).

    Without a network, ``WandB(mode="offline")`` writes to a folder that ``wandb sync`` uploads.

    Args:
        **init: Arguments of ``wandb.init``; the run's name is the run folder's by default.
    """

    def __init__(self, **init: Any) -> None:
        self.init = {"project": "nas_gym", **init}
        self.run: Any = None

    def on_start(self, start: Start) -> None:
        import wandb  # noqa: PLC0415

        super().on_start(start)
        named = {"name": start.run.resolve().name, **self.init}
        self.run = wandb.init(config=dict(start.settings), **named)

    def write(self, scalars: dict[str, float], step: int) -> None:
        self.run.log(scalars, step=step)

    def on_child(self, child: Child) -> None:
        import wandb  # noqa: PLC0415

        super().on_child(child)
        if child.is_best:
            self.run.log({"best": wandb.Image(draw(child.architecture))}, step=child.number)

    def on_failure(self, error: BaseException) -> None:
        if self.run is not None:
            self.run.finish(exit_code=1)

    def on_end(self, result: SearchResult) -> None:
        super().on_end(result)
        if self.run is None:
            return
        names = ("stopped_by", "episodes", "test_accuracy")
        self.run.summary.update({name: result.summary[name] for name in names})
        self.run.finish(exit_code=int(result.stopped_by in UNFINISHED))
