"""A search space of your own: name the decisions, and get its environment.

    class ConvNet(CustomArchitecture, kind="conv-net"):
        decisions = (
            Decision("depth", ("1", "2")),
            Decision("kernel_1", ("3", "5")),
            Decision("kernel_2", ("3", "5"), when={"depth": ("2",)}),
        )

    search_space = CustomSearchSpace(ConvNet)

A `ConvNet` maps the names of its decisions to labels; one that does not exist under what was
chosen before it, ``kernel_2`` in a network of depth 1, is not among them. A builder registered with
`nas_gym.networks.build_network` makes a network of it; see ``examples/own_search_space.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture, InvalidArchitecture, expect_fields, expect_mapping
from nas_gym.errors import choices_hint, require
from nas_gym.search_spaces.base import Choices, Decision, DecisionsSketch, Mask, Masks, SearchSpace


@dataclass(frozen=True, init=False)
class CustomArchitecture(Architecture, Mapping[str, str], kind="custom"):
    """The labels that were chosen, by the names of their decisions; a subclass names these.

    Raises:
        InvalidArchitecture: a decision is missing, unknown, or does not exist under the others, or
            a label is not one of its choices.
    """

    decisions: ClassVar[tuple[Decision, ...]] = ()
    """In the order in which they are made."""

    labels: tuple[tuple[str, str], ...]
    """(name of the decision, label of the choice), in the order of `decisions`."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        made: dict[str, str] = {}
        for decision in self.decisions:
            if exists(decision, made):
                made[decision.name] = _label(decision, labels)
        for name in labels:
            if name not in made:
                known = [decision.name for decision in self.decisions]
                hint = "it does not exist here" if name in known else choices_hint(name, known)
                raise InvalidArchitecture(f"choices: {name!r} is not to be decided; {hint}")
        object.__setattr__(self, "labels", tuple(made.items()))

    def __getitem__(self, name: str) -> str:
        return dict(self.labels)[name]

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self.labels)

    def __len__(self) -> int:
        return len(self.labels)

    def sketch(self) -> DecisionsSketch:
        return DecisionsSketch(self.labels, len(self.decisions))

    def body(self) -> dict[str, Any]:
        return {"choices": dict(self.labels)}

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> CustomArchitecture:
        expect_fields(body, ("choices",), "architecture")
        return cls(expect_mapping(body["choices"], "choices"))


def exists(decision: Decision, made: Mapping[str, str]) -> bool:
    """Whether a decision is to be made after those in ``made``, label by name."""
    return all(made.get(name) in labels for name, labels in decision.when.items())


def _label(decision: Decision, labels: Mapping[str, str]) -> str:
    if decision.name not in labels:
        raise InvalidArchitecture(f"choices: {decision.name!r} is missing")
    label = labels[decision.name]
    if label not in decision.choices:
        hint = choices_hint(label, decision.choices)
        raise InvalidArchitecture(f"choices.{decision.name}: {label!r} is not known; {hint}")
    return label


class CustomSearchSpace(SearchSpace):
    """The decisions of a `CustomArchitecture`, in their order.

    One that does not exist under what was chosen stays in the sequence with its first choice as
    the only valid one.

    Raises:
        InvalidSettings: there is no decision, a name or a label stands twice, or a decision
            depends on one that does not come before it or on a label that this does not have.
    """

    architecture_type: type[CustomArchitecture]

    def __init__(self, architecture_type: type[CustomArchitecture], name: str = "") -> None:
        self.architecture_type = architecture_type
        _check(architecture_type)
        super().__init__(name or architecture_type.__name__, architecture_type.decisions)
        self.conditional = any(decision.when for decision in self.decisions)

    def decode(self, choices: ArrayLike) -> CustomArchitecture:
        return self.architecture_type(self._made(self.check(choices)))

    def encode(self, architecture: Architecture) -> Choices:
        if not isinstance(architecture, self.architecture_type):
            raise InvalidArchitecture(
                f"kind: {architecture.kind!r} is not in the {self.name} search space; "
                f"expected {self.architecture_type.kind!r}"
            )
        chosen = (
            decision.choices.index(architecture[decision.name])
            if decision.name in architecture
            else 0
            for decision in self.decisions
        )
        return np.array(list(chosen), dtype=np.int64)

    def valid_choices(self, prefix: Choices) -> Mask:
        valid = np.ones(self.num_choices[len(prefix)], dtype=np.bool_)
        if not exists(self.decisions[len(prefix)], self._made(prefix)):
            valid[1:] = False
        return valid

    def batched_valid_choices(self, prefixes: NDArray[np.int64]) -> Masks:
        number, step = prefixes.shape
        valid = np.ones((self.num_choices[step], number), dtype=np.bool_).T
        valid[:, 1:] = self._exist(step, prefixes)[:, np.newaxis]
        return valid

    def _exist(self, step: int, prefixes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """In which of N prefixes, (N, t), decision number ``step`` is to be made: (N,) bool."""
        holds = np.ones(len(prefixes), dtype=np.bool_)
        for earlier, under in self._conditions[step]:
            holds &= under[prefixes[:, earlier]] & self._exist(earlier, prefixes)
        return holds

    @cached_property
    def _conditions(self) -> list[list[tuple[int, NDArray[np.bool_]]]]:
        """For each decision, the earlier ones it depends on, and under which of their choices."""
        place = {decision.name: step for step, decision in enumerate(self.decisions)}
        return [
            [
                (step, np.array([choice in labels for choice in self.decisions[step].choices]))
                for step, labels in (
                    (place[name], labels) for name, labels in decision.when.items()
                )
            ]
            for decision in self.decisions
        ]

    def sketch(self, prefix: Choices) -> DecisionsSketch:
        return DecisionsSketch(tuple(self._made(prefix).items()), len(self.decisions))

    @property
    def size(self) -> int:
        named = {name for decision in self.decisions for name in decision.when}

        @cache
        def count(step: int, made: tuple[tuple[str, str], ...]) -> int:
            """Ways to go on from ``step``, after the decisions that later ones depend on."""
            if step == len(self.decisions):
                return 1
            decision = self.decisions[step]
            if not exists(decision, dict(made)):
                return count(step + 1, made)
            if decision.name not in named:
                return len(decision.choices) * count(step + 1, made)
            return sum(count(step + 1, (*made, (decision.name, c))) for c in decision.choices)

        return count(0, ())

    def _made(self, prefix: Choices) -> dict[str, str]:
        """The labels of the decisions in ``prefix`` that exist, by name."""
        made: dict[str, str] = {}
        for decision, choice in zip(self.decisions, prefix, strict=False):
            if exists(decision, made):
                made[decision.name] = decision.choices[choice]
        return made


def _check(architecture_type: type[CustomArchitecture]) -> None:
    """Raise `InvalidSettings` unless the decisions are sound."""
    who = architecture_type.__name__
    require(bool(architecture_type.decisions), f"{who}.decisions: there are none")
    earlier: dict[str, Decision] = {}
    for decision in architecture_type.decisions:
        where = f"{who}.decisions: {decision.name!r}"
        require(decision.name not in earlier, f"{where} stands twice")
        distinct = len(set(decision.choices)) == len(decision.choices) > 0
        require(distinct, f"{where}: choices are empty or a label stands twice")
        for name, labels in decision.when.items():
            require(name in earlier, f"{where}: {name!r}, on which it depends, is not before it")
            for label in labels:
                choices = earlier[name].choices
                hint = choices_hint(label, choices)
                require(label in choices, f"{where}: {name!r} has no choice {label!r}; {hint}")
        earlier[decision.name] = decision
