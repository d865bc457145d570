"""`make_vec_env`, as Stable-Baselines3 has it, in lock-step where that can be."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import gymnasium as gym
from gymnasium.vector import AutoresetMode
from stable_baselines3.common import env_util
from stable_baselines3.common.vec_env import DummyVecEnv, VecEnv, VecEnvWrapper

from nas_gym.checks import check_num_envs
from nas_gym.env import NASEnv
from nas_gym.errors import InvalidSettings, require
from nas_gym.sb3.vec_env import NASVecEnv
from nas_gym.sb3.wrappers import VecContinuousAction, VecWholeArchitecture
from nas_gym.vector_env import NASVectorEnv, has_vector_form, without_checks
from nas_gym.wrappers import AnyEnv, ContinuousAction, WholeArchitecture

LOCK_STEP: dict[Any, Callable[..., VecEnvWrapper] | None] = {
    None: None,
    ContinuousAction: VecContinuousAction,
    WholeArchitecture: VecWholeArchitecture,
}
"""The wrappers that `make_vec_env` has in lock-step, and their vector forms."""


def make_vec_env(
    env_id: str | Callable[..., AnyEnv],
    n_envs: int = 1,
    seed: int | None = None,
    start_index: int = 0,
    monitor_dir: str | None = None,
    wrapper_class: Callable[..., AnyEnv] | None = None,
    env_kwargs: dict[str, Any] | None = None,
    vec_env_cls: type[VecEnv] | None = None,
    vec_env_kwargs: dict[str, Any] | None = None,
    monitor_kwargs: dict[str, Any] | None = None,
    wrapper_kwargs: dict[str, Any] | None = None,
) -> VecEnv:
    """Make N episodes of an environment that share one evaluator, for Stable-Baselines3's agents.

        vec_env = nas_gym.sb3.make_vec_env("nas_gym/NASNet-v0", 8, env_kwargs={"epochs": 2})
        MaskablePPO("MlpPolicy", vec_env, gamma=1.0).learn(4_000)

    The arguments are those of Stable-Baselines3's own `make_vec_env`, whose environments share no
    memory of what was evaluated, and no budget. Here the result is

    - a `NASVecEnv`, in lock-step, without ``wrapper_class`` or with one in `LOCK_STEP`;
    - a `DummyVecEnv`, one environment after the other, with another ``wrapper_class``, with a
      subclass of `NASEnv` that has its own ``step()``, or where ``vec_env_cls`` says so.

    Another ``vec_env_cls``, `SubprocVecEnv` for instance, is left to Stable-Baselines3's function.

    Args:
        env_id: As in `gymnasium.make`, or a function that returns a `NASEnv`.
        n_envs: N.
        seed: The seed of the episodes and of the action space. It changes no reward: children's own
            seeds follow from the environment's ``training_seed``.
        start_index: As in `NASVecEnv`.
        monitor_dir: As in `NASVecEnv`.
        wrapper_class: A wrapper, or a function that wraps an environment.
        env_kwargs: The environment's arguments; ``render_mode`` is "rgb_array" by default.
        vec_env_cls: The class of the result; default: see above.
        vec_env_kwargs: Arguments of ``vec_env_cls``.
        monitor_kwargs: Arguments of `Monitor`; in lock-step as in `NASVecEnv`.
        wrapper_kwargs: Arguments of ``wrapper_class``.

    Raises:
        NASGymError: an argument is not valid.
    """
    arguments = dict(locals())
    if vec_env_cls is not None and not issubclass(vec_env_cls, DummyVecEnv):
        return env_util.make_vec_env(**arguments)
    check_num_envs("n_envs", n_envs)
    env = _plain_env(env_id, env_kwargs or {})
    if vec_env_cls is not None or wrapper_class not in LOCK_STEP or not has_vector_form(env):
        siblings = iter([env, *(_sibling(env) for _ in range(n_envs - 1))])
        shared = {**arguments, "env_id": lambda: next(siblings), "env_kwargs": None}
        return env_util.make_vec_env(**shared)

    require(not vec_env_kwargs, "vec_env_kwargs: in lock-step there are none; give a vec_env_cls")
    wrapping = wrapper_kwargs or {}
    own = {"render_mode": env.render_mode, "autoreset_mode": AutoresetMode.SAME_STEP}
    venv = NASVectorEnv.of(env, n_envs, **own)
    vec_env: VecEnv = NASVecEnv(venv, monitor_dir, start_index, monitor_kwargs)
    if (wrapper := LOCK_STEP[wrapper_class]) is not None:
        vec_env = wrapper(vec_env, **wrapping)
    if seed is not None:
        vec_env.action_space.seed(seed)
    vec_env.seed(seed)
    return vec_env


def _plain_env(env_id: str | Callable[..., AnyEnv], arguments: dict[str, Any]) -> NASEnv:
    """Make one environment, without the wrappers that `gymnasium.make` adds to check it."""
    if isinstance(env_id, str):
        env = gym.make(env_id, **{"render_mode": "rgb_array", **arguments})
    else:
        env = env_id(**arguments)
    env = without_checks(env)
    if not isinstance(env, NASEnv):
        raise InvalidSettings(
            f"env_id: {env} is no environment of nas_gym, or it is wrapped; give wrapper_class, or "
            "use stable_baselines3.common.env_util.make_vec_env"
        )
    return env


def _sibling(env: NASEnv) -> NASEnv:
    """Return another environment of the same kind, which shares memory and budget."""
    sibling = copy.copy(env)
    parts = (env.search_space, env.memory, env.reward, env.render_mode, env.limits)
    NASEnv.__init__(sibling, *parts, env.observation, env.info)
    return sibling
