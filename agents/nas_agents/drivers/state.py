"""States of objects as plain data and tensors, which are read back without running code of a file.

What is written is numbers, texts, tensors, and lists of these. What is read changes attributes that
the object has already, and makes instances of classes in its own module, which is imported already,
and named tuples of its package; no constructor runs.
"""

from __future__ import annotations

import sys
from collections import deque
from enum import Enum
from typing import Any

import numpy as np
import torch
from gymnasium import Space
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env import VecEnv

from nas_agents.strategies import Strategy
from nas_gym import Memory, SearchSpace
from nas_gym.rewards import CostReward

Plain = Any
"""Numbers, texts, tensors, None, and lists and dictionaries of these."""
FROM_ARGUMENTS = (SearchSpace, Memory, CostReward, Space, VecEnv, Logger)
"""Attributes that are made from arguments."""
APART = (BaseAlgorithm, torch.nn.Module, torch.optim.Optimizer, Strategy)
"""Attributes with states of their own, which whoever writes an object of `PACKAGES` writes, too."""
SCALARS = (bool, int, float, str, type(None))
PACKAGES = ("nas_agents", "stable_baselines3", "sb3_contrib")
"""Packages whose objects are written with all their attributes."""
SEQUENCES = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


class NotPlain(Exception):
    """A value has no plain form."""


def state_of(owner: object, lenient: bool = False) -> Plain:
    """Return the attributes of an object without those that are `FROM_ARGUMENTS` or `APART`.

    Args:
        owner: The object.
        lenient: Leave out texts, and what has no plain form, too; otherwise raise `NotPlain`. It is
            raised, too, where an object of the user's own has what is `APART`, a tensor with a
            gradient, or one collection in two places.
    """
    return _Writer(owner, lenient).attributes(owner)


def restore(owner: object, state: Plain) -> None:
    """Set an object's attributes to a `state_of` an object that was made with the same arguments.

    Raises:
        Exception: the state is of another object, or broken; some attributes may have changed.
    """
    _Reader(owner).attributes(owner, state)


class _Writer:
    def __init__(self, owner: object, lenient: bool) -> None:
        self.packages = (*PACKAGES, _package(type(owner)))
        self.lenient = lenient
        self.of_user = not lenient and _package(type(owner)) not in PACKAGES
        self.left_out = (*FROM_ARGUMENTS, *APART, *((str,) if lenient else ()))
        self.seen: dict[int, Any] = {}

    def attributes(self, owner: object) -> Plain:
        state = {}
        for name, value in vars(owner).items():
            if self.of_user and isinstance(value, APART):
                raise NotPlain(f"{name} has a state of its own")
            if isinstance(value, self.left_out):
                continue
            seen = dict(self.seen) if self.lenient else {}
            try:
                state[name] = self.plain(value)
            except NotPlain:
                if not self.lenient:
                    raise
                self.seen = seen
        return state

    def plain(self, value: Any) -> Plain:
        if type(value) in SCALARS:
            return value
        if isinstance(value, np.generic):
            return value.item()
        return self._data(value) or self._collection(value) or self._object(value)

    def _data(self, value: Any) -> Plain:
        if isinstance(value, bytes):
            return {"kind": "bytes", "hex": value.hex()}
        if isinstance(value, torch.Tensor):
            if self.of_user and value.requires_grad:
                raise NotPlain("a tensor has a gradient")
            return {"kind": "tensor", "data": value.detach().cpu().clone()}
        if isinstance(value, np.ndarray) and value.dtype.kind in "biuf":
            data = torch.from_numpy(np.ascontiguousarray(value).reshape(-1).view(np.uint8).copy())
            shape = list(value.shape)
            return {"kind": "array", "dtype": value.dtype.name, "shape": shape, "data": data}
        if isinstance(value, np.random.Generator):
            return {"kind": "generator", "state": self.plain(value.bit_generator.state)}
        return None

    def _collection(self, value: Any) -> Plain:
        if self.of_user and isinstance(value, (list, dict, set, deque)):
            if id(value) in self.seen:
                raise NotPlain(f"a {type(value).__name__} is in two places")
            self.seen[id(value)] = value
        if isinstance(value, dict) and type(value) is not dict:  # a Counter, a defaultdict
            raise NotPlain(f"{type(value).__name__} has no plain form")
        if isinstance(value, dict):
            pairs = [[self.plain(key), self.plain(each)] for key, each in value.items()]
            return {"kind": "dict", "items": pairs}
        if isinstance(value, deque):
            items = [self.plain(each) for each in value]
            return {"kind": "deque", "items": items, "maxlen": value.maxlen}
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            items = [self.plain(each) for each in value]
            return {"kind": "named", "class": self._name(type(value)), "items": items}
        for kind, made in SEQUENCES.items():
            if isinstance(value, made):
                return {"kind": kind, "items": [self.plain(each) for each in value]}
        return None

    def _name(self, kind: type) -> list[str]:
        """Return the module and the name of a class of named tuples."""
        if _package(kind) not in self.packages:
            raise NotPlain(f"{kind.__name__} is of another package")
        return [kind.__module__, kind.__qualname__]

    def _object(self, value: object) -> Plain:
        """Return an object of the owner's package, or of `PACKAGES`."""
        apart = isinstance(value, (type, Enum)) or callable(value) or not hasattr(value, "__dict__")
        if apart or _package(type(value)) not in self.packages:
            raise NotPlain(f"{type(value).__name__} has no plain form")
        if id(value) in self.seen:
            return {"kind": "same", "id": id(value)}
        self.seen[id(value)] = value  # kept, so that no other object gets its number
        name, state = type(value).__qualname__, self.attributes(value)
        return {"kind": "object", "class": name, "id": id(value), "state": state}


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


