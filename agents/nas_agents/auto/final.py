"""The final training of `nas-gym auto`: how large, how long, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from nas_agents.auto import rules
from nas_agents.auto.plan import Choice, Plan
from nas_agents.auto.speed import Pace, epoch_seconds
from nas_agents.runs.callbacks import Callback, Callbacks
from nas_gym import Architecture
from nas_gym.training.final import EndAfter, StopTraining
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.presets import final_settings
from nas_gym.training.settings import LearningSettings
from nas_gym.training.tasks.task import Data

EPOCHS, SECONDS = 5, 10.0
"""The last epochs by which the others are estimated: so many, or more that took so long."""


@dataclass(frozen=True)
class Clock:
    """The time of a run."""

    started: float
    """Value of ``time.monotonic()``."""
    seconds: float
    """Time for everything."""
    on_cpu: bool

    @property
    def left(self) -> float:
        """The seconds that are left."""
        return self.started + self.seconds - time.monotonic()

    def end(self, busy: float) -> float:
        """Return the seconds that report and ONNX take on a machine so busy; see `Pace`."""
        usual = max(rules.LEAST_END, rules.END * self.seconds)
        slower = busy if self.on_cpu else 1.0
        return min(usual * slower, max(usual, rules.MOST_END * self.seconds))


def final_choice(
    plan: Plan, architecture: Architecture, child: LearningSettings, dataset: Any, seconds: float
) -> tuple[dict[str, Any], Choice]:
    """Return the arguments of the final training that takes a number of seconds.

    It is the largest network, from the children's on, with time for `rules.FINAL_EPOCHS`.

    Args:
        plan: The plan of the search.
        architecture: The best architecture.
        child: Settings of the children.
        dataset: The data set.
        seconds: Time of the final training, its test, and the comparison of what is exported.
    """
    (fewest, most), skeletons = rules.FINAL_EPOCHS, rules.SKELETONS[plan.env_id]
    best: Choice | None = None
    for place in range(plan.child.place, len(skeletons)):
        settings = final_settings(child, {**skeletons[place], "epochs": 1})
        trainer = NetworkTrainer(dataset, settings, plan.data["device"], final=True)
        each = epoch_seconds(trainer, architecture)
        affordable = int(seconds / (each * rules.SLOWER) - plan.end_epochs)
        if best is not None and affordable < fewest:
            break
        best = Choice(place, each, max(1, min(most, affordable)))
    assert best is not None
    given = {**skeletons[best.place], "epochs": best.epochs}
    if best.epochs >= fewest:
        given["crop_padding"] = min(dataset.images.shape[1:3]) // rules.PADDING
    return given, best


class UntilDeadline(Callbacks):
    """Passes events on, and fits the epochs of the final training to the time that is left.

    The last epochs say how many more there is time for, fewer or more than planned, and how long
    what follows will take. Nothing is shortened in the first seconds, which are slower than others.

    Args:
        callbacks: They are passed all on.
        clock: The time of the run.
        end_epochs: As in `Plan`.
        before: Number of epochs in all to which an interrupted training was fitted; default: none.
    """

    def __init__(
        self,
        callbacks: Sequence[Callback],
        clock: Clock,
        end_epochs: float,
        before: int | None = None,
    ) -> None:
        super().__init__(callbacks)
        self.clock, self.end_epochs, self.before = clock, end_epochs, before
        self.paces = [Pace()]
        self.began = self.paces[0].wall
        self.ends: int | None = None

    def on_dataset(self, dataset: Data) -> None:
        """Pass nothing on: the search did."""

    @property
    def busy(self) -> float:
        """How busy the machine was in the last epochs."""
        return self.paces[0].busy

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        planned = self.ends or self.before or epochs
        before, self.ends = self.ends, self._fitting(epoch, planned)
        super().on_final_epoch(epoch, self.ends)
        if self.ends == epoch:
            raise StopTraining
        if self.ends != before:
            raise EndAfter(self.ends)

    def _fitting(self, epoch: int, ends: int) -> int:
        now, busy = Pace(), self.busy
        lasted, left = now.wall - self.began, self.clock.left - self.clock.end(busy)
        took = (now.wall - self.paces[0].wall) / len(self.paces)
        self.paces.append(now)
        while len(self.paces) > EPOCHS and now.wall - self.paces[1].wall >= SECONDS:
            del self.paces[0]
        if epoch == ends or took <= 0:
            return max(epoch, ends)
        more = int(left / took - self.end_epochs)
        fitted = max(epoch, min(max(ends, rules.FINAL_EPOCHS[1]), epoch + more))
        return max(ends, fitted) if lasted < min(SECONDS, left / 4) else fitted
