"""The vector entry point of every environment: ``"nas_gym.envs.vectorized:module.Class"``."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from nas_gym.checks import check_num_envs
from nas_gym.errors import require
from nas_gym.family import resolve
from nas_gym.registration import NAMELESS
from nas_gym.vector_env import NASVectorEnv

OWN_ARGUMENTS = ("render_mode", "autoreset_mode", "limits")
"""Arguments of `NASVectorEnv` that are not those of the environment."""


def vectorized(entry_point: Any, num_envs: int = 1, **arguments: Any) -> NASVectorEnv:
    """Return the vector form of an environment; the vector entry point of Gymnasium.

    Args:
        entry_point: The environment's class, ``"module:Class"``, or a function that returns one.
        num_envs: N.
        **arguments: `OWN_ARGUMENTS` of `NASVectorEnv`; all others go to the environment.

    Raises:
        NASGymError: an argument is not valid.
    """
    own = {name: arguments.pop(name) for name in OWN_ARGUMENTS if name in arguments}
    check_num_envs("num_envs", num_envs)
    require(
        arguments.pop("max_episode_steps", None) is None,
        "max_episode_steps: an episode in lock-step ends with its last decision, and not before; "
        'leave it out, or make it with vectorization_mode="sync"',
    )
    env = resolve(entry_point)(**arguments)
    try:
        return NASVectorEnv.of(env, num_envs, **own)
    except BaseException:
        env.close()
        raise


def __getattr__(name: str) -> Callable[..., NASVectorEnv]:
    """Return `vectorized` of the class with this dotted name, "own.environments.NetEnv".

    Gymnasium's entry points, "module:attribute", get no id; so the attribute names the class.
    """
    module, _, attribute = name.rpartition(".")
    if not module:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return partial(vectorized, NAMELESS.get(name, f"{module}:{attribute}"))
