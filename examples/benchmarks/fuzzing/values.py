"""Values that few places want, and mutations of JSON and of bytes."""

from __future__ import annotations

import json
import math
import random
from typing import Any


def words(text: str) -> list[str]:
    """Return the words of a text."""
    return text.split()


DEEP, DIGITS = "@deep@", "@digits@"
"""Placeholders in JSON: lists nested 3,000 deep, an integer of 5,000 digits."""
NUMBERS: list[Any] = [None, True, False, 0, -1, 1, 2, 3, 7, 0.5, -0.5, 1.5, 1e9, 1e20, 1e308]
NUMBERS += [10**9, 10**20, 2**31, 2**63, 2**64, -(10**9), math.nan, math.inf, -math.inf, 100_000]
TEXTS = words("a 0 -1 1e9 nan None [/red] [bold]x \x1b[31mred \0 é \ud800 ../.. / /dev/zero %s {}")
TEXTS += words("/proc/self/mem os:system sqlite:///x digits auto cuda:99 : :smile: a:b:c")
TEXTS += ["", " ", "\n", "\r\n", "a\nb", "a" * 300, "a" * 5_000]
NESTED: list[Any] = [[], {}, [None], [[]], [0], ["a"], {"": None}, {"a": {"b": []}}, [[1, 2], [3]]]
NESTED += [[1e9], [-1], [0] * 10_000, ["a"] * 1_000, {"name": "mnasnet"}, {"name": 1}]
NESTED += [{"repeats": 0}]
EXOTIC: list[Any] = [DEEP, DIGITS, *NUMBERS, *TEXTS, *NESTED]


def exotic(rng: random.Random) -> Any:
    """Return a value that few places want."""
    return rng.choice(EXOTIC)


def to_json(value: object) -> str:
    """Return JSON in which the placeholders are replaced."""
    text = json.dumps(value)
    text = text.replace(f'"{DEEP}"', "[" * 3_000 + "]" * 3_000)
    return text.replace(f'"{DIGITS}"', "9" * 5_000)


def to_python(value: object) -> str:
    """Return Python source of a value."""
    if isinstance(value, float) and (not math.isfinite(value)):
        return f"float('{value}')"
    text = repr(value).replace("nan", "float('nan')") if isinstance(value, list | dict) else ""
    return (text or repr(value)).replace(f"'{DIGITS}'", "10**400").replace(f"'{DEEP}'", "deep()")


def argument(rng: random.Random, value: object = ...) -> str:
    """Return a value as a command line's argument; no argument can hold a NUL."""
    value = exotic(rng) if value is ... else value
    text = value if isinstance(value, str) and rng.random() < 0.8 else to_json(value)
    if text in (DEEP, DIGITS):
        text = to_json(text)
    return (
        text.replace("\0", "").encode("utf-8", "surrogatepass").decode("utf-8", "surrogateescape")
    )


def spoil_json(rng: random.Random, data: Any) -> Any:
    """Return JSON data of which one part is another value, missing, unknown or repeated."""
    data = json.loads(json.dumps(data))
    holders: list[tuple[Any, Any]] = []
    _places(data, holders)
    if not holders or rng.random() < 0.05:
        return exotic(rng)
    for _ in range(rng.choice((1, 1, 1, 2))):
        holder, key = rng.choice(holders)
        how = rng.randrange(8)
        if how == 0 and isinstance(holder, dict):
            holder.pop(key, None)
        elif how == 1 and isinstance(holder, dict):
            holder[str(exotic(rng))[:100]] = exotic(rng)
        elif how == 1:
            holder.extend(holder * rng.choice((1, 200)))
        elif how == 2 and isinstance(holder, list):
            holder.clear()
        elif isinstance(holder, dict) or key < len(holder):
            holder[key] = exotic(rng)
    return data


def _places(data: Any, found: list[tuple[Any, Any]]) -> None:
    """Find every (container, key) in JSON data."""
    keys: Any = data.items() if isinstance(data, dict) else ()
    keys = enumerate(data) if isinstance(data, list) else keys
    for key, value in keys:
        found.append((data, key))
        _places(value, found)


def spoil_bytes(rng: random.Random, data: bytes) -> bytes:
    """Return bytes that are cut, changed, doubled or garbage."""
    how = rng.randrange(7)
    at = rng.randrange(len(data) + 1)
    if how == 0:
        return data[:at]
    if how == 1:
        return data[:at] + rng.randbytes(rng.choice((1, 4, 100))) + data[at:]
    if how == 2:
        return rng.choice((b"", b"\0", b"\xff\xfe\xff", rng.randbytes(500), b"{", b"[]\n", b"\n\n"))
    if how == 3:
        return data + data
    changed = bytearray(data)
    for _ in range(rng.choice((1, 3, 30))):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def spoil_text(rng: random.Random, data: bytes) -> bytes:
    """Return a JSON or JSON-lines file, spoiled as data or as bytes."""
    if rng.random() < 0.25:
        return spoil_bytes(rng, data)
    lines = data.splitlines() if data.count(b"\n{") else [data]
    at = rng.randrange(len(lines)) if lines else 0
    try:
        lines[at] = to_json(spoil_json(rng, json.loads(lines[at]))).encode()
    except (ValueError, IndexError):
        return spoil_bytes(rng, data)
    return b"\n".join(lines) + b"\n"
