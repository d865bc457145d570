"""The registered environments, one class each; a class's docstring is its page for users.

``nas_gym.envs.NASNetEnv`` is the class behind ``"nas_gym/NASNet-v0"``; each is imported when it is
asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import gymnasium

from nas_gym.family import registered_families, resolve

if TYPE_CHECKING:
    from nas_gym.envs.family_env import FamilyEnv


def __getattr__(name: str) -> Any:
    for family in registered_families():
        for reference in family.environments.values():
            if isinstance(reference, str) and reference.endswith(f":{name}"):
                return resolve(reference)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def environment_type(env_id: str) -> type[FamilyEnv]:
    """Return the class behind a registered id, ``"nas_gym/NASNet-v0"`` for instance.

    Raises:
        gymnasium.error.Error: nothing is registered under this id.
    """
    entry_point = str(gymnasium.spec(env_id).entry_point)
    creator = gymnasium.envs.registration.load_env_creator(entry_point)
    return cast("type[FamilyEnv]", creator)
