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
`nas_gym.networks.build_network` makes a network of it; see ``examples/own_task.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from nas_gym.architecture import (
    Architecture,
    InvalidArchitecture,
    expect_fields,
    expect_label,
    expect_mapping,
)
from nas_gym.errors import choices_hint
from nas_gym.outside.json_text import short_name
from nas_gym.search_spaces.base import DecisionsSketch, SearchSpace
from nas_gym.search_spaces.conditions import Decision, exists
from nas_gym.settings import validated


@dataclass(frozen=True, init=False)
class CustomArchitecture(Architecture, Mapping[str, str], kind="custom"):
    """The labels that were chosen, by the names of their decisions; a subclass names these.

    Raises:
        InvalidArchitecture: a decision is missing, unknown, or does not exist under the others, or
            a label is not one of its choices.
    """

    decisions: ClassVar[tuple[Decision, ...]] = ()
    """The decisions, in the order in which they are made."""

    labels: tuple[tuple[str, str], ...]
    """(name of the decision, label of the choice), in the order of `decisions`."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        expect_mapping(labels, "choices")
        made: dict[str, str] = {}
        for decision in self.decisions:
            name = decision.name
            if exists(decision, made):
                if name not in labels:
                    raise InvalidArchitecture(f"choices: {name!r} is missing")
                expect_label(labels[name], decision.choices, f"choices.{name}")
                made[name] = labels[name]
        for name in labels:
            if name not in made:
                known = [decision.name for decision in self.decisions]
                hint = "it does not exist here" if name in known else choices_hint(name, known)
                where = f"choices: {short_name(name)!r}"
                raise InvalidArchitecture(f"{where} is not to be decided; {hint}")
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
        return cls(body["choices"])


class CustomSearchSpace(SearchSpace[CustomArchitecture]):
    """The decisions of a `CustomArchitecture`, in their order."""

    @validated
    def __init__(self, architecture_type: type[CustomArchitecture], name: str = "") -> None:
        self.architecture_type = architecture_type
        super().__init__(name or architecture_type.__name__, architecture_type.decisions)

    def _decode(self, choices: list[int]) -> CustomArchitecture:
        made: CustomArchitecture = self.architecture_type(self.made(choices))
        return made

    def _encode(self, architecture: CustomArchitecture) -> list[int]:
        return [
            d.choices.index(architecture[d.name]) if d.name in architecture else 0
            for d in self.decisions
        ]
