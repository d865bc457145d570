"""Weights & Biases (https://wandb.ai): settings, scalars, the drawing of each new best."""

from __future__ import annotations

from typing import Any

from nas_agents.callbacks.scalars import ScalarCallback, imported
from nas_agents.runs.callbacks import Child, Start
from nas_agents.runs.progress import UNFINISHED
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import InvalidSettings
from nas_gym.rendering import draw


class WandB(ScalarCallback):
    """Logs a search to Weights & Biases (extra ``wandb``).

    Without a network, ``WandB(mode="offline")`` writes to a folder that ``wandb sync`` uploads.

    Args:
        **init: Arguments of ``wandb.init``; the run's name is the run folder's by default.
    """

    def __init__(self, **init: Any) -> None:
        self.init, self.wandb = {"project": "nas_gym", **init}, imported("wandb")
        self.run: Any = None

    def on_start(self, start: Start) -> None:
        super().on_start(start)
        named = {"name": start.run.resolve().name, **self.init}
        try:
            self.run = self.wandb.init(config=dict(start.settings), **named)
        except self.wandb.Error as error:
            says = f"callback: Weights & Biases does not start ({error}); or set WANDB_MODE=offline"
            raise InvalidSettings(says) from error

    def write(self, scalars: dict[str, float], step: int) -> None:
        self.run.log(scalars, step=step)

    def on_child(self, child: Child) -> None:
        super().on_child(child)
        if child.is_best:
            self.run.log({"best": self.wandb.Image(draw(child.architecture))}, step=child.number)

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
