"""`Callback`, which watches a search, and the events that it is called with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import KVWriter

from nas_agents.runs.progress import Progress
from nas_gym import Architecture, Evaluation, NASEnv
from nas_gym.search_spaces import Choices
from nas_gym.training.tasks.task import Data

if TYPE_CHECKING:
    from nas_agents.runs.recorder import Recorder
    from nas_agents.runs.summary import SearchResult


@dataclass(frozen=True)
class Start:
    """A search that is about to begin, or to go on."""

    run: Path
    """The run folder."""
    settings: Mapping[str, Any]
    """The content of ``settings.json``."""
    env: NASEnv
    """Its search space, its reward, and what evaluates its children, without workers and store."""


@dataclass(frozen=True)
class Child:
    """A child that was evaluated."""

    number: int
    """From 1 on, in the order of ``episodes.jsonl``."""
    architecture: Architecture
    choices: Choices  # (T,) int64
    reward: Any
    """A number, or the list of a vector reward."""
    evaluation: Evaluation
    is_best: bool
    """True if no earlier child has so high a reward."""
    progress: Progress
    """The search's, this child included; it goes on to change."""


@dataclass(frozen=True)
class Update:
    """A round of the agent's learning."""

    number: int
    """From 1 on."""
    children: int
    """Number of children evaluated before it."""
    reward: float
    """Mean reward of the children since the last update; of a vector, its first entry."""
    entropy: float | None
    """Mean entropy of the policy's decisions in nats, where the agent logs it."""
    logs: Mapping[str, float]
    """The agent's own logs, under its own names."""


class Callback:
    """Watches a search; a subclass overrides what it needs.

    Methods are called in the search's own process and wait for nothing: a slow one slows the search
    down, and an error in one ends it.

        >>> class Best(Callback):
        ...     def on_child(self, child):
        ...         if child.is_best:
        ...             print(child.number, child.evaluation.accuracy)
    """

    def on_notice(self, line: str) -> None:
        """Take a line, before the search or its final training begins, on what it will do."""

    def on_dataset(self, dataset: Data) -> None:
        """Take the data set, before a network is trained on it."""

    def on_start(self, start: Start) -> None:
        """Take the search that begins; not called where only its final training is left."""

    def on_child(self, child: Child) -> None:
        """Take a child that no earlier process recorded, once it is recorded."""

    def on_update(self, update: Update) -> None:
        """Take an update of the agent; a strategy, which has no policy, makes none."""

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        """Take the number of epochs done, and in all, during the final training."""

    def on_end(self, result: SearchResult) -> None:
        """Take the result, after the final training; an interrupted search has one too."""

    def on_failure(self, error: BaseException) -> None:
        """Take the error that ends the search without a result, and give back what is held."""


class Callbacks(Callback):
    """Several callbacks as one, called in order."""

    def __init__(self, callbacks: Sequence[Callback]) -> None:
        self.callbacks = callbacks


def _calling_each(event: str) -> Callable[..., None]:
    def call(self: Callbacks, *arguments: Any) -> None:
        for each in self.callbacks:
            getattr(each, event)(*arguments)

    return call


for _event in [name for name in vars(Callback) if name.startswith("on_")]:
    setattr(Callbacks, _event, _calling_each(_event))


def entropy_of(logs: Mapping[str, float]) -> float | None:
    """Return the policy's mean entropy from the logs of an algorithm; None if it logs none.

    Stable-Baselines3's algorithms log minus the entropy, as a loss.
    """
    if "train/entropy" in logs:
        return logs["train/entropy"]
    loss = logs.get("train/entropy_loss")
    return None if loss is None else -loss


class PassLogsOn(BaseCallback):
    """Passes what a Stable-Baselines3 algorithm logs on to a search's recorder, as updates."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._writer = _LogWriter(recorder)

    def _on_training_start(self) -> None:
        if self._writer not in self.logger.output_formats:
            self.logger.output_formats.append(self._writer)

    def _on_step(self) -> bool:
        return True


class _LogWriter(KVWriter):
    """A logger's output that goes to the recorder; texts and pictures are left out."""

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def write(self, key_values: dict[str, Any], key_excluded: Any, step: int = 0) -> None:
        numbers = {name: each for name, each in key_values.items() if isinstance(each, Real)}
        self.recorder.update(
            {
                name: float(number)
                for name, number in numbers.items()
                if math.isfinite(number) and "tensorboard" not in (key_excluded[name] or ())
            }
        )

    def close(self) -> None:
        """Leave nothing open."""
