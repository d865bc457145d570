"""`Budget`: the evaluations and the seconds that a search has spent."""

from __future__ import annotations

from dataclasses import dataclass

from nas_gym.evaluation.evaluation import Evaluation


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
