"""N episodes in lock-step: each as a single environment to read from, and the results of all."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np
from gymnasium.envs.registration import EnvSpec
from numpy.typing import NDArray

from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, require
from nas_gym.evaluation import Evaluations
from nas_gym.search_spaces import Mask, SearchSpace

Observations = NDArray[Any]
"""(N, T) of a small integer type: 0 = not decided yet, c + 1 = choice c; or (N, S) codes."""


class Episode(gym.Env[Any, Any]):
    """Episode number ``index`` of a `NASVectorEnv`; what is not its own is the vector form's."""

    metadata = NASEnv.metadata

    def __init__(self, venv: Any, index: int) -> None:
        self._venv, self._index = venv, index
        self.observation_space = venv.single_observation_space
        self.action_space = venv.single_action_space

    @property
    def render_mode(self) -> str | None:  # type: ignore[override]
        mode: str | None = self._venv.render_mode
        return mode

    @property
    def spec(self) -> EnvSpec | None:  # type: ignore[override]
        """The specification of a single environment with the same arguments."""
        spec: EnvSpec | None = self._venv.spec
        if spec is None:
            return None
        own = ("num_envs", "vectorization_mode", "autoreset_mode")
        return replace(spec, kwargs={n: v for n, v in spec.kwargs.items() if n not in own})

    def action_masks(self) -> Mask:
        """Return the mask of the actions that are valid now, (A,) bool."""
        mask: Mask = self._venv.action_masks()[self._index]
        return mask

    def render(self) -> Any:
        rendered = self._venv.render()
        return None if rendered is None else rendered[self._index]

    def reset(self, **options: Any) -> Any:
        raise InvalidSettings("the N episodes are in lock-step; call their environment's reset()")

    def step(self, action: Any) -> Any:
        raise InvalidSettings("the N episodes are in lock-step; call their environment's step()")

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._venv, name)


class Episodes:
    """The part of a vector environment that is asked, and set, as N single ones are."""

    num_envs: int

    def call(self, name: str, *args: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Return the results of a method of each episode, or the attributes of that name.

        Most attributes, the memory and the budget among them, are shared by the N episodes.
        """
        found = self.get_attr(name)
        return tuple(each(*args, **kwargs) if callable(each) else each for each in found)

    def get_attr(self, name: str) -> tuple[Any, ...]:
        """Return an attribute of each episode."""
        return tuple(getattr(Episode(self, index), name) for index in range(self.num_envs))

    def set_attr(self, name: str, values: Any) -> None:
        """Set an attribute, which the N episodes share.

        Raises:
            InvalidSettings: ``values`` is a list or a tuple, and not N times the same value.
        """
        each = values if isinstance(values, (list, tuple)) else [values] * self.num_envs
        same = len(each) == self.num_envs and all(value is each[0] for value in each)
        require(same, f"{name}: the {self.num_envs} episodes share it; give one value for all")
        setattr(self, name, each[0])


class Results(NamedTuple):
    """Results of N finished episodes; arrays are 0 for those that the budget leaves out."""

    stage: SearchSpace  # the search space as it stood in these episodes
    choices: NDArray[np.int64]  # (N, T)
    rewards: NDArray[np.floating[Any]]  # (N,), or (N, K) of K objectives
    evaluated: NDArray[np.bool_]  # (N,)
    evaluations: Evaluations
    columns: dict[str, NDArray[Any]]  # (N,) each, as `Evaluations.columns`

    @classmethod
    def of(
        cls,
        stage: SearchSpace,
        choices: NDArray[np.int64],
        rewards: NDArray[np.floating[Any]],
        evaluations: Evaluations,
    ) -> Results:
        """Return the results of N episodes, the first of which were evaluated."""
        number, columns = len(choices), dict(evaluations.columns)
        evaluated = np.arange(number) < len(rewards)
        if len(rewards) < number:
            rewards = _padded(rewards, number)
            columns = {name: _padded(column, number) for name, column in columns.items()}
        return cls(stage, choices.copy(order="K"), rewards, evaluated, evaluations, columns)


def _padded(column: NDArray[Any], number: int) -> NDArray[Any]:
    """Return a column of fewer than N entries with zeros or empty texts behind it: (N, ...)."""
    rest = (number - len(column), *column.shape[1:])
    return np.concatenate([column, np.zeros(rest, dtype=column.dtype)])
