"""Records what a network computes, one graph for the network and one for each of its blocks.

It is torch.fx's symbolic tracing, in which every value is also computed: shapes, types and devices
are those of real images, so that networks whose Python depends on them can be traced.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_gym.models.plain import CONTAINERS, is_layer
from nas_gym.networks import ChildNetwork

_KNOWN = ("shape", "dtype", "device", "ndim", "is_contiguous", "size", "dim", "numel")
"""Attributes of a tensor that are facts, and no operations on it."""


@dataclass(frozen=True)
class Block:
    """A module of a network, and the operations of its ``forward``."""

    module: nn.Module
    graph: fx.Graph
    labels: Mapping[str, str]
    """Names of nodes that are the output of a module inside, and the module's path."""


def trace(model: nn.Module, images: Tensor) -> dict[str, Block]:
    """Return the graphs of a model, under "", and of the blocks it calls, by their paths.

    A block is the outermost module that is neither a layer or container of `torch.nn` nor a
    `ChildNetwork`. A layer is one node, ``call_module``; so is a block in the model's graph.
    """
    blocks: dict[str, Block] = {}
    waiting: list[tuple[str, nn.Module, dict[str, Any]]] = [("", model, {"images": images})]
    with torch.no_grad():
        while waiting:
            path, module, inputs = waiting.pop(0)
            if path in blocks:
                continue
            tracer = _Tracer(inputs, blocks_apart=module is model)
            blocks[path] = Block(module, tracer.trace(module), tracer.labels)
            waiting += tracer.called
    for each in (*list(blocks.values())[1:], blocks[""]):
        for node in each.graph.nodes:
            if "inputs" in node.meta:  # a block's: those that it uses, in its order
                used = (p for p in blocks[node.target].graph.nodes if p.op == "placeholder")
                node.args = tuple(node.meta["inputs"][p.name] for p in used if p.users)
                node.kwargs = {}
        for node in reversed(each.graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                each.graph.erase_node(node)
    return blocks


def graph_module(model: nn.Module, images: Tensor) -> fx.GraphModule:
    """Return a module that computes what a model does on images of this shape, without blocks."""
    with torch.no_grad():
        return fx.GraphModule(model, _Tracer({"images": images}, blocks_apart=False).trace(model))


class _Proxy(fx.Proxy):
    """A value that is known, too."""

    def __getattr__(self, name: str) -> Any:
        if name in _KNOWN:
            return getattr(self.node.meta["value"], name)
        return super().__getattr__(name)

    def __iter__(self) -> Any:
        call = ("call_function", operator.getitem)
        number = len(self.node.meta["value"])
        return (self.tracer.create_proxy(*call, (self, place), {}) for place in range(number))


class _Tracer(fx.Tracer):
    """Traces one module, given its inputs by name: tensors, or lists of tensors."""

    def __init__(self, inputs: Mapping[str, Any], blocks_apart: bool) -> None:
        super().__init__()
        self.inputs, self.blocks_apart = inputs, blocks_apart
        self.labels: dict[str, str] = {}
        self.called: list[tuple[str, nn.Module, dict[str, Any]]] = []
        self._computing = False

    def create_args_for_root(self, root_fn: Any, is_module: bool, concrete_args: Any = None) -> Any:
        """Return the function and its arguments; a list becomes a list of placeholders."""
        arguments: list[Any] = [self.root]
        for name, value in self.inputs.items():
            each = [self._placeholder(n, tensor) for n, tensor in _flat({name: value}).items()]
            arguments.append(each[0] if isinstance(value, Tensor) else each)
        return root_fn, arguments

    def _placeholder(self, name: str, value: Tensor) -> fx.Proxy:
        node = self.create_node("placeholder", name, (), {})
        node.meta["value"] = value
        return self.proxy(node)

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Proxy(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return is_layer(m) or (self.blocks_apart and _is_block(m))

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if self._computing:
            return forward(*args, **kwargs)
        path = self.path_of_module(m)
        if self.blocks_apart and _is_block(m):
            bound = inspect.signature(m.forward).bind(*args, **kwargs).arguments
            known = {name: fx.node.map_aggregate(each, _value_of) for name, each in bound.items()}
            self.called.append((path, m, known))
            output = super().call_module(m, forward, args, kwargs)
            output.node.meta["inputs"] = {n: p.node for n, p in _flat(bound).items()}
            return output
        output = super().call_module(m, forward, args, kwargs)
        if isinstance(output, fx.Proxy) and not self.is_leaf_module(m, path):
            self.labels[output.node.name] = path
        return output

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if self._computing:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_node(
        self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **named: Any
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, *more, **named)
        if kind not in ("placeholder", "output"):
            values = fx.node.map_aggregate((node.args, node.kwargs), _value_of)
            self._computing = True
            try:
                node.meta["value"] = self._computed(kind, target, *values)
            finally:
                self._computing = False
        return node

    def _computed(self, kind: str, target: Any, args: Any, kwargs: Any) -> Any:
        if kind == "call_function":
            return target(*args, **kwargs)
        if kind == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        if kind == "call_module":
            return self.root.get_submodule(target).forward(*args, **kwargs)
        found: Any = self.root
        for name in target.split("."):
            found = getattr(found, name)
        return found


def _flat(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs by name; those of a list by its name and their number."""
    flat: dict[str, Any] = {}
    for name, value in inputs.items():
        is_list = isinstance(value, (list, tuple))
        flat |= {f"{name}_{n}": each for n, each in enumerate(value)} if is_list else {name: value}
    return flat


def _is_block(module: nn.Module) -> bool:
    return not (isinstance(module, ChildNetwork) or is_layer(module) or type(module) in CONTAINERS)


def _value_of(value: Any) -> Any:
    node = value.node if isinstance(value, fx.Proxy) else value
    return node.meta["value"] if isinstance(node, fx.Node) else value
