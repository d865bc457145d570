"""Checks of an agent's arguments, by the signature of its class, before it is made.

Stable-Baselines3 checks few of its arguments: a wrong one fails in the middle of a search, or is
never noticed.
"""

from __future__ import annotations

import importlib
import inspect
import os
import reprlib
import stat
import typing
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium import spaces
from pydantic import ConfigDict, TypeAdapter, ValidationError
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.catalogue.registry import CLASSES
from nas_gym.errors import InvalidSettings, choices_hint, require
from nas_gym.outside.json_text import is_text, short
from nas_gym.settings import LARGEST

TINY = 1e-12
_CONFIG = ConfigDict(strict=True, arbitrary_types_allowed=True)
COUNTS = (
    *("batch_size", "buffer_size", "cg_max_steps", "line_search_max_iter", "n_critic_updates"),
    *("n_delta", "n_epochs", "n_quantiles", "n_steps", "n_top", "policy_delay"),
    *("stats_window_size", "sub_sampling_factor", "target_update_interval", "train_freq"),
)
SHARES = (
    *("gae_lambda", "gamma", "tau", "exploration_initial_eps", "exploration_final_eps"),
    "line_search_shrinking_factor",
)
BOUNDS: dict[str, tuple[float, float]] = {
    **dict.fromkeys(COUNTS, (1, LARGEST)),
    **dict.fromkeys(SHARES, (0, 1)),
    **dict.fromkeys(("clip_range", "clip_range_vf", "max_grad_norm", "noise_std"), (0, LARGEST)),
    **dict.fromkeys(("delta_std", "target_kl"), (TINY, LARGEST)),
    "learning_rate": (TINY, 100),
    "exploration_fraction": (TINY, 1),
}
"""The least and the greatest value of an argument of Stable-Baselines3's algorithms."""


def parameters_of(made: type[Any]) -> dict[str, Any]:
    """Return the arguments of a class's constructor, each with its type.

    Where a constructor passes ``**keywords`` on, those of the next base class are among them.
    """
    parameters: dict[str, Any] = {}
    for base in made.__mro__:
        constructor = vars(base).get("__init__")
        if constructor is None:
            continue
        hints = _type_hints(constructor)
        _, *own = inspect.signature(constructor).parameters.values()
        for parameter in own:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                parameters.setdefault(parameter.name, hints.get(parameter.name, Any))
        if all(parameter.kind != parameter.VAR_KEYWORD for parameter in own):
            break
    if "policy" in parameters:  # any that has the methods that the algorithm needs
        parameters["policy"] = str | type[BasePolicy]
    if "action_noise" in parameters:
        parameters["noise_std"] = float | None
    return parameters


def check_arguments(
    parameters: Mapping[str, Any], arguments: Mapping[str, Any], unknown: str
) -> None:
    """Check names, types and bounds of arguments, which are plain data."""
    for name, value in arguments.items():
        if name not in parameters:
            raise InvalidSettings(f"{unknown} {name!r}; {choices_hint(name, parameters)}")
        if not (name in CLASSES and isinstance(value, str) and "." in value):
            _check_type(name, parameters[name], value)
        for number in value if isinstance(value, (list, tuple)) else [value]:
            _check_bounds(name, number)
    folder = arguments.get("tensorboard_log")
    if isinstance(folder, str) and not ("://" not in folder and is_text(folder) and _fits(folder)):
        raise InvalidSettings(f"tensorboard_log: expected a folder here, got {short(folder)}")


def _fits(folder: str) -> bool:
    """Return True if a folder is there, or can be made there."""
    for path in (Path(folder), *Path(folder).absolute().parents):
        try:
            return stat.S_ISDIR(os.stat(path).st_mode) and os.access(path, os.W_OK | os.X_OK)
        except FileNotFoundError:
            continue
        except (OSError, ValueError):  # a file on the way, a name that is too long, a null byte
            return False
    return False


def as_objects(arguments: Mapping[str, Any], action_space: spaces.Space[Any]) -> dict[str, Any]:
    """Return the arguments with objects in place of the plain data that stands for them."""
    made = deepcopy(dict(arguments))  # QRDQN, for one, adds to its policy_kwargs
    for name in CLASSES:
        path = made.get(name)
        if isinstance(path, str) and "." in path:
            made[name] = imported(name, *path.rsplit(".", 1))
            _check_type(name, type[Any], made[name])
    deviation = made.pop("noise_std", None)
    if deviation is not None and isinstance(action_space, spaces.Box):
        zeros = np.zeros(action_space.shape)
        made["action_noise"] = NormalActionNoise(zeros, zeros + deviation)
    return made


def imported(argument: str, module: str, name: str) -> Any:
    """Return what a module has under a name."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(f"{argument}: {module}:{name} cannot be imported: {error}") from error


def _type_hints(function: Any) -> dict[str, Any]:
    """Return a function's annotations as types; none where one of them cannot be resolved."""
    try:  # Stable-Baselines3's `GymEnv` needs a name that few of its modules import
        return typing.get_type_hints(function, localns={"VecEnv": VecEnv})
    except (NameError, TypeError, AttributeError):
        return {}


def _check_type(name: str, expected: Any, value: object) -> None:
    try:
        TypeAdapter(expected, config=_CONFIG).validate_python(value)
    except ValidationError as error:
        messages = [each["msg"].replace("Input should be ", "") for each in error.errors()]
        wanted = " or ".join(dict.fromkeys(messages))
        raise InvalidSettings(f"{name}: expected {wanted}, got {reprlib.repr(value)}") from None


def _check_bounds(name: str, value: object) -> None:
    least, greatest = BOUNDS.get(name, (-LARGEST, LARGEST))
    if type(value) in (int, float):
        require(
            least <= value <= greatest,  # type: ignore[operator]
            f"{name}: expected a number from {least:,g} to {greatest:,g}, got {value!r}",
        )
