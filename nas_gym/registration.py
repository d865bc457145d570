"""Registration of environments with Gymnasium, for `gymnasium.make` and `make_vec` at once."""

from __future__ import annotations

from typing import Any

import gymnasium

from nas_gym.errors import require

NAMELESS: dict[str, Any] = {}
"""Entry points that have no name to import them by, for `nas_gym.envs.vectorized`."""


def multi_objective_id(env_id: str) -> str:
    """Return the id of an environment's form with vector rewards: "nas_gym/MO-NASNet-v0"."""
    namespace, slash, name = env_id.rpartition("/")
    return f"{namespace}{slash}MO-{name}"


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
    name = f"nameless.{env_id}" if reference is None else reference.replace(":", ".")
    if reference is None:
        NAMELESS[name] = entry_point
    gymnasium.register(
        id=env_id,
        entry_point=reference or entry_point,
        vector_entry_point=f"nas_gym.envs.vectorized:{name}",
        order_enforce=False,  # NASEnv does so itself
        disable_env_checker=True,
        **options,
    )


def _reference(entry_point: Any) -> str | None:
    """Return ``"module:Class"``, or None for what cannot be imported by name."""
    if isinstance(entry_point, str):
        named = all(part.strip() for part in entry_point.split(":")) and entry_point.count(":") == 1
        require(named, f"entry_point: expected 'module:Class', got {entry_point!r}")
        return entry_point
    expected = "a class, a function or 'module:Class'"
    require(callable(entry_point), f"entry_point: expected {expected}, got {entry_point!r}")
    name = getattr(entry_point, "__qualname__", "")
    return f"{entry_point.__module__}:{name}" if name.isidentifier() else None
