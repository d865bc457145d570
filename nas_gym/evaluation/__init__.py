"""`Evaluation`, the record; `Evaluator`, the protocol; the memory and the budget. No torch here."""

from nas_gym.evaluation.budget import Budget, Limits
from nas_gym.evaluation.evaluation import (
    NOT_REPEATED,
    NUMBERS,
    Evaluation,
    Evaluations,
    Listed,
    Status,
)
from nas_gym.evaluation.evaluator import Evaluator, RecordedEvaluator
from nas_gym.evaluation.memory import Finished, Memory, memory_of
from nas_gym.evaluation.metric import Metric, shown

__all__ = [
    "NOT_REPEATED",
    "NUMBERS",
    "Budget",
    "Evaluation",
    "Evaluations",
    "Evaluator",
    "Finished",
    "Limits",
    "Listed",
    "Memory",
    "Metric",
    "RecordedEvaluator",
    "Status",
    "memory_of",
    "shown",
]
