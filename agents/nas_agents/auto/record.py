"""What an interrupted `nas-gym auto` goes on with: its plan, and the time that it took."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nas_agents.auto.plan import Plan
from nas_agents.runs.callbacks import Callback, Child, Start
from nas_agents.runs.reading import NUMBER, broken, read_json, wrong_with
from nas_agents.runs.run_folder import written_in
from nas_gym.errors import NASGymError, require
from nas_gym.outside.files import replacing

AUTO, EVERY = "auto.json", 5.0
"""File of a run with its plan and the time that it took, and the seconds between two writings."""
KEPT = {
    **{"dataset": (str,), "minutes": NUMBER, "plan": (dict,), "searching": NUMBER, "spent": NUMBER}
}
"""Types of what it has."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C in a run that can be resumed: ``args[0]`` is its folder."""


@dataclass
class Record(Callback):
    """Keeps in ``auto.json`` what a resumed run goes on with; ``spent`` are seconds so far."""

    run: Path
    started: float
    facts: dict[str, Any]
    written: float = 0.0

    def on_start(self, start: Start) -> None:
        self.write()

    def on_child(self, child: Child) -> None:
        self.write(EVERY)

    def on_final_epoch(self, epoch: int, epochs: int) -> None:
        self.facts["ends"] = epochs
        self.write(EVERY)

    @property
    def ends(self) -> int | None:
        """Number of epochs to which the final training was fitted; None before its first one."""
        ends = self.facts.get("ends")
        return ends if type(ends) is int else None

    def write(self, every: float = 0.0) -> None:
        """Write the file, unless that was done in the last seconds.

        Raises:
            InvalidRunFolder: it cannot be written.
        """
        spent = time.monotonic() - self.started
        if spent - self.written >= every:
            self.written = spent
            with written_in(self.run), replacing(self.run / AUTO) as part:
                part.write_text(json.dumps({**self.facts, "spent": spent}), encoding="utf-8")


def resumed(
    run: Path | None, given: Mapping[str, Any], device: str, begun: float
) -> tuple[Plan, Record]:
    """Return the plan and the record of an interrupted run, which was begun as is ``given``.

    ``device`` is "auto" or that of the plan, whose sizes follow from its speed.
    """
    require(run is not None, "resume: say which run, by --run DIR")
    assert run is not None
    require((run / AUTO).exists(), f"run: {run} has no {AUTO} to go on with; start another one")
    facts = read_json(run / AUTO)
    wrong = wrong_with(facts, KEPT)
    if wrong:
        raise broken(run / AUTO, wrong)
    for name, value in given.items():
        same = facts.get(name) == value
        require(same, f"{name}: {run} was begun with {facts.get(name)!r}, got {value!r}; give that")
    try:
        plan = Plan.from_dict(facts["plan"])
        require(plan.data["dataset"] == given["dataset"], "its data set is another one")
        planned = plan.data["device"]
    except (KeyError, IndexError, TypeError, NASGymError) as error:
        raise broken(run / AUTO, f"has no plan ({error})") from error
    says = f"device: {run} was begun on {planned!r}, got {device!r}; give that, or none"
    require(device in ("auto", planned), says)
    return plan, Record(run, begun - facts["spent"], facts)
