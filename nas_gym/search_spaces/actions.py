"""From actions to choices: a valid action is its own choice, any other still means a valid one."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.bool_]
"""(A,) bool: the valid ones of A actions; A is the largest number of choices."""
Masks: TypeAlias = NDArray[np.bool_]
"""(N, A) bool: a mask for each of N sequences; or (A,) bool, one mask for all of them."""


def resolve_actions(
    masks: Masks, actions: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the choices of N actions, (N,) int64, and for each whether it was invalid, (N,) bool.

    A valid action is its own choice. Any other becomes valid choice number ``action`` modulo the
    number of valid ones, so that agents without masks can act.
    """
    # Where the first actions are the valid ones, a valid action is its own remainder.
    if masks.ndim == 1 and (leading := _leading(masks.tobytes())) is not None:
        choices = _remainders(actions, leading)
    elif masks.ndim == 2 and not (masks[:, 1:] > masks[:, :-1]).any():
        choices = actions % masks.sum(axis=1)
    else:
        choices = _resolve(np.broadcast_to(masks, (len(actions), masks.shape[-1])), actions)
    return choices, choices != actions


def _remainders(actions: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return ``actions % number``, four times as fast for small ones as NumPy's division."""
    try:
        remainders: NDArray[np.int64] = _remainders_of_small(number).take(actions)
    except IndexError:
        return actions % number
    return remainders


@lru_cache
def _remainders_of_small(number: int) -> NDArray[np.int64]:
    """Return the remainder at each place, (16 * number,); negative places agree."""
    return np.arange(16 * number) % number


def _resolve(masks: Masks, actions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the choices of `resolve_actions` under masks, (N, A), of any pattern."""
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
    """Return the number of actions valid under a mask, (A,) bool, if they are the first ones."""
    number = mask.count(1)
    return number if mask.startswith(b"\1" * number) else None


class Rules(NamedTuple):
    """A mask, and each action's choice and whether it is invalid; none is to be written to."""

    mask: Mask
    mask_int8: NDArray[np.int8]
    resolved: tuple[tuple[int, bool], ...]

    def resolve(self, action: int) -> tuple[int, bool]:
        """Return `resolve_actions` of one action."""
        if 0 <= action < len(self.resolved):
            return self.resolved[action]
        choices, _ = resolve_actions(self.mask, np.array([action]))
        return int(choices[0]), True


@lru_cache(maxsize=2**12)
def rules_of(mask: bytes) -> Rules:
    """Return the rules of a mask, (A,) bool, given as its bytes."""
    array = np.frombuffer(mask, dtype=np.bool_)
    resolved = (each.tolist() for each in resolve_actions(array, np.arange(len(array))))
    return Rules(array, array.view(np.int8), tuple(zip(*resolved, strict=True)))
