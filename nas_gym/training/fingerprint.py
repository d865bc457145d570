"""Fingerprints: digests of everything but the architecture that can change an evaluation.

The code of the networks counts, and that of a task of one's own: the qualified name of the function
or class, its source, and the source of the module that it is in. Comments and docstrings do not
count, and other modules that it imports do not either: `RECIPE` stands for those of nas_gym.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import inspect
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import asdict
from types import FunctionType
from typing import Any

import torch

from nas_gym.architecture import Architecture
from nas_gym.family import family_of, registered_families
from nas_gym.training.settings import LearningSettings

RECIPE = 3
"""Version of nas_gym's training: raised whenever its code builds, trains or validates differently
under the same settings."""
ADDED = (
    *("count_activations", "at_most", "optimizer", "warmup_epochs", "ema_decay"),
    *("resized_crop", "rand_augment", "rand_augment_magnitude", "mixup", "cutmix"),
    *("class_balance", "fused", "deterministic"),
)
"""Settings that are no part of a fingerprint where they are as they are by default."""

# Prefixes of the names of modules whose code does not count:
_LIBRARIES = (
    *("torch.", "builtins", "abc", "typing"),
    *("nas_gym.networks.", "nas_gym.training.tasks."),
)
# By the id of a builder, which stays its own as long as it is kept here:
_digests: dict[int, tuple[object, str]] = {}


def digest(**facts: object) -> str:
    """Return 32 hexadecimal digits that follow from the recipe and from JSON-able facts."""
    return _hash(json.dumps({"recipe": RECIPE, **facts}, sort_keys=True))


def settings_facts(settings: LearningSettings, device: torch.device) -> dict[str, Any]:
    """Return those of a child's settings that can change its evaluation on a device."""
    facts = asdict(settings)
    facts["inherit_weights"] = settings.inherit_weights is not None
    facts["cuda_graphs"] = bool(settings.cuda_graphs) and device.type == "cuda"
    if settings.early_stopping is not None:
        del facts["early_stopping"]["curves"]
    if settings.latency is None:
        del facts["latency"]
    else:
        facts["latency"] = settings.latency.facts(device)
    for added in ADDED:
        if added in facts and facts[added] == getattr(type(settings), added):
            del facts[added]
    return facts


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=16).hexdigest()


def builder_digests(part: str, architecture_type: type[Architecture] | None) -> dict[str, str]:
    """Return the digest of what builds a family's networks, by the family's name.

    ``part`` is "network" or "supernet"; without a type, all registered families count.
    """
    families = registered_families()
    if architecture_type is not None:
        family = family_of(architecture_type)
        families = () if family is None else (family,)
    builders = {family.name: family.part(part) for family in families}
    return {name: code_digest(builder) for name, builder in builders.items() if builder is not None}


def task_digests(task_type: type[Any]) -> dict[str, str]:
    """Return the digest of a task's code, by a name; none of nas_gym's own tasks."""
    is_own = not task_type.__module__.startswith("nas_gym.")
    return {"own task": code_digest(task_type)} if is_own else {}


def code_digest(builder: Callable[..., Any]) -> str:
    """Return a digest of a function's, a class's or a callable object's code and parameters."""
    if id(builder) not in _digests:
        _digests[id(builder)] = (builder, _hash("\n".join(_facts_of(builder))))
    return _digests[id(builder)][1]


def _facts_of(builder: Any) -> Iterator[str]:
    if isinstance(builder, functools.partial):
        yield _text((builder.args, builder.keywords))
        yield from _facts_of(builder.func)
    elif isinstance(builder, type):
        for base in builder.__mro__:
            if not base.__module__.startswith(_LIBRARIES):
                yield from _facts_of_code(base, [*vars(base).values()])
    elif inspect.isfunction(inspect.unwrap(builder)):
        yield from _facts_of_code(inspect.unwrap(builder), [inspect.unwrap(builder)])
    elif inspect.ismethod(builder):
        yield from _facts_of(builder.__self__)
        yield from _facts_of(builder.__func__)
    else:
        yield _text(getattr(builder, "__dict__", None))
        yield from _facts_of(type(builder))


def _facts_of_code(named: Any, members: list[Any]) -> Iterator[str]:
    yield named.__qualname__
    if named.__module__ not in ("__main__", "__mp_main__"):  # one module by two names
        yield named.__module__
    yield _source(sys.modules.get(named.__module__))
    for function in members:
        if isinstance(function, FunctionType):
            code = function.__code__
            yield _source(function) or _text((code.co_code, code.co_names, code.co_consts))
            cells = [cell.cell_contents for cell in function.__closure__ or ()]
            yield _text((function.__defaults__, function.__kwdefaults__, cells))


def _source(of: Any) -> str:
    try:
        source = inspect.getsource(of)
    except (OSError, TypeError, SyntaxError):  # made by exec, or typed at a prompt
        return ""
    try:
        return ast.unparse(_WithoutDocstrings().visit(ast.parse(textwrap.dedent(source))))
    except (SyntaxError, RecursionError):  # a lambda in the middle of a line
        return source


class _WithoutDocstrings(ast.NodeTransformer):
    def visit_Expr(self, node: ast.Expr) -> ast.Expr | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node


def _text(value: object) -> str:
    # Without addresses, which differ between processes.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(value))
