"""`BenchmarkEnv`: the environments of published benchmarks, whose children need no training."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, choices_hint, require_arguments
from nas_gym.family_env import TrainingEnv
from nas_gym.rewards import Reward
from nas_gym.tables.table import Table

EVALUATORS = ("trained", "recorded")


class BenchmarkEnv(TrainingEnv):
    """An environment of a published benchmark: its children are trained here, or looked up there.

    A subclass names, beside what a `TrainingEnv` names, what loads the benchmark.

    Args:
        dataset: As in `TrainingEnv`; of the benchmark, one that it recorded.
        evaluator: "trained", or "recorded" to look up what the benchmark recorded.
        reward: A function of the `Evaluation`, or the name of one in `nas_gym.rewards`.
        render_mode: As in `NASEnv`.
        **arguments: As in `TrainingEnv`; of the benchmark, the arguments of ``recorded``. A
            ``seed`` is taken then too, and has no effect.

    Raises:
        InvalidSettings, InvalidDataset: an argument is not known or not valid.
        InvalidTable: the benchmark cannot be had, or has recorded nothing of the kind.
    """

    recorded: ClassVar[Callable[..., Table]]
    """Loads the benchmark; a static method."""

    def __init__(
        self,
        dataset: str | None = None,
        evaluator: str = "trained",
        reward: str | Mapping[str, Any] | Reward = "accuracy",
        render_mode: str | None = None,
        **arguments: Any,
    ) -> None:
        if evaluator not in EVALUATORS:
            hint = choices_hint(evaluator, EVALUATORS)
            raise InvalidSettings(f"evaluator: {evaluator!r} is not known; {hint}")
        if dataset is not None:
            arguments["dataset"] = dataset
        if evaluator == "trained":
            super().__init__(reward=reward, render_mode=render_mode, **arguments)
            return
        arguments.pop("seed", None)
        known = inspect.signature(self.recorded).parameters
        require_arguments(arguments, known, "is no argument of a recorded evaluation")
        table = self.recorded(**arguments)
        NASEnv.__init__(self, self.default_search_space(), table, reward, render_mode)
