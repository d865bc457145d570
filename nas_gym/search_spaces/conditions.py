"""Decisions that exist only after some choices: `Decision.when`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import choices_hint, require
from nas_gym.outside.json_text import short


@dataclass(frozen=True)
class Decision:
    """One choice that the controller makes: its name, and a label for each choice."""

    name: str
    choices: tuple[str, ...]
    when: Mapping[str, Collection[str]] = field(default_factory=dict, hash=False)
    """The condition under which the decision exists: for each earlier decision named here, some of
    its labels. Otherwise the first choice is the only valid one. Default: it always exists."""

    def __post_init__(self) -> None:
        if not isinstance(self.choices, str) and isinstance(self.choices, Iterable):
            object.__setattr__(self, "choices", tuple(self.choices))


def exists(decision: Decision, made: Mapping[str, str]) -> bool:
    """Return whether a decision exists after those in ``made``, label by name."""
    return all(made.get(name) in labels for name, labels in decision.when.items())


def check_decisions(decisions: Sequence[Decision], who: str) -> None:
    """Raise `InvalidSettings` unless the decisions are sound."""
    require(bool(decisions), f"{who}: decisions: there are none")
    earlier: dict[str, Decision] = {}
    for decision in decisions:
        named = isinstance(decision, Decision) and isinstance(decision.name, str)
        require(
            named, f"{who}: decisions: expected Decisions with a text as name, got {decision!r}"
        )
        where = f"{who}: decisions: {decision.name!r}"
        require(decision.name not in earlier, f"{where} stands twice")
        _check_labels(decision.choices, f"{where}: choices")
        is_sound = len(set(decision.choices)) == len(decision.choices) > 0
        require(is_sound, f"{where}: choices are empty or a label stands twice")
        mapping = f"{where}: when: expected labels by the names of earlier decisions"
        require(isinstance(decision.when, Mapping), f"{mapping}, got {short(decision.when)}")
        for name, labels in decision.when.items():
            require(name in earlier, f"{where}: {name!r}, on which it depends, is not before it")
            _check_labels(labels, f"{where}: {name!r}")
            for label in labels:
                choices = earlier[name].choices
                hint = choices_hint(label, choices)
                require(label in choices, f"{where}: {name!r} has no choice {label!r}; {hint}")
        earlier[decision.name] = decision


def _check_labels(labels: object, where: str) -> None:
    are_listed = isinstance(labels, Collection) and not isinstance(labels, str)
    require(are_listed, f"{where}: expected a list of labels, got {short(labels)}")


class Conditions:
    """The ``when`` of T sound decisions, compiled.

    A condition is a pair, (later decision, earlier decision it names), that holds after some
    choices of the earlier one, if that exists itself.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        place = {decision.name: step for step, decision in enumerate(decisions)}
        self._under: list[dict[int, NDArray[np.bool_]]] = []
        """For each decision, the earlier ones it names, and under which of their choices."""
        self._ancestors: list[list[int]] = []
        """Each decision and all that its existence depends on, in order."""
        for step, decision in enumerate(decisions):
            under = {}
            for name, labels in decision.when.items():
                earlier = place[name]
                under[earlier] = np.array([c in labels for c in decisions[earlier].choices])
            self._under.append(under)
            above = {each for earlier in under for each in self._ancestors[earlier]}
            self._ancestors.append([*sorted(above), step])

    def exist(self, step: int, prefixes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return in which of N prefixes, (N, t), decision number ``step`` exists: (N,) bool."""
        found: dict[int, NDArray[np.bool_]] = {}
        for each in self._ancestors[step]:
            holds = np.ones(len(prefixes), dtype=np.bool_)
            for earlier, under in self._under[each].items():
                holds &= found[earlier] & under[prefixes[:, earlier]]
            found[each] = holds
        return found[step]

    def existing(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which decisions exist in N sequences, (N, T), valid or not there: (N, T) bool."""
        found = np.ones(choices.shape, dtype=np.bool_)
        for step, needed in enumerate(self._under):
            for earlier, under in needed.items():
                found[:, step] &= found[:, earlier] & under[choices[:, earlier]]
        return found

    def count(self, num_valid: Sequence[int]) -> int:
        """Return the number of valid sequences, given the number of valid choices of each decision.

        It goes through the decisions once, and keeps the number of ways to reach each set of
        conditions that hold and that a decision still to come names.
        """
        needed = [frozenset((step, e) for e in under) for step, under in enumerate(self._under)]
        named_by: list[list[int]] = [[] for _ in num_valid]
        for later, under in enumerate(self._under):
            for earlier in under:
                named_by[earlier].append(later)
        ways = Counter({frozenset[tuple[int, int]](): 1})
        for step, number in enumerate(num_valid):
            added = Counter(
                frozenset((later, step) for later in named_by[step] if self._under[later][step][c])
                for c in range(number)
            )
            reached: Counter[frozenset[tuple[int, int]]] = Counter()
            for held, count in ways.items():
                rest = held - needed[step]
                for new, times in added.items() if needed[step] <= held else [(frozenset(), 1)]:
                    reached[rest | new] += count * times
            ways = reached
        return ways.total()
