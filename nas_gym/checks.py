"""Checks of what agents give: actions, the choices that episodes start from, number and mode."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from numpy.typing import NDArray

from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.outside.json_text import short
from nas_gym.search_spaces import SearchSpace
from nas_gym.search_spaces.base import as_array
from nas_gym.settings import require_known

MOST_ENVS = 2**20
"""The largest N: a million episodes of NASNet take half a gigabyte."""


def checked_action(action: Any, number: int) -> int:
    """Return an action as a Python integer from 0 to ``number`` - 1, or raise `InvalidAction`."""
    with suppress(TypeError):
        if 0 <= (index := operator.index(action)) < number:
            return index
    raise gym.error.InvalidAction(
        f"action: expected an integer from 0 to {number - 1}, got {short(action)}"
    )


def checked_actions(
    actions: Any, shape: tuple[int, ...], number: int | Sequence[int]
) -> NDArray[np.int64]:
    """Return actions as integers of this shape from 0 to ``number`` - 1.

    Raises:
        gymnasium.error.InvalidAction: they are something else.
    """
    array = as_array(actions)
    if array.shape != shape or array.dtype.kind not in "iub":
        raise gym.error.InvalidAction(
            f"expected integers of shape {shape}, got shape {array.shape} of {array.dtype}"
        )
    integers = array.astype(np.int64, copy=False)
    if (outside := integers.view(np.uint64) >= np.asarray(number, np.uint64)).any():  # or below 0
        most = np.broadcast_to(number, shape)[outside][0] - 1
        raise gym.error.InvalidAction(
            f"action: expected integers from 0 to {most}, got {array[outside][0]}"
        )
    return integers


def checked_prefix(stage: SearchSpace, options: Mapping[str, Any]) -> list[int]:
    """Return the choices, at most T - 1, with which an episode of a search space starts.

    Raises as `NASEnv.reset`, whose ``options`` they are.
    """
    if not isinstance(options, Mapping):
        raise InvalidSettings(f"options: expected a mapping of 'choices', got {short(options)}")
    require_known(options, ("choices",), "options: ")
    given, most = options["choices"], len(stage.decisions) - 1
    array = as_array(given)
    if array.ndim != 1 or len(array) > most or (len(array) and array.dtype.kind not in "iu"):
        raise InvalidSettings(
            f"options: choices: expected up to {most} integers, got {short(given)}"
        )
    prefix = array.astype(np.int64)
    stage.check_prefix(prefix)
    return list(prefix.tolist())


def checked_prefixes(
    stage: SearchSpace, options: Mapping[str, Any], number: int
) -> NDArray[np.int64]:
    """Return the choices with which N episodes start, (N, T'), as `NASVectorEnv.reset` takes them.

    Raises as `NASEnv.reset`.
    """
    given = options.get("choices", ())
    prefixes = [given] if as_array(given).ndim < 2 else given
    if prefixes is given and len(given) != number:
        raise InvalidSettings(f"options: choices: expected {number} rows, got {short(given)}")
    rows = [checked_prefix(stage, {**options, "choices": row}) for row in prefixes]
    return np.broadcast_to(np.array(rows, dtype=np.int64), (number, len(rows[0])))


def check_num_envs(name: str, num_envs: object) -> None:
    """Raise `InvalidSettings` unless a number of environments is from 1 to `MOST_ENVS`."""
    possible = type(num_envs) is int and 1 <= num_envs <= MOST_ENVS
    require(possible, f"{name}: expected an integer from 1 to {MOST_ENVS:,}, got {short(num_envs)}")


def checked_autoreset_mode(mode: str | AutoresetMode) -> AutoresetMode:
    """Return a mode by its value, or raise `InvalidSettings`."""
    try:
        return AutoresetMode(mode)
    except ValueError:
        hint = choices_hint(mode, [each.value for each in AutoresetMode])
        raise InvalidSettings(f"autoreset_mode: {short(mode)} is not one; {hint}") from None
