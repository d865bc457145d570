"""The environments that ``ENV`` names: those of the registered families, and ``module:id``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import gymnasium as gym

from nas_gym import NASEnv, SearchSpace
from nas_gym.errors import InvalidSettings, UnknownArgument, choices_hint, require
from nas_gym.family import registered_families, resolve
from nas_gym.outside.json_text import short
from nas_gym.vector_env import has_vector_form, without_checks


def registered_search_spaces() -> dict[str, SearchSpace]:
    """Return the search space of each environment of a family, as made without arguments, by id.

    Raises:
        InvalidSettings: neither an environment nor its family names one.
    """
    spaces: dict[str, SearchSpace] = {}
    for family in registered_families():
        for env_id, reference in family.environments.items():
            default = getattr(resolve(reference), "default_search_space", None)
            made = default or family.part("search_space")
            says = f"family {family.name!r}: {env_id!r} has no search space to list"
            require(made is not None, f"{says}; give the family its search_space")
            spaces[env_id] = made()
    return spaces


def make_environment(env_id: str, arguments: Mapping[str, Any]) -> NASEnv:
    """Make the environment of a search."""
    known = [each for family in registered_families() for each in family.environments]
    where, hint = f"environment: {env_id!r}", choices_hint(env_id, known)
    module, _, rest = env_id.partition(":")
    named = bool(module) and bool(rest) and ":" not in rest
    require(env_id in gym.registry or named, f"{where} is not known; {hint}")
    mode = arguments.get("render_mode")  # Gymnasium itself fails of what is no text
    require(
        mode is None or isinstance(mode, str), f"render_mode: expected a text, got {short(mode)}"
    )
    try:
        made = gym.make(env_id, disable_env_checker=True, **arguments)
    except UnknownArgument as error:  # to whose message Gymnasium has added all arguments
        raise error.__cause__ or error from None
    except TypeError as error:
        raise InvalidSettings(f"{where} does not take these arguments: {error}") from error
    except AttributeError:
        resolve(gym.spec(env_id.rpartition(":")[2]).entry_point)  # if that is it, the error says so
        raise
    except (ImportError, gym.error.Error) as error:
        raise InvalidSettings(f"{where} cannot be made: {error}") from error
    env = made.unwrapped
    if not isinstance(env, NASEnv):
        raise InvalidSettings(f"{where} does not design networks; {hint}")
    plain = has_vector_form(env) and without_checks(made) is env
    changed = f"{where} changes what a step does, by a step() or reset() of its own or by a wrapper"
    require(plain, f"{changed}, which a search never calls; change rewards by reward=FUNCTION")
    return env


def import_module(name: str) -> None:
    """Import a module that the user named, which makes its kinds of architectures known."""
    try:
        importlib.import_module(name)
    except (ImportError, TypeError, ValueError) as error:
        raise InvalidSettings(
            f"module: {short(name)} cannot be imported ({error}); run this where Python finds it"
        ) from error
