"""Observations: the partial architecture, as integers or as one-hot codes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from nas_gym.search_spaces import Decision

Observation = NDArray[Any]
"""(T,) of a small integer type: 0 = not decided yet, c + 1 = choice c; or their one-hot codes."""


class PartialArchitectures(spaces.MultiDiscrete):
    """The partial architectures of a search space, (T,): 0 = not decided yet, c + 1 = choice c.

    The dtype is the smallest signed integer type that holds the sum of the sizes, since
    Stable-Baselines3 adds the sizes up in the observations' own type. A policy may read the
    ``decisions``.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        sizes = [len(decision.choices) + 1 for decision in decisions]
        below = -sum(sizes) - 1  # a signed type that holds -n - 1 holds n
        super().__init__(sizes, dtype=np.min_scalar_type(below).name)

    def encode(self, partial: NDArray[np.integer[Any]]) -> Observation:
        """Return observations, (..., T), of as many partial architectures; the caller's own."""
        return partial.astype(self.dtype)


class OneHotArchitectures(spaces.Box):
    """The one-hot codes of partial architectures: T codes, one after the other, (S,) float32.

    A policy may read the ``decisions``.
    """

    def __init__(self, decisions: Sequence[Decision]) -> None:
        self.decisions = tuple(decisions)
        sizes = [len(decision.choices) + 1 for decision in decisions]
        self._entries = np.repeat(np.arange(len(sizes)), sizes)  # (S,): whose code it is
        self._values = np.concatenate([np.arange(size) for size in sizes])  # (S,): 1 for this
        super().__init__(0.0, 1.0, self._values.shape, np.float32)

    def encode(self, partial: NDArray[np.integer[Any]]) -> Observation:
        """Return the codes, (..., S), of partial architectures, (..., T); the caller's own."""
        codes: Observation = partial[..., self._entries] == self._values
        return codes.astype(np.float32)


ObservationSpace: TypeAlias = PartialArchitectures | OneHotArchitectures
OBSERVATION_SPACES: dict[str, type[ObservationSpace]] = {
    "choices": PartialArchitectures,
    "one-hot": OneHotArchitectures,
}
"""The forms of an observation, by the argument ``observation`` of an environment."""
