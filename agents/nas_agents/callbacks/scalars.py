"""The numbers that a search is watched by, under the names that all programs show them by."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import Any

from nas_agents.runs.callbacks import Callback, Child, Start, Update
from nas_agents.runs.comparison import random_accuracies, random_band
from nas_agents.runs.progress import first_of
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import InvalidSettings
from nas_gym.evaluation.evaluation import COSTS
from nas_gym.rewards import accuracy
from nas_gym.search_spaces import Decision

EVERY = 10
"""Number of children from one count of choices, and of random search's best, to the next."""
LINES = ("mean", "low", "high")
COUNTED = 50
"""Number of children, the last ones, whose choices are counted."""


class ScalarCallback(Callback):
    """Writes scalars by `write`, which a subclass gives.

    | name | holds |
    |---|---|
    | ``search/reward``, ``search/accuracy`` | the child's |
    | ``search/best_accuracy`` | accuracy of the child with the best reward so far |
    | ``search/last_10_accuracy`` | mean of the last ten children |
    | ``cost/...`` | parameters, multiply-adds, ..., where they are counted |
    | ``random/mean``, ``low``, ``high`` | random search's best after as many, where it is known |
    | ``choices/...`` | the share of each choice among the last 50 children |
    | ``agent/reward``, ``agent/entropy`` | of each update |
    | others | the agent's own, such as ``train/loss`` |
    | ``final/test_accuracy`` | of the final training |
    """

    started = False

    def write(self, scalars: dict[str, float], step: int) -> None:
        """Write scalars; ``step`` is the number of children so far."""
        raise NotImplementedError

    def on_start(self, start: Start) -> None:
        self.started, env = True, start.env
        self.decisions = env.search_space.decisions
        self._random = None
        if env.reward is accuracy and start.settings.get("repeats", 1) == 1:
            self._random = random_accuracies(env.memory.evaluator, env.search_space)
        self._choices: deque[Sequence[int]] = deque(maxlen=COUNTED)

    def on_child(self, child: Child) -> None:
        costs = {f"cost/{name}": getattr(child.evaluation, name) for name in COSTS}
        scalars: dict[str, Any] = {
            "search/reward": first_of(child.reward),
            "search/accuracy": child.evaluation.accuracy,
            "search/best_accuracy": child.progress.best_accuracy,
            "search/last_10_accuracy": child.progress.recent_accuracy,
            **{name: float(cost) for name, cost in costs.items() if cost is not None},
        }
        self._choices.append(child.choices.tolist())
        if child.number % EVERY == 0:
            scalars |= self._shares()
            comparable = child.progress.paid and not child.progress.epochs
            if self._random is not None and comparable:
                band = random_band(self._random, [child.progress.paid])
                scalars |= {f"random/{name}": getattr(band, name)[0] for name in LINES}
        self.write(scalars, child.number)

    def on_update(self, update: Update) -> None:
        entropy = {} if update.entropy is None else {"agent/entropy": update.entropy}
        self.write({**update.logs, "agent/reward": update.reward, **entropy}, update.children)

    def on_end(self, result: SearchResult) -> None:
        if self.started and result.final is not None:
            tested = {"final/test_accuracy": result.final.test_accuracy}
            self.write(tested, result.progress.episodes)

    def _shares(self) -> Iterator[tuple[str, float]]:
        for step, decision in enumerate(self.decisions):
            counts = Counter(choices[step] for choices in self._choices)
            for choice, name in enumerate(names_of(decision)):
                yield name, counts[choice] / len(self._choices)


def names_of(decision: Decision) -> list[str]:
    """Return the names of the scalars of a decision's choices."""
    labels = enumerate(decision.choices)
    return [f"choices/{decision.name}/{choice}_{label}" for choice, label in labels]


def imported(extra: str) -> Any:
    """Return the module of an extra that a callback needs; `InvalidSettings` if it is not there."""
    try:
        return import_module(extra)
    except ModuleNotFoundError as error:
        needs = f"callback: it needs the package {error.name}; pip install 'nas-gym[{extra}]'"
        raise InvalidSettings(needs) from error
