"""Search spaces: what may be chosen, in which order, and what it means. No torch here.

A search space is a fixed sequence of T decisions. Sequences of choices are numpy arrays of shape
(T,) and of dtype int64, choice c of decision t being an index into ``decisions[t].choices``.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import TypeVar

from nas_gym.architecture import Architecture, InvalidArchitecture
from nas_gym.errors import choices_hint, counted, require
from nas_gym.outside.json_text import short
from nas_gym.search_spaces.actions import Mask, Masks, Rules, rules_of
from nas_gym.search_spaces.conditions import Conditions, Decision, check_decisions, exists

Choices: TypeAlias = NDArray[np.int64]
"""(T,) int64: the index chosen in each decision."""
A_co = TypeVar("A_co", bound=Architecture, covariant=True, default=Architecture)

_MOST_COUNTED = 2**17  # prefixes of one length that `SearchSpace.size` enumerates


@dataclass(frozen=True)
class DecisionsSketch:
    """The decisions made so far, of T, as (name of the decision, label of the choice) pairs."""

    made: tuple[tuple[str, str], ...]
    num_decisions: int  # T


class SearchSpace(ABC, Generic[A_co]):
    """A fixed sequence of decisions and the architecture that a sequence of choices means.

    A subclass calls ``super().__init__(name, decisions)`` and gives `decode` and `encode`; or
    `_decode` and `_encode`, for which the arguments have been checked. A decision that exists only
    after some choices says so by `Decision.when`. Where an earlier choice rules later ones out in
    another way, a subclass overrides `valid_choices`, and `size` where that is too large to count;
    a decision that an earlier one made meaningless keeps one valid choice, so T is fixed.

    Args:
        name: The name of the search space, as texts write it.
        decisions: The T decisions, in order.
        num_valid: Number of valid choices of each decision, from its first on, whatever was
            chosen before; default: all.

    Raises:
        InvalidSettings: there is no decision, a name or a label occurs twice, a decision depends
            on one that does not come before it or on a label that this does not have, or
            ``num_valid`` is not a number from 1 to all choices for each decision.
    """

    architecture_type: type[Any] = Architecture

    def __init__(
        self, name: str, decisions: Sequence[Decision], num_valid: Sequence[int] | None = None
    ) -> None:
        self.name = name
        self.decisions = tuple(decisions)
        check_decisions(self.decisions, name)
        self.num_choices = tuple(len(decision.choices) for decision in self.decisions)
        self.num_actions = max(self.num_choices)
        self.num_valid = self.num_choices if num_valid is None else tuple(num_valid)
        fits = len(self.num_valid) == len(self.num_choices) and all(
            1 <= number <= most
            for number, most in zip(self.num_valid, self.num_choices, strict=True)
        )
        says = f"expected 1 to all of each decision's choices, {short(self.num_choices)}"
        require(fits, f"{name}: num_valid: {says}, got {short(self.num_valid)}")
        self._limits = np.array(self.num_valid)  # (T,) int64
        self._overrides = type(self).valid_choices is not SearchSpace.valid_choices
        some_exist = any(decision.when for decision in self.decisions)
        both = "decisions with `when` and a valid_choices of one's own exclude each other"
        require(not (self._overrides and some_exist), f"{name}: {both}; leave out one of the two")
        self.dependent = tuple(
            step for step, each in enumerate(self.decisions) if self._overrides or each.when
        )
        """Decisions whose valid choices depend on earlier ones; `num_valid` gives the others'."""
        self.conditional = bool(self.dependent)
        """True where valid choices of some decisions depend on earlier ones."""

    def decode(self, choices: ArrayLike) -> A_co:
        """Return the architecture that a complete, valid sequence of choices, (T,), means.

        Raises:
            InvalidArchitecture: the sequence is too short, too long, or not valid.
        """
        return self._decode(self.check(choices).tolist())

    def encode(self, architecture: Architecture) -> Choices:
        """Return the sequence of choices, (T,) int64, that `decode` turns into ``architecture``.

        Raises:
            InvalidArchitecture: the search space does not hold it; the message says why.
        """
        if not isinstance(architecture, self.architecture_type):
            kind = getattr(architecture, "kind", type(architecture).__name__)
            expected = getattr(self.architecture_type, "kind", "an architecture")
            raise InvalidArchitecture(
                f"kind: {kind!r} is not in the {self.name} search space; expected {expected!r}"
            )
        return np.array(self._encode(architecture), dtype=np.int64)

    def _decode(self, choices: list[int]) -> A_co:
        """Return the architecture of choices that are complete and valid."""
        raise NotImplementedError(f"{type(self).__name__} gives neither decode nor _decode")

    def _encode(self, architecture: Any) -> Sequence[int]:
        """Return the T choices of an architecture of type `architecture_type`."""
        raise NotImplementedError(f"{type(self).__name__} gives neither encode nor _encode")

    @property
    def size(self) -> int:
        """Number of valid sequences of choices.

        Raises:
            InvalidSettings: a `valid_choices` of one's own leaves too many to count.
        """
        return self._counted if self._overrides else self._conditions.count(self.num_valid)

    @cached_property
    def _counted(self) -> int:
        prefixes = np.zeros((1, 0), dtype=np.int64)
        for _ in self.decisions[:-1]:
            rows, choices = np.nonzero(self.batched_valid_choices(prefixes))
            many = f"{self.name}: size: there are more sequences than can be counted one by one"
            remedy = f"give {type(self).__name__} a property `size` beside its valid_choices"
            require(len(rows) <= _MOST_COUNTED, f"{many}; {remedy}")
            prefixes = np.column_stack([prefixes[rows], choices])
        return int(self.batched_valid_choices(prefixes).sum())

    @cached_property
    def _conditions(self) -> Conditions:
        return Conditions(self.decisions)

    def stage(self, samples: int) -> SearchSpace:
        """Return the search space as it is after ``samples`` finished architectures.

        It has the same decisions. One that grows during a search (NAS's depth schedule) allows
        fewer choices at first.
        """
        return self

    def valid_choices(self, prefix: Choices) -> Mask:
        """Return which choices of decision ``len(prefix)`` are valid, (k,) bool; one at least."""
        step = len(prefix)
        valid = np.arange(self.num_choices[step]) < self.num_valid[step]
        if self.decisions[step].when and not self._conditions.exist(step, prefix[np.newaxis])[0]:
            valid[1:] = False
        return valid

    def action_mask(self, prefix: Choices) -> Mask:
        """Return which actions are valid after ``prefix``, (A,) bool, not to be written to.

        Once all is decided, every action is.
        """
        if not self.conditional:
            return self._fixed_rules[len(prefix)].mask
        if len(prefix) == len(self.decisions):
            return np.ones(self.num_actions, dtype=np.bool_)
        mask = np.zeros(self.num_actions, dtype=np.bool_)
        valid = self.valid_choices(prefix)
        mask[: len(valid)] = valid
        return mask

    def rules(self, choices: Choices, step: int) -> Rules:
        """Return the mask after the first ``step`` choices, and the choice of each action."""
        if not self.conditional:
            return self._fixed_rules[step]
        return rules_of(self.action_mask(choices[:step]).tobytes())

    @cached_property
    def _fixed_rules(self) -> list[Rules]:
        """The rules after each number of decisions, 0 to T, whatever they were."""
        limits = (*self.num_valid, self.num_actions)
        return [rules_of((np.arange(self.num_actions) < limit).tobytes()) for limit in limits]

    def batched_valid_choices(self, prefixes: NDArray[np.int64]) -> Masks:
        """Return `valid_choices` of N prefixes of one length, (N, t), as (N, k) bool.

        A search space with a `valid_choices` of its own may override it with array operations,
        for N episodes at once; `valid_choices` remains the definition.
        """
        if self._overrides:
            return np.stack([self.valid_choices(prefix) for prefix in prefixes])
        number, step = prefixes.shape
        valid = np.empty((self.num_choices[step], number), dtype=np.bool_).T  # column by column
        valid[:] = np.arange(self.num_choices[step]) < self.num_valid[step]
        if self.decisions[step].when:
            valid[:, 1:] &= self._conditions.exist(step, prefixes)[:, np.newaxis]
        return valid

    def action_masks(self, prefixes: NDArray[np.int64]) -> Masks:
        """Return `action_mask` of N prefixes of one length, (N, t), not to be written to.

        It is (N, A) bool, or (A,) where the mask does not depend on what was chosen.
        """
        number, step = prefixes.shape
        if not self.conditional or step == len(self.decisions):
            return self.action_mask(prefixes[0])
        masks = np.zeros((self.num_actions, number), dtype=np.bool_).T  # column by column
        masks[:, : self.num_choices[step]] = self.batched_valid_choices(prefixes)
        return masks

    def existing(self, choices: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which decisions exist by their `Decision.when`, (N, T) bool, in N sequences.

        The choices, (N, T), of decisions that do not exist may be any.
        """
        return self._conditions.existing(choices)

    def sample(self, rng: np.random.Generator) -> Choices:
        """Return a sequence of choices, (T,) int64, each drawn uniformly among the valid ones."""
        if not self.conditional:
            return rng.integers(self._limits)
        choices = np.zeros(len(self.decisions), dtype=np.int64)
        for step in range(len(self.decisions)):
            valid = np.flatnonzero(self.valid_choices(choices[:step]))
            choices[step] = valid[rng.integers(len(valid))]
        return choices

    def sketch(self, prefix: Choices) -> object:
        """Return what ``prefix`` has decided, as a value that `nas_gym.rendering` can draw."""
        return DecisionsSketch(tuple(self.made(prefix).items()), len(self.decisions))

    def made(self, prefix: Sequence[int] | Choices) -> dict[str, str]:
        """Return the labels of the decisions in ``prefix`` that exist, by name."""
        labels: dict[str, str] = {}
        for decision, choice in zip(self.decisions, prefix, strict=False):
            if exists(decision, labels):
                labels[decision.name] = decision.choices[choice]
        return labels

    def check(self, choices: ArrayLike) -> Choices:
        """Return ``choices`` as a (T,) int64 array; they must be a complete and valid sequence.

        Otherwise, `InvalidArchitecture` names the first decision that is wrong.
        """
        sequence = as_array(choices)
        if sequence.shape != (len(self.decisions),) or sequence.dtype.kind not in "iu":
            found = f"got shape {sequence.shape} of {sequence.dtype}"
            raise InvalidArchitecture(f"choices: expected {len(self.decisions)} integers, {found}")
        sequence = sequence.astype(np.int64)
        if self.conditional or not ((sequence >= 0) & (sequence < self._limits)).all():
            self.check_prefix(sequence)
        return sequence

    def check_prefix(self, prefix: Choices) -> None:
        """Raise `InvalidArchitecture` for the first choice, if any, that is not valid."""
        for step, choice in enumerate(prefix):
            valid = self.valid_choices(prefix[:step])
            if not (0 <= choice < len(valid) and valid[choice]):
                where = f"choices[{step}] ({self.decisions[step].name})"
                hint = f"valid choices: {', '.join(map(str, np.flatnonzero(valid)))}"
                raise InvalidArchitecture(f"{where}: {choice} is not valid here; {hint}")

    def __repr__(self) -> str:
        return f"<{self.name}: {counted(len(self.decisions), 'decision')}>"


def choice_of(values: Sequence[object], value: object, where: str) -> int:
    """Return the number of a decision's value; `InvalidArchitecture` names the place of others."""
    if value not in values:
        hint = choices_hint(value, values)
        raise InvalidArchitecture(f"{where}: {short(value)} is not in this search space; {hint}")
    return values.index(value)


def as_array(value: Any) -> NDArray[Any]:
    """Return a value as an array; None where there is none, as of rows of different lengths."""
    try:
        return np.asarray(value)
    except ValueError:
        return np.asarray(None)
