"""Search spaces: what may be chosen, in which order, and what it means. No torch here.

A search space is a fixed sequence of T decisions. Sequences of choices are numpy arrays of shape
(T,) and of dtype int64, choice c of decision t being an index into ``decisions[t].choices``.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.architecture import Architecture, InvalidArchitecture

Choices: TypeAlias = NDArray[np.int64]
"""(T,) int64: the index chosen in each decision."""
Mask: TypeAlias = NDArray[np.bool_]
"""(A,) bool: which of the A actions are valid; A is the largest number of choices."""
Masks: TypeAlias = NDArray[np.bool_]
"""(N, A) bool: a mask for each of N sequences; or (A,) bool, one mask for all of them."""


@dataclass(frozen=True)
class Decision:
    """One choice that the controller makes: its name, and a label for each choice."""

    name: str
    choices: tuple[str, ...]
    when: Mapping[str, Collection[str]] = field(default_factory=dict, hash=False)
    """Where the decision exists at all: for each earlier decision named here, the labels of it
    under which it does. `nas_gym.search_spaces.custom` heeds it; default: it always exists."""


@dataclass(frozen=True)
class DecisionsSketch:
    """What is decided so far, as (name of the decision, label of the choice) pairs."""

    made: tuple[tuple[str, str], ...]
    decisions: int
    """How many there are in all."""


class SearchSpace(ABC):
    """A fixed sequence of decisions and the architecture that a sequence of choices means.

    A subclass calls ``super().__init__(name, decisions)`` and gives `decode` and `encode`. Where
    an earlier choice rules later ones out, it also overrides `valid_choices` and `size`; a
    decision that an earlier one made meaningless keeps one valid choice, so T is fixed.

    Args:
        name: As texts name it.
        decisions: The T decisions, in order.
        num_valid: How many choices of each decision are valid, from its first on, whatever was
            chosen before; default: all.
    """

    architecture_type: type[Any] = Architecture
    """The type of its architectures."""

    def __init__(
        self, name: str, decisions: Sequence[Decision], num_valid: Sequence[int] | None = None
    ) -> None:
        self.name = name
        self.decisions = tuple(decisions)
        self.num_choices = tuple(len(decision.choices) for decision in self.decisions)
        self.num_actions = max(self.num_choices)
        self.num_valid = self.num_choices if num_valid is None else tuple(num_valid)
        self._limits = np.array(self.num_valid)  # (T,) int64
        self.conditional = type(self).valid_choices is not SearchSpace.valid_choices
        """Whether what is valid depends on earlier choices; otherwise `num_valid` says it all."""

    @abstractmethod
    def decode(self, choices: ArrayLike) -> Architecture:
        """The architecture that a complete, valid sequence of choices, (T,), means.

        Raises:
            InvalidArchitecture: the sequence is too short, too long, or not valid.
        """

    @abstractmethod
    def encode(self, architecture: Architecture) -> Choices:
        """The sequence of choices, (T,) int64, that `decode` turns into ``architecture``.

        Raises:
            InvalidArchitecture: the search space does not hold it; the message says why.
        """

    @property
    def size(self) -> int:
        """How many valid sequences of choices there are."""
        return math.prod(self.num_valid)

    def stage(self, samples: int) -> SearchSpace:
        """The search space as it stands after ``samples`` finished architectures.

        It has the same decisions; one that grows during a search (NAS's depth schedule) allows
        less of them at first.
        """
        return self

    def valid_choices(self, prefix: Choices) -> Mask:
        """Which choices of decision ``len(prefix)`` are valid, (k,) bool; at least one is."""
        return np.arange(self.num_choices[len(prefix)]) < self.num_valid[len(prefix)]

    def action_mask(self, prefix: Choices) -> Mask:
        """Which actions are valid after ``prefix``: (A,) bool, not to be written to.

        Once all is decided, every action is.
        """
        if not self.conditional:
            fixed: Mask = self._fixed_action_masks[len(prefix)]
            return fixed
        if len(prefix) == len(self.decisions):
            return np.ones(self.num_actions, dtype=np.bool_)
        mask = np.zeros(self.num_actions, dtype=np.bool_)
        valid = self.valid_choices(prefix)
        mask[: len(valid)] = valid
        return mask

    @cached_property
    def _fixed_action_masks(self) -> NDArray[np.bool_]:
        """(T + 1, A): the mask after each number of decisions, whatever they were."""
        masks = np.ones((len(self.decisions) + 1, self.num_actions), dtype=np.bool_)
        masks[:-1] = np.arange(self.num_actions) < self._limits[:, None]
        masks.flags.writeable = False
        return masks

    def rules(self, choices: Choices, step: int) -> Rules:
        """What `action_mask` of the first ``step`` choices comes to for actions."""
        if not self.conditional:
            return self._fixed_rules[step]
        return _rules(self.action_mask(choices[:step]).tobytes())

    @cached_property
    def _fixed_rules(self) -> list[Rules]:
        return [_rules(mask.tobytes()) for mask in self._fixed_action_masks]

    def batched_valid_choices(self, prefixes: NDArray[np.int64]) -> Masks:
        """`valid_choices` of N prefixes of one length, (N, t): (N, k) bool.

        A conditional search space may override it with array operations, for N episodes at once;
        `valid_choices` remains the definition.
        """
        return np.stack([self.valid_choices(prefix) for prefix in prefixes])

    def action_masks(self, prefixes: NDArray[np.int64]) -> Masks:
        """`action_mask` of N prefixes of one length, (N, t), not to be written to.

        It is (N, A) bool, or (A,) where the mask does not depend on what was chosen.
        """
        number, step = prefixes.shape
        if not self.conditional or step == len(self.decisions):
            return self.action_mask(prefixes[0])
        masks = np.zeros((self.num_actions, number), dtype=np.bool_).T  # column by column
        masks[:, : self.num_choices[step]] = self.batched_valid_choices(prefixes)
        return masks

    def sample(self, rng: np.random.Generator) -> Choices:
        """A sequence of choices, each drawn uniformly among the valid ones: (T,) int64."""
        if not self.conditional:
            return rng.integers(self._limits)
        choices = np.zeros(len(self.decisions), dtype=np.int64)
        for step in range(len(self.decisions)):
            valid = np.flatnonzero(self.valid_choices(choices[:step]))
            choices[step] = valid[rng.integers(len(valid))]
        return choices

    def sketch(self, prefix: Choices) -> object:
        """What ``prefix`` has decided so far, as a value that `nas_gym.rendering` can draw."""
        made = zip(self.decisions, prefix, strict=False)
        labels = tuple((decision.name, decision.choices[choice]) for decision, choice in made)
        return DecisionsSketch(labels, len(self.decisions))

    def check(self, choices: ArrayLike) -> Choices:
        """``choices`` as a (T,) int64 array, if they are a complete and valid sequence.

        Raises:
            InvalidArchitecture: they are not; the message names the first decision that is wrong.
        """
        sequence = np.asarray(choices)
        if sequence.shape != (len(self.decisions),) or sequence.dtype.kind not in "iu":
            raise InvalidArchitecture(
                f"choices: expected {len(self.decisions)} integers, "
                f"got shape {sequence.shape} of {sequence.dtype}"
            )
        sequence = sequence.astype(np.int64)
        if self.conditional or not ((sequence >= 0) & (sequence < self._limits)).all():
            self._check_each(sequence)
        return sequence

    def _check_each(self, sequence: Choices) -> None:
        """Raise `InvalidArchitecture` for the first choice, if any, that is not valid."""
        for step, choice in enumerate(sequence):
            valid = self.valid_choices(sequence[:step])
            if not (0 <= choice < len(valid) and valid[choice]):
                raise InvalidArchitecture(
                    f"choices[{step}] ({self.decisions[step].name}): {choice} is not valid here; "
                    f"valid choices: {', '.join(map(str, np.flatnonzero(valid)))}"
                )

    def __repr__(self) -> str:
        return f"<{self.name}: {len(self.decisions)} decisions>"


def resolve_actions(
    masks: Masks, actions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """The choices that N actions, (N,), mean under their masks: (N,) int64; which were invalid.

    A valid action is its own choice. Any other becomes valid choice number ``action`` modulo how
    many are valid, so that agents without masks can act.
    """
    leading = _leading(masks.tobytes()) if masks.ndim == 1 else _leading_of_each(masks)
    if leading is None:
        choices = _resolve(np.broadcast_to(masks, (len(actions), masks.shape[-1])), actions)
    elif isinstance(leading, int):
        choices = _remainders(actions, leading)
    else:
        choices = actions % leading  # a valid action is its own remainder
    return choices, choices != actions


def _remainders(actions: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """``actions % number``, which NumPy divides one by one: four times as fast for small ones."""
    try:
        remainders: NDArray[np.int64] = _remainders_of_small(number).take(actions)
    except IndexError:
        return actions % number
    return remainders


@lru_cache
def _remainders_of_small(number: int) -> NDArray[np.int64]:
    """(16 * number,): the remainder at each place; negative ones, counted from the end, agree."""
    return np.arange(16 * number) % number


def _resolve(masks: Masks, actions: NDArray[np.int64]) -> NDArray[np.int64]:
    """The choices of `resolve_actions` under masks, (N, A), of any pattern."""
    places = actions % masks.shape[1]
    valid = masks[np.arange(len(masks)), places] & (places == actions)
    others = np.flatnonzero(~valid)
    ranks = masks[others].cumsum(axis=1, dtype=np.int64)  # valid choice number n has rank n + 1
    wanted = actions[others] % ranks[:, -1]
    choices = actions.copy()
    choices[others] = (ranks <= wanted[:, np.newaxis]).sum(axis=1)
    return choices


@lru_cache(maxsize=2**12)
def _leading(mask: bytes) -> int | None:
    """How many actions are valid under a mask, (A,) bool, if they are the first ones."""
    number = mask.count(1)
    return number if mask.startswith(b"\1" * number) else None


def _leading_of_each(masks: Masks) -> NDArray[np.int64] | None:
    """The same of N masks, (N, A): (N,), if it holds for each."""
    if (masks[:, 1:] > masks[:, :-1]).any():
        return None
    return np.asarray(masks.sum(axis=1))


class Rules(NamedTuple):
    """A mask, and what each action means under it; neither is to be written to."""

    mask: Mask
    mask_int8: NDArray[np.int8]
    resolved: tuple[tuple[int, bool], ...]
    """The choice that each of the A actions means, and whether the action was invalid."""

    def resolve(self, action: int) -> tuple[int, bool]:
        """`resolve_actions` of one action."""
        if 0 <= action < len(self.resolved):
            return self.resolved[action]
        choices, _ = resolve_actions(self.mask, np.array([action]))
        return int(choices[0]), True


@lru_cache(maxsize=2**12)
def _rules(mask: bytes) -> Rules:
    """The rules of a mask, (A,) bool, given as its bytes."""
    array = np.frombuffer(mask, dtype=np.bool_)
    choices, invalid = resolve_actions(array, np.arange(len(array)))
    resolved = tuple(zip(choices.tolist(), invalid.tolist(), strict=True))
    return Rules(array, array.view(np.int8), resolved)


def resolve_action(mask: Mask, action: int) -> tuple[int, bool]:
    """`resolve_actions` of one action: the choice, and whether the action was invalid."""
    return _rules(mask.tobytes()).resolve(action)
