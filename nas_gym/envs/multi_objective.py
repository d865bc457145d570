"""Environments with vector rewards, by MO-Gymnasium's convention, made of all declared ones.

``nas_gym/MO-NASNet-v0`` is ``nas_gym/NASNet-v0`` with ``objectives`` in the place of ``reward``:

>>> import gymnasium, nas_gym
>>> objectives = ["accuracy", "-parameters"]
>>> env = gymnasium.make("nas_gym/MO-TinyBench-v0", objectives=objectives).unwrapped
>>> env.reward_dim, env.reward_space.shape
(2, (2,))
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from nas_gym.env import NASEnv
from nas_gym.errors import require
from nas_gym.family import registered_families, resolve
from nas_gym.objectives import Objectives


class MultiObjective(NASEnv):
    """An environment whose reward is a vector of ``objectives``, all to be maximized.

    ``reward_space`` (a Box) and ``reward_dim`` describe it; a decision before the last has zeros.

    Args:
        objectives: A list of names, or a mapping from names to worst values; see
            `nas_gym.Objectives.of`.
        **arguments: Of the environment with a scalar reward, except ``reward``.

    Raises:
        InvalidSettings: an objective is not known, or is a cost that is not measured; or as the
            environment with a scalar reward.
    """

    def __init__(
        self,
        objectives: Sequence[str] | Mapping[str, float] = ("accuracy", "-parameters"),
        **arguments: Any,
    ) -> None:
        hint = "this environment has a vector reward; give objectives, or make the other id"
        require("reward" not in arguments, f"reward: {hint}")
        super().__init__(reward=Objectives.of(objectives), **arguments)


@lru_cache
def multi_objective(environment: type[NASEnv], env_id: str) -> type[NASEnv]:
    """Return the class of an environment with vector rewards; pickles find it by ``env_id``."""
    about = {"__module__": __name__, "__qualname__": env_id, "__doc__": MultiObjective.__doc__}
    return type(f"MO{environment.__name__}", (MultiObjective, environment), about)


def __getattr__(env_id: str) -> type[NASEnv]:
    """Return the form with vector rewards of the environment declared under this id."""
    for family in registered_families():
        if env_id in family.environments:
            return multi_objective(resolve(family.environments[env_id]), env_id)
    raise AttributeError(f"module {__name__!r} has no attribute {env_id!r}")
