"""`RecordedEnv`: the environment of a recorded benchmark, from plain arguments. No torch here."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from nas_gym.env import NASEnv
from nas_gym.envs.page import Alternative, Argument, arguments_of, id_of, page, unknown
from nas_gym.errors import require, unknown_argument
from nas_gym.rewards import AnyReward
from nas_gym.search_spaces import SearchSpace
from nas_gym.settings import require_known
from nas_gym.tables import Table

BUDGETS = {"evaluations": "made", "simulated-seconds": "seconds"}
"""Fields of `nas_gym.evaluation.Limits`, by what a budget counts."""
ABOUT = """\
What is recorded is looked up, and nothing is trained: the budget's `seconds` are those of the
recorded training. What was looked up before is paid for once."""


class RecordedEnv(NASEnv):
    """An environment whose children are looked up in a recorded benchmark.

    A subclass names its search space and ``recorded``; its docstring has the sections of its page
    that are its own (see `nas_gym.envs.page`). All arguments are plain JSON-able values.

    Args:
        reward, render_mode, limits, observation, info: As in `NASEnv`.
        budget: `"evaluations"` or `"simulated-seconds"`: what `limit` counts.
        limit: The budget, in the place of `limits`; default: none.
        **arguments: Of ``recorded``.

    Raises:
        UnknownArgument: an argument is not known.
        InvalidSettings: an argument is not valid.
        InvalidTable: the benchmark cannot be had, or has not recorded this.
    """

    search_space_type: ClassVar[Callable[[], SearchSpace]]
    evaluators: ClassVar[tuple[str, ...]] = ("recorded",)
    recorded: ClassVar[Callable[..., Table]]
    """Loads the benchmark; a static method."""

    def __init__(
        self,
        reward: str | Mapping[str, Any] | AnyReward = "accuracy",
        render_mode: str | None = None,
        limits: Mapping[str, Any] | None = None,
        observation: str = "choices",
        info: str = "records",
        budget: str = "evaluations",
        limit: float | None = None,
        **arguments: Any,
    ) -> None:
        require_known([budget], BUDGETS, "budget: ")
        known = self.arguments()
        for name in arguments:
            if name not in known:
                where = "of an environment whose children are recorded"
                raise unknown_argument(arguments, unknown(name, known, where))
        if "training_seed" not in inspect.signature(self.recorded).parameters:
            arguments.pop("training_seed", None)
        table = self.recorded(**arguments)
        if limit is not None:
            require(limits is None, "limit: `limits` are given too; leave out one of the two")
            limits = {BUDGETS[budget]: limit}
        else:
            require(budget == "evaluations", f"limit: how many {budget}? name a number")
        parts = (self.default_search_space(), table, reward, render_mode, limits)
        super().__init__(*parts, observation, info)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        own = cls.__doc__ or ""
        if "## Description" in own:
            kinds = [Alternative("recorded", ABOUT, cls.arguments())]
            cls.__doc__ = page(own, id_of(cls), cls.default_search_space(), kinds)

    @classmethod
    def default_search_space(cls) -> SearchSpace:
        """Return the search space of every environment of this class."""
        return cls.search_space_type()

    @classmethod
    def arguments(cls, evaluator: str = "recorded") -> dict[str, Argument]:
        """Return the arguments of the benchmark, with their defaults."""
        every = {
            "training_seed": Argument(0, "no effect: the benchmark's trainings are recorded"),
            "budget": Argument("evaluations", 'or `"simulated-seconds"`: what `limit` counts'),
            "limit": Argument(None, "the budget, in the place of `limits`"),
        }
        return {**every, **arguments_of(cls.recorded)}
