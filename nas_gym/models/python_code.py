"""Writes a model as Python that a person can read, and that needs torch alone.

The network's blocks become classes; blocks that differ in sizes alone share one, whose arguments
are those sizes. A layer's line in ``__init__`` is its constructor; ``forward`` is what was traced.
"""

from __future__ import annotations

import inspect
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from nas_gym.errors import InvalidSettings
from nas_gym.models.model import Model
from nas_gym.models.tracing import Block, trace

LONGEST = 96
"""Characters of a statement from which on its parts get lines of their own."""
_OPERATORS = {
    **{operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"},
    **{operator.matmul: "@", operator.floordiv: "//"},
}
_NO_MATTER = ("self", "device", "dtype", "inplace", "momentum")
"""Arguments of layers that change no output in inference."""
_SIZE = re.compile(r"<(\w+):(\d+)>")
"""A size in a line of ``__init__``, with the name of the layer's argument."""


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
        lines = [_SIZE.sub("", line) for line in self.layers]
        return (self.name, tuple(self.parameters), tuple(lines), tuple(self.statements))

    @property
    def sizes(self) -> list[tuple[str, str]]:
        """The sizes in the order of their lines, each with its name."""
        return _SIZE.findall("\n".join(self.layers))


def write_python(model: Model, heading: str) -> tuple[str, dict[str, Tensor]]:
    """Return the source of a module that computes what a plain model does, and its weights.

    Args:
        model: A model as `nas_gym.models.plain.plain` makes it.
        heading: Content of the comment at the top.

    Raises:
        InvalidSettings: the network computes something that cannot be written.
    """
    images = model.image_shape.batch(2, torch.device("cpu"))
    try:
        blocks = trace(model, images)
    except (TypeError, RuntimeError, fx.proxy.TraceError) as error:
        says = f"format: this network cannot be traced, so it is not written as Python: {error}"
        raise InvalidSettings(f"{says}; take --format torch-export") from error
    root = _Writer(blocks[""], blocks).written()
    written = {path: _Writer(each, {}).written() for path, each in blocks.items() if path}
    classes, calls = _classes(written)
    root.layers = [calls.get(line, line) for line in root.layers]
    names = dict(root.tensors)
    for path, each in written.items():
        names |= {f"{_attribute(path)}.{ours}": f"{path}.{n}" for ours, n in each.tensors.items()}
    state = model.state_dict()
    source = _TEMPLATE.format(
        comment="\n".join(f"# {line}".rstrip() for line in heading.splitlines()),
        image=", ".join(["B", *map(str, images.shape[1:])]),
        number=len(model.classes),
        classes="".join(f"    {name!r},\n" for name in model.classes),
        blocks="".join(f"{each}\n\n" for each in classes),
        network=_class_source("Network", "The whole network.", [], root),
    )
    return source, {ours: state[name] for ours, name in names.items()}


class _Writer:
    """Writes one block."""

    def __init__(self, block: Block, blocks: Mapping[str, Block]) -> None:
        self.block, self._blocks = block, blocks
        self.result = Written(type(block.module).__name__.removesuffix("Module"))
        self._names: dict[fx.Node, str] = {}
        self._texts: dict[fx.Node, str] = {}  # of nodes that are part of another statement
        self._taken: set[str] = set()

    def written(self) -> Written:
        for node in self.block.graph.nodes:
            if node.op == "placeholder":
                if node.users:
                    self.result.parameters.append(
                        self._named(node, re.sub(r"_\d+$", "", node.name))
                    )
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
        name = self._named(node, _attribute(label) if label else _variable(node))
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
        name = _attribute(path)
        line = path if path in self._blocks else f"self.{name} = {_constructor(layer)}"
        if line not in self.result.layers:
            self.result.layers.append(line)
            if path not in self._blocks:
                state = layer.state_dict()
                self.result.tensors |= {f"{name}.{each}": f"{path}.{each}" for each in state}
        return f"self.{name}({call})"

    def _tensor(self, path: str) -> str:
        """Return a tensor that ``forward`` uses itself, and have it made in ``__init__``."""
        tensor = operator.attrgetter(path)(self.block.module)
        name, shape = _attribute(path), tuple(tensor.shape)
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


def _attribute(path: str) -> str:
    return path.removeprefix("network.").replace(".", "_")


def _variable(node: fx.Node) -> str:
    if node.op == "call_module":
        return _attribute(str(node.target))
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


def _constructor(layer: nn.Module) -> str:
    """Return the call that makes a layer of torch.nn, as it is in inference, with marked sizes."""
    name = f"nn.{type(layer).__name__}"
    if isinstance(layer, nn.Sequential):
        return f"{name}({', '.join(map(_constructor, layer))})"
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


def _classes(written: Mapping[str, Written]) -> tuple[list[str], dict[str, str]]:
    """Return the sources of the blocks' classes, and the line that makes each block."""
    forms: dict[tuple[object, ...], list[str]] = {}
    for path, each in written.items():
        forms.setdefault(each.form, []).append(path)
    kinds = [form[0] for form in forms]
    sources, calls = [], {}
    for number, (form, paths) in enumerate(forms.items()):
        several = kinds.count(form[0]) > 1
        name = f"{form[0]}{kinds[: number + 1].count(form[0]) if several else ''}"
        arguments, values = _arguments([written[path] for path in paths])
        where = ", ".join(map(_attribute, paths))
        sources.append(_class_source(name, f"Used as: {where}.", arguments, written[paths[0]]))
        for path, given in zip(paths, values, strict=True):
            named = zip(dict.fromkeys(a for a in arguments if a), given, strict=True)
            call = f"{name}({', '.join(f'{a}={v}' for a, v in named)})"
            calls[path] = f"self.{_attribute(path)} = {call}"
    return sources, calls


def _arguments(blocks: Sequence[Written]) -> tuple[list[str], list[list[str]]]:
    """Return the argument of each size, "" for one that is equal in all blocks; and their values.

    Sizes that agree in every block are one argument, which has the name of the first.
    """
    columns = list(zip(*(each.sizes for each in blocks), strict=True))
    names: dict[tuple[str, ...], str] = {}
    arguments = []
    for column in columns:
        values = tuple(value for _, value in column)
        if len(set(values)) == 1:
            arguments.append("")
            continue
        if values not in names:
            first, number = column[0][0], 2
            unique = first
            while unique in names.values():
                unique, number = f"{first}_{number}", number + 1
            names[values] = unique
        arguments.append(names[values])
    return arguments, [list(row) for row in zip(*names, strict=True)] or [[] for _ in blocks]


def _class_source(name: str, says: str, arguments: Sequence[str], block: Written) -> str:
    given = iter(arguments)

    def size(found: re.Match[str]) -> str:
        return next(given, "") or found[2]

    layers = [_SIZE.sub(size, line) for line in block.layers]
    taken = "".join(f", {each}: int" for each in dict.fromkeys(filter(None, arguments)))
    inputs = "".join(f", {each}: Tensor" for each in block.parameters)
    lines = [
        *(f"class {name}(nn.Module):", *_wrapped(f'"""{says}"""'), ""),
        *(f"    def __init__(self{taken}) -> None:", "        super().__init__()"),
        *(line for layer in layers for line in _broken(layer)),
        *("", f"    def forward(self{inputs}) -> Tensor:"),
        *(line for statement in block.statements for line in _broken(statement)),
    ]
    return "\n".join(lines) + "\n"


def _wrapped(text: str) -> Iterator[str]:
    line = "   "
    for word in text.split(" "):
        if len(line) + len(word) >= LONGEST:
            yield line
            line = "   "
        line += f" {word}"
    yield line


def _broken(text: str, indent: int = 8) -> list[str]:
    """Return a statement in lines that are short enough, broken at the commas of its last call."""
    opening = _opening(text)
    if indent + len(text) <= LONGEST or opening is None:
        return [" " * indent + text]
    parts = _parts(text[opening + 1 : -1])
    lines = []
    for part in parts:
        *before, last = _broken(part, indent + 4)
        lines += [*before, last + "," * (len(parts) > 1)]  # of one, a comma could make a tuple
    return [" " * indent + text[: opening + 1], *lines, " " * indent + text[-1]]


def _opening(text: str) -> int | None:
    """Return the place of the bracket that the last character closes, if it does."""
    depth = 0
    for place in reversed(range(len(text))):
        depth += (text[place] in ")]") - (text[place] in "([")
        if depth == 0:
            return place if text[place] in "([" else None
    return None


def _parts(text: str) -> list[str]:
    """Split a text at the commas outside of brackets."""
    parts, depth, start = [], 0, 0
    for place, each in enumerate(text):
        depth += (each in "([") - (each in ")]")
        if each == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    return [part for part in (*parts, text[start:].strip()) if part]


_TEMPLATE = '''{comment}
"""A trained network. Images ({image}), float in [0, 1], in; logits (B, {number}) out.

    network = load()  # with the weights in the file beside this one
    probabilities = network(images).softmax(dim=1)

The class of column k is CLASSES[k]. It needs torch alone.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: F401

CLASSES = (
{classes})


{blocks}{network}

def load(weights: str | Path = Path(__file__).with_suffix(".safetensors")) -> Network:
    """Return the network in evaluation mode, with the weights of a safetensors file."""
    network = Network()
    network.load_state_dict(read_safetensors(weights))
    return network.eval()


def read_safetensors(path: str | Path) -> dict[str, Tensor]:
    """Read tensors by name: eight bytes give the header's size, and the header where each is."""
    content = bytearray(Path(path).read_bytes())
    start = 8 + int.from_bytes(content[:8], "little")
    types = {{"F32": torch.float32, "I64": torch.int64}}
    tensors = {{}}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            first, end = (start + offset for offset in entry["data_offsets"])
            values = torch.frombuffer(bytearray(content[first:end]), dtype=types[entry["dtype"]])
            tensors[name] = values.reshape(entry["shape"])
    return tensors
'''
