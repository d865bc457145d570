"""Options that several commands have, and the values that they take."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from nas_gym.errors import InvalidSettings
from nas_gym.outside.json_text import read_json_text

_F = TypeVar("_F", bound=Callable[..., Any])
PATH = click.Path(path_type=Path)


def find_modules_here() -> None:
    """Have Python look for modules in the working directory, after all other places."""
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())


def _import(context: click.Context, _: click.Parameter, modules: tuple[str, ...]) -> None:
    from nas_agents.catalogue.environments import import_module

    for module in () if context.resilient_parsing else modules:  # a shell only completes a word
        find_modules_here()
        import_module(module)


def _environment(_: click.Context, __: click.Parameter, env_id: str | None) -> str | None:
    env_id = env_id and env_id.removeprefix("nas_gym:")  # which is imported already
    if ":" in (env_id or ""):  # "module:id"
        find_modules_here()
    return env_id


env_id = partial(click.argument, "env_id", metavar="ENV", callback=_environment)
as_json = click.option(
    *("--json", "as_json"), is_flag=True, help="Print one JSON value, and nothing else."
)
cells = click.option("--cells", type=int, help="N, (normal) cells a stack.")
filters = click.option("--filters", type=int, help="Filters of the first stack.")
image_size = click.option("--image-size", type=int, help="Scale images to this size.")
module = click.option(
    "--module",
    multiple=True,
    expose_value=False,
    callback=_import,
    help="Import this module, which registers a family of your own.",
)
dataset = partial(
    click.option, "--dataset", help="A name, an .npz file, a folder of images, or a .csv of them."
)
device = partial(click.option, "--device", help="auto, cpu, cuda, cuda:N or mps.")


def pairs(flag: str, argument: str, about: str) -> Callable[[_F], _F]:
    """Return an option that takes ``NAME=VALUE`` any number of times, and becomes a dict."""
    return click.option(
        *(flag, argument),
        multiple=True,
        metavar="NAME=VALUE",
        callback=lambda _, __, texts: assignments(flag, texts),
        help=about,
    )


def given_options(context: click.Context) -> dict[str, Any]:
    """Return the arguments of a command that the user gave, without those left to defaults."""
    return {
        name: value
        for name, value in context.params.items()
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT
    }


def assignments(option: str, texts: Iterable[str]) -> dict[str, Any]:
    """Return ``name=value`` texts as a dict; see `value_of`."""
    values: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise InvalidSettings(f"{option}: expected NAME=VALUE, got {text!r}")
        values[name] = value_of(f"{option} {name}", value)
    return values


def value_of(name: str, text: str) -> Any:
    """Return the value of a text that is JSON, else the text itself."""
    try:
        json.loads(text)
    except json.JSONDecodeError:
        return text
    except (ValueError, RecursionError):
        pass  # JSON that Python refuses, of 5,000 digits for instance: so does the next line
    return read_json_text(text, name, error=InvalidSettings)
