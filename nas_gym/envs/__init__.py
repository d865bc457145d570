"""The registered environments, one class each; a class's docstring is its page for users."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import gymnasium

if TYPE_CHECKING:
    from nas_gym.envs.training import TrainingEnv


def environment_type(env_id: str) -> type[TrainingEnv]:
    """The class behind a registered id, ``"nas_gym/NASNet-v0"`` for instance.

    Raises:
        gymnasium.error.Error: nothing is registered under this id.
    """
    entry_point = gymnasium.spec(env_id).entry_point
    assert isinstance(entry_point, str)
    creator = gymnasium.envs.registration.load_env_creator(entry_point)
    return cast("type[TrainingEnv]", creator)
