"""The classes of the blocks: what they share, and lines that are short enough."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from nas_gym.models.python_code.block import LONGEST, Written, attribute
from nas_gym.models.python_code.layers import SIZE


def classes_of(written: Mapping[str, Written]) -> tuple[list[str], dict[str, str]]:
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
        where = ", ".join(map(attribute, paths))
        sources.append(class_source(name, f"Used as: {where}.", arguments, written[paths[0]]))
        for path, given in zip(paths, values, strict=True):
            named = zip(dict.fromkeys(a for a in arguments if a), given, strict=True)
            call = f"{name}({', '.join(f'{a}={v}' for a, v in named)})"
            calls[path] = f"self.{attribute(path)} = {call}"
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


def class_source(name: str, says: str, arguments: Sequence[str], block: Written) -> str:
    """Return the source of a class, with these arguments in the place of sizes, "" for none."""
    given = iter(arguments)

    def size(found: re.Match[str]) -> str:
        return next(given, "") or found[2]

    layers = [SIZE.sub(size, line) for line in block.layers]
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
