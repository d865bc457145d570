"""A block's lines: its layers, and the statements of its ``forward``."""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional as F

from nas_gym.errors import InvalidSettings
from nas_gym.models.python_code.layers import SIZE, constructor
from nas_gym.models.tracing import Block

LONGEST = 96
"""Characters of a statement from which on its parts get lines of their own."""
_OPERATORS = {
    **{operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"},
    **{operator.matmul: "@", operator.floordiv: "//"},
}


@dataclass
class Written:
    """The lines of a block's class, and the tensors it is loaded with."""

    name: str
    """Name of the module's class."""
    parameters: list[str] = field(default_factory=list)
    """Names of ``forward``'s arguments."""
    layers: list[str] = field(default_factory=list)
    """Lines of ``__init__``, with marked sizes."""
    statements: list[str] = field(default_factory=list)
    """Lines of ``forward``."""
    tensors: dict[str, str] = field(default_factory=dict)
    """Names in the module's ``state_dict``, by names in that of the class."""

    @property
    def form(self) -> tuple[object, ...]:
        """All but the sizes: blocks of one form share a class."""
        lines = [SIZE.sub("", line) for line in self.layers]
        return (self.name, tuple(self.parameters), tuple(lines), tuple(self.statements))

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """The sizes in the order of their lines, each with its name."""
        return SIZE.findall("\n".join(self.layers))


class Writer:
    """Writes one block.

    Args:
        block: What was traced.
        blocks: The blocks that have classes of their own, by path.
    """

    def __init__(self, block: Block, blocks: Mapping[str, Block]) -> None:
        self.block, self._blocks = block, blocks
        self.result = Written(type(block.module).__name__.removesuffix("Module"))
        self._names: dict[fx.Node, str] = {}
        self._texts: dict[fx.Node, str] = {}  # of nodes that are part of another statement
        self._taken: set[str] = set()

    def written(self) -> Written:
        """Return the block's lines and tensors."""
        for node in self.block.graph.nodes:
            if node.op == "placeholder":
                if node.users:
                    self.result.parameters.append(self._named(node, _unnumbered(node.name)))
            elif node.op == "output":
                self.result.statements.append(f"return {self._text(node.args[0])}")
            elif node.users:
                self._write(node)
        return self.result

    def _write(self, node: fx.Node) -> None:
        """Write a statement, or keep the text for the one statement that it is part of."""
        text = self._expression(node)
        label = self.block.labels.get(node.name)
        last = next(iter(node.users)).op == "output"
        if len(node.users) == 1 and (last or not label) and len(text) < LONGEST - 20:
            self._texts[node] = text
            return
        if text in self._taken:  # an identity
            self._names[node] = text
            return
        name = self._named(node, attribute(label) if label else _variable(node))
        self.result.statements.append(f"{name} = {text}")

    def _named(self, node: fx.Node, name: str) -> str:
        unique, number = name, 2
        while unique in self._taken:
            unique, number = f"{name}_{number}", number + 1
        self._taken.add(unique)
        self._names[node] = unique
        return unique

    def _expression(self, node: fx.Node) -> str:
        target: Any = node.target
        if node.op == "get_attr":
            return self._tensor(target)
        if node.op == "call_module":
            return self._module_call(node)
        if node.op == "call_function" and target in _OPERATORS and len(node.args) == 2:
            return f" {_OPERATORS[target]} ".join(map(self._operand, node.args))
        if target is operator.getitem:
            return f"{self._operand(node.args[0])}[{self._index(node.args[1])}]"
        arguments = [self._text(each) for each in node.args]
        named = [f"{name}={self._text(value)}" for name, value in _given(node)]
        if node.op == "call_method":
            return f"{self._operand(node.args[0])}.{target}({', '.join([*arguments[1:], *named])})"
        return f"{_function(target)}({', '.join([*arguments, *named])})"

    def _module_call(self, node: fx.Node) -> str:
        path = str(node.target)
        layer = self.block.module.get_submodule(path)
        call = ", ".join(self._text(each) for each in node.args)
        if isinstance(layer, nn.Identity) or (isinstance(layer, nn.Dropout) and not layer.p):
            return call
        name = attribute(path)
        line = path if path in self._blocks else f"self.{name} = {constructor(layer)}"
        if line not in self.result.layers:
            self.result.layers.append(line)
            if path not in self._blocks:
                state = layer.state_dict()
                self.result.tensors |= {f"{name}.{each}": f"{path}.{each}" for each in state}
        return f"self.{name}({call})"

    def _tensor(self, path: str) -> str:
        """Return a tensor that ``forward`` uses itself, and have it made in ``__init__``."""
        tensor = operator.attrgetter(path)(self.block.module)
        name, shape = attribute(path), tuple(tensor.shape)
        if path in self.block.module.state_dict():
            made = f'self.register_buffer("{name}", torch.empty({shape}))'
            self.result.tensors[name] = path
        else:
            shortest = ", ".join(str(float(str(each))) for each in tensor.flatten().numpy())
            values = f"torch.tensor([{shortest}]).reshape{shape}"
            made = f'self.register_buffer("{name}", {values}, persistent=False)'
        if made not in self.result.layers:
            self.result.layers.append(made)
        return f"self.{name}"

    def _operand(self, value: Any) -> str:
        text = self._text(value)
        return f"({text})" if re.search(r" [-+*/@] ", _outside_brackets(text)) else text

    def _index(self, value: Any) -> str:
        if isinstance(value, tuple):
            return ", ".join(map(self._index, value))
        if isinstance(value, slice):
            parts = ("" if each is None else self._text(each) for each in (value.start, value.stop))
            step = "" if value.step is None else f":{self._text(value.step)}"
            return ":".join(parts) + step
        return self._text(value)

    def _text(self, value: Any) -> str:
        if isinstance(value, fx.Node):
            return self._names.get(value) or self._texts[value]
        if isinstance(value, (tuple, list)):
            inside = ", ".join(map(self._text, value))
            if isinstance(value, list):
                return f"[{inside}]"
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if value is None or isinstance(value, (bool, int, float, str, torch.dtype)):
            return repr(value)
        raise InvalidSettings(f"format: {value!r} cannot be written as Python")


def attribute(path: str) -> str:
    """Return the attribute under which a class has the module of this path."""
    return path.removeprefix("network.").replace(".", "_")


def _variable(node: fx.Node) -> str:
    if node.op == "call_module":
        return attribute(str(node.target))
    return _unnumbered(node.name)


def _unnumbered(name: str) -> str:
    return re.sub(r"_\d+$", "", name)


def _outside_brackets(text: str) -> str:
    before = None
    while before != text:
        before, text = text, re.sub(r"\([^()]*\)|\[[^\[\]]*\]", "", text)
    return text


def _given(node: fx.Node) -> list[tuple[str, Any]]:
    """Return the arguments given by name, without those that are as by default."""
    defaults: Mapping[str, Any] = {}
    if callable(node.target):
        try:
            signature = inspect.signature(node.target).parameters
            defaults = {name: each.default for name, each in signature.items()}
        except (TypeError, ValueError):  # a function in C
            pass
    missing = object()
    return [(n, v) for n, v in node.kwargs.items() if repr(defaults.get(n, missing)) != repr(v)]


def _function(target: Any) -> str:
    name = getattr(target, "__name__", "")
    for module, prefix in ((torch, "torch"), (F, "F")):
        if getattr(module, name, None) is target:
            return f"{prefix}.{name}"
    raise InvalidSettings(f"format: the function {target!r} cannot be written as Python")
