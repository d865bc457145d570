"""`Episode`: one of N episodes in lock-step, as a single environment to read from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import gymnasium as gym
from gymnasium.envs.registration import EnvSpec

from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings
from nas_gym.search_spaces import Mask


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