class _Reader:
    def __init__(self, owner: object) -> None:
        self.module = type(owner).__module__
        self.packages = (*PACKAGES, _package(type(owner)))
        self.made: dict[int, Any] = {}

    def attributes(self, owner: object, state: Plain) -> None:
        own = vars(owner)
        known = set(own or state)  # an instance that was just made has no attributes
        for name, plain in state.items():
            if name in known:
                own[name] = self.value(plain, own.get(name))

    def value(self, plain: Plain, now: Any = None) -> Any:
        """Return the value of a plain form; ``now`` is what stands in its place."""
        if not isinstance(plain, dict):
            return plain
        kind = plain["kind"]
        if kind == "same":
            return self.made[plain["id"]]
        if kind == "object":
            return self._object(plain, now)
        if "items" in plain:
            return self._collection(kind, plain, now)
        return self._data(kind, plain, now)

    def _data(self, kind: str, plain: Plain, now: Any) -> Any:
        if kind == "bytes":
            return bytes.fromhex(plain["hex"])
        if kind == "tensor":
            return plain["data"].to(now.device if isinstance(now, torch.Tensor) else "cpu")
        if kind == "generator":
            now.bit_generator.state = self.value(plain["state"])
            return now
        array = plain["data"].numpy().view(np.dtype(plain["dtype"]))
        return array.reshape(plain["shape"]).copy()

    def _collection(self, kind: str, plain: Plain, now: Any) -> Any:
        items = plain["items"]
        if kind == "dict":
            before = now if isinstance(now, dict) else {}
            keys = [self.value(key) for key, _ in items]
            values = (each for _, each in items)
            return {k: self.value(v, before.get(k)) for k, v in zip(keys, values, strict=True)}
        if kind == "deque":
            return deque(map(self.value, items), maxlen=plain["maxlen"])
        old = list(now) if isinstance(now, (list, tuple)) else []
        old += [None] * (len(items) - len(old))
        make = self._named(*plain["class"])._make if kind == "named" else SEQUENCES[kind]
        return make(map(self.value, items, old))

    def _named(self, module: str, name: str) -> Any:
        """Return a class of named tuples."""
        kind = vars(sys.modules[module])[name]
        sound = isinstance(kind, type) and issubclass(kind, tuple) and kind.__module__ == module
        if not sound or _package(kind) not in self.packages:
            raise TypeError(f"{name} is no class of named tuples in {self.packages}")
        return kind

    def _object(self, plain: Plain, now: Any) -> Any:
        """Return the object in its place, or a new one of a class in the owner's module."""
        if type(now).__qualname__ != plain["class"]:
            kind = vars(sys.modules[self.module])[plain["class"]]
            if not (isinstance(kind, type) and kind.__module__ == self.module):
                raise TypeError(f"{plain['class']} is no class of {self.module}")
            now = object.__new__(kind)
        self.made[plain["id"]] = now
        self.attributes(now, plain["state"])
        return now
