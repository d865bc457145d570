"""A `ConcurrentEvaluator` whose evaluations end when a test says so, and a child evaluator."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from nas_gym.architecture import Architecture
from nas_gym.evaluation.evaluation import Evaluation, Status


def evaluation_of(architecture: Architecture, repeat: int = 0, status: Status = "ok") -> Evaluation:
    """What an architecture is worth; it follows from its key and the repeat."""
    accuracy = (int(architecture.key, 16) % 1_000 + repeat) / 2_000 if status == "ok" else 0.0
    curve = (accuracy / 2, accuracy) if status == "ok" else (0.1,)
    message = "" if status == "ok" else f"{status} in repeat {repeat}"
    return Evaluation(
        status, accuracy, curve, 1.5 + repeat, repeat, "settings", 10, 100, message=message
    )


class ManualWorkers:
    """Two workers; `finish` ends the evaluation that was asked for longest ago."""

    workers = 2
    fingerprint = "settings"

    def __init__(self) -> None:
        self.asked: list[tuple[Architecture, int]] = []
        self.under_way: list[tuple[Future[Evaluation], Architecture, int]] = []
        self.closed = False

    def network_key(self, architecture: Architecture) -> str:
        return architecture.key

    def submit(self, architecture: Architecture, repeat: int = 0) -> Future[Evaluation]:
        future: Future[Evaluation] = Future()
        self.asked.append((architecture, repeat))
        self.under_way.append((future, architecture, repeat))
        return future

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        futures = [self.submit(architecture) for architecture in architectures]
        while self.under_way:
            self.finish()
        return [future.result() for future in futures]

    def finish(self, status: Status = "ok", place: int = 0) -> None:
        future, architecture, repeat = self.under_way.pop(place)
        future.set_result(evaluation_of(architecture, repeat, status))

    def fail(self, error: BaseException) -> None:
        self.under_way.pop(0)[0].set_exception(error)

    def close(self) -> None:
        """Evaluations under way are lost."""
        self.closed = True
        for future, _, _ in self.under_way:
            future.cancel()
        self.under_way.clear()


class Children:
    """A `ChildEvaluator` in this process; by repeat, a status other than ok."""

    fingerprint = "settings"
    costs = ("parameters", "multiply_adds")

    def __init__(self, statuses: dict[int, Status] | None = None) -> None:
        self.statuses = statuses or {}
        self.asked: list[tuple[Architecture, int]] = []

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return repeat

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        self.asked.append((architecture, repeat))
        return evaluation_of(architecture, repeat, self.statuses.get(repeat, "ok"))

    def evaluate(self, architectures: Sequence[Architecture]) -> list[Evaluation]:
        return [self.evaluate_one(architecture) for architecture in architectures]
