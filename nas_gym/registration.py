"""Registration of environments with Gymnasium, for `gymnasium.make` and `make_vec` at once."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import gymnasium

from nas_gym.errors import InvalidSettings


def register(env_id: str, entry_point: Any, **options: Any) -> None:
    """Register an environment and its vector form with Gymnasium.

        nas_gym.register("own/Net-v0", "own.environments:NetEnv")
        gym.make_vec("own/Net-v0", num_envs=8)  # a NASVectorEnv

    Args:
        env_id: The id, in any namespace or in none.
        entry_point: The environment, a subclass of `NASEnv`: ``"module:Class"``, which is imported
            when an environment is made, or the class, or a function that returns an environment.
            Only an environment that can be imported by name has a ``spec`` with a JSON form.
        **options: Further arguments of `gymnasium.register`, for instance ``kwargs``.

    Raises:
        InvalidSettings: ``entry_point`` is neither ``"module:Class"`` nor callable.
    """
    reference = _reference(entry_point)
    if reference is None:
        vector_entry_point: Any = partial(_vectorized, entry_point)
    else:
        vector_entry_point = f"nas_gym.vector_env:{reference.replace(':', '.')}"
    gymnasium.register(
        id=env_id,
        entry_point=reference or entry_point,
        vector_entry_point=vector_entry_point,
        order_enforce=False,  # NASEnv does so itself
        disable_env_checker=True,
        **options,
    )


def _reference(entry_point: Any) -> str | None:
    """Return ``"module:Class"``, or None for what cannot be imported by name."""
    if isinstance(entry_point, str):
        if not all(part.strip() for part in entry_point.split(":")) or entry_point.count(":") != 1:
            raise InvalidSettings(f"entry_point: expected 'module:Class', got {entry_point!r}")
        return entry_point
    if not callable(entry_point):
        raise InvalidSettings(
            f"entry_point: expected a class, a function or 'module:Class', got {entry_point!r}"
        )
    name = getattr(entry_point, "__qualname__", "")
    return f"{entry_point.__module__}:{name}" if name.isidentifier() else None


def _vectorized(entry_point: Any, **arguments: Any) -> Any:
    """Make the vector form of an environment that has no name to import it by."""
    return importlib.import_module("nas_gym.vector_env").vectorized(entry_point, **arguments)
