"""Callbacks that show a search in other programs: TensorBoard, MLflow, Weights & Biases.

All of them get the same scalars under the same names; see `nas_agents.callbacks.scalars`.
"""

from __future__ import annotations

import importlib.util

from nas_agents.callbacks.mlflow import MLflow
from nas_agents.callbacks.tensorboard import TensorBoard
from nas_agents.callbacks.wandb import WandB
from nas_agents.runs.callbacks import Callback
from nas_gym.errors import InvalidSettings, require
from nas_gym.family import resolve

__all__ = ["MLflow", "TensorBoard", "WandB", "made", "standard_callbacks"]


def standard_callbacks() -> list[Callback]:
    """Return those that watch every search of the command line."""
    return [TensorBoard()] if importlib.util.find_spec("tensorboard") else []


def made(name: str) -> Callback:
    """Make a callback from its name, ``module:Class``.

    Raises:
        InvalidSettings: it cannot be imported, is no callback, or needs arguments or an extra.
    """
    found = resolve(name)
    ours = isinstance(found, type) and issubclass(found, Callback)
    require(ours, f"callback: {name!r} is no subclass of nas_agents.runs.callbacks.Callback")
    try:
        return found()  # type: ignore[no-any-return]
    except TypeError as error:
        raise InvalidSettings(f"callback: {name!r} cannot be made: {error}") from error
