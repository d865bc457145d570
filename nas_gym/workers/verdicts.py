"""Verdicts: the evaluation of a child whose worker was lost, or another attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.workers.protocol import (
    Child,
    SeededEvaluator,
    WorkerGone,
    WorkerLost,
    WorkersFailed,
    failed_evaluations,
)

ATTEMPTS = 3
"""Number of workers that a child may lose to deaths that may come from outside, before the child is
blamed for them."""
STARTS, LATER_STARTS = 5, 100
"""Number of workers in a row that may die before they are ready: at first, when most likely none
will ever be, and after one has been, when something from outside must be ending them."""


def verdict(
    evaluator: SeededEvaluator,
    child: Child,
    error: BaseException,
    suspicious: Callable[[Sequence[str]], int],
) -> list[Evaluation] | None:
    """Return the evaluations of a child whose worker raised an error; None to try it again.

    ``suspicious`` counts the deaths, of those on these machines, that the child may have caused.
    """
    status: Status = "crashed"
    message = f"{type(error).__name__}: {error}"
    if isinstance(error, WorkerLost):
        if error.blame is None:
            child.deaths.append(error.machine)
        deaths = suspicious(child.deaths)
        if error.blame is False or (error.blame is None and deaths < ATTEMPTS):
            return None
        status, message = error.status, str(error)
        message += "" if error.blame else f" ({deaths} times)"
    assert child.started is not None
    how = (status, child.started, message, child.epochs)
    return failed_evaluations(evaluator, child.architecture, child.repeats, *how)


class Starts:
    """Counts workers that ended before they were ready, and ends the pool when that is hopeless."""

    def __init__(self) -> None:
        self._failed, self._allowed = 0, STARTS

    def succeeded(self) -> None:
        """Note that a worker is ready."""
        self._failed, self._allowed = 0, LATER_STARTS

    def failed(self, error: BaseException, left: int) -> WorkersFailed | None:
        """Note that a worker ended before it was ready; return why none can go on, if none can."""
        self._failed += not isinstance(error, WorkerGone)
        if isinstance(error, WorkersFailed):
            return error
        if not left:
            return WorkersFailed(f"workers: none is left, since the last one is gone: {error}")
        if self._failed >= self._allowed:
            return WorkersFailed(
                f"workers: {self._failed} of them ended before they were ready ({error}); "
                "what they printed says why. A script that makes workers needs "
                '`if __name__ == "__main__":`'
            )
        return None
