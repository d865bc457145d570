"""The line of ``__init__`` that makes a layer of torch.nn."""

from __future__ import annotations

import inspect
import re
from typing import Any

from torch import nn

_NO_MATTER = ("self", "device", "dtype", "inplace", "momentum")
"""Arguments of layers that change no output in inference."""
SIZE = re.compile(r"<(\w+):(\d+)>")
"""A size in a line of ``__init__``, with the name of the layer's argument."""


def constructor(layer: nn.Module) -> str:
    """Return the call that makes a layer of torch.nn, as it is in inference, with marked sizes."""
    name = f"nn.{type(layer).__name__}"
    if isinstance(layer, nn.Sequential):
        return f"{name}({', '.join(map(constructor, layer))})"
    arguments = []
    for each in inspect.signature(type(layer).__init__).parameters.values():
        varies = each.kind in (each.VAR_POSITIONAL, each.VAR_KEYWORD)
        if varies or each.name in _NO_MATTER:
            continue
        value = getattr(layer, each.name, each.default)
        if each.name == "bias":
            value = value is not None
        if each.default is each.empty:
            arguments.append(_marked(each.name, value))
        elif _scalar(value) != each.default and not _is_usual(layer, each.name, value):
            arguments.append(f"{each.name}={_marked(each.name, value)}")
    return f"{name}({', '.join(arguments)})"


def _is_usual(layer: nn.Module, name: str, value: Any) -> bool:
    """Return True for a stride of pooling that is the default, its size."""
    return (
        name == "stride"
        and value == getattr(layer, "kernel_size", None)
        and "Pool" in type(layer).__name__
    )


def _scalar(value: Any) -> Any:
    """Return the one number of a tuple of equal ones, which layers take for it."""
    same = isinstance(value, tuple) and len(value) > 1 and len(set(value)) == 1
    return value[0] if same else value


def _marked(name: str, value: Any) -> str:
    value = _scalar(value)
    is_size = type(value) is int and value >= 0
    return f"<{name}:{value}>" if is_size else repr(value)
