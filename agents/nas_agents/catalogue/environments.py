"""The environments that nas_gym registers."""

from __future__ import annotations

import gymnasium as gym

from nas_gym import SearchSpace
from nas_gym.envs import environment_type


def registered_search_spaces() -> dict[str, SearchSpace]:
    """The search space of each environment, by its id, with the environment's default arguments."""
    return {
        env_id: environment_type(env_id).default_search_space()
        for env_id in gym.registry
        if env_id.startswith("nas_gym/")
    }
