"""`Budget`, the evaluations and seconds that a search has spent, and `Limits`, where it ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nas_gym.errors import require
from nas_gym.evaluation.evaluation import Evaluation
from nas_gym.settings import LARGEST, Above0, Positive, from_mapping, settings


@dataclass
class Budget:
    """Evaluations and seconds that a search has spent so far."""

    asked: int = 0
    """Evaluations asked for."""
    made: int = 0
    """Evaluations really made; the others were answered from memory, or from a store."""
    seconds: float = 0.0
    """Seconds of training in the evaluations made."""

    def count(self, evaluation: Evaluation) -> None:
        """Add an evaluation, if it was really made."""
        if not evaluation.cached:
            self.made += 1
            self.seconds += evaluation.seconds


@settings
class Limits:
    """The budget at which a search ends: when the first of these limits is reached.

    Raises:
        InvalidSettings: no limit is given, or one is not above 0.
    """

    asked: Positive | None = None
    """Evaluations asked for, those answered from memory included."""
    made: Positive | None = None
    """Evaluations really made."""
    seconds: Above0 | None = None
    """Seconds of training after which no further network is begun; in a recorded benchmark, of the
    training that was recorded."""

    def __post_init__(self) -> None:
        require(any(vars(self).values()), f"limits: give at least one of {', '.join(vars(self))}")

    @classmethod
    def of(cls, given: Limits | Mapping[str, Any] | None) -> Limits | None:
        """Return the limits that a mapping of their fields describes; None for none.

        Raises:
            InvalidSettings: a field is not known, or not valid.
        """
        if given is None or isinstance(given, Limits):
            return given
        return from_mapping(cls, "limits", given)

    def spent(self, budget: Budget) -> bool:
        """Return True once a limit has been reached."""
        return (
            (self.asked is not None and budget.asked >= self.asked)
            or (self.made is not None and budget.made >= self.made)
            or (self.seconds is not None and budget.seconds >= self.seconds)
        )

    def room(self, budget: Budget) -> int:
        """Return the number of evaluations that may be asked for now, while seconds are left."""
        if self.spent(budget):
            return 0
        left = (self.asked or LARGEST) - budget.asked, (self.made or LARGEST) - budget.made
        return min(left)
