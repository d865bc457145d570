"""A child network's design as a value: frozen, hashable, JSON in and JSON out. No torch here.

A family of architectures subclasses `Architecture` beside its search space, names its ``kind``,
and converts its body to and from plain JSON data; all else (version, key, dispatch) is here.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from nas_gym.errors import NASGymError, choices_hint, require
from nas_gym.family import family_of_kind, full_name, registered_families
from nas_gym.outside.json_text import read_json_file, read_json_text, short, short_name

VERSION = 1
"""Version of the JSON form; a reader accepts this one and earlier ones."""
_KEY_VERSION = 1  # part of what a key digests; it never changes, so that stores stay valid

MOST_LAYERS = 256  # or blocks of a cell: six times NAS's longest, 39
MOST_FILTERS = 2**16  # of a layer
LARGEST_FILTER = 2**10  # its height and its width, and the largest stride

_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class InvalidArchitecture(NASGymError):
    """An architecture is malformed; the message says where in it, and what is wrong."""


class UnknownKind(InvalidArchitecture):
    """No family in this process has architectures of this kind."""


class Architecture(ABC):
    """A child network's design: which element was chosen in every place.

    Subclasses are frozen dataclasses that validate themselves when made, so every `Architecture`
    is valid. Two of them are equal when all their choices are; they are *the same network* when
    their `key` is equal.

    Raises:
        InvalidSettings: a subclass takes a ``kind`` that another class has.
    """

    kind: ClassVar[str]
    """The family's name in the JSON form."""
    _kinds: ClassVar[dict[str, type[Architecture]]] = {}

    def __init_subclass__(cls, *, kind: str, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        theirs, ours = full_name(Architecture._kinds.get(kind, cls)), full_name(cls)
        same = theirs == ours  # where a notebook's cell runs again
        require(same, f"kind: {kind!r} belongs to {theirs}; give {ours} a kind of its own")
        cls.kind = kind
        Architecture._kinds[kind] = cls

    @abstractmethod
    def body(self) -> dict[str, Any]:
        """Return the architecture as plain JSON data, without its ``kind`` and ``version``."""

    @classmethod
    @abstractmethod
    def from_body(cls, body: Mapping[str, Any]) -> Architecture:
        """Build an architecture from what `body` returned.

        Raises:
            InvalidArchitecture: where and what is wrong.
        """

    def canonical(self) -> Architecture:
        """Return the representative of all architectures that are the same network as this one."""
        return self

    def sketch(self) -> object:
        """Return the architecture as a value that `nas_gym.rendering` can draw."""
        return self

    @cached_property
    def key(self) -> str:
        """32 hexadecimal digits, equal for the same network in whatever order it was chosen."""
        text = _write({**self.canonical().to_dict(), "version": _KEY_VERSION})
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the architecture as plain JSON data."""
        return {"version": VERSION, "kind": self.kind, **self.body()}

    def to_json(self) -> str:
        """Return one line of JSON, the same text for equal architectures."""
        return _write(self.to_dict())

    @staticmethod
    def from_dict(data: object) -> Architecture:
        """Build an architecture from what `to_dict` returned.

        Raises:
            InvalidArchitecture: ``data`` is not an architecture; the message says where.
        """
        body = dict(expect_mapping(data, "architecture"))
        version, kind = body.pop("version", None), body.pop("kind", None)
        if type(version) is not int or version < 1:
            raise InvalidArchitecture(f"version: expected {VERSION}, got {short(version)}")
        if version > VERSION:
            newer = f"{version} is newer than this nas_gym reads ({VERSION})"
            raise InvalidArchitecture(f"version: {newer}; upgrade nas_gym")
        if isinstance(kind, str) and (family := family_of_kind(kind)) is not None:
            family.part("architecture")  # its import makes the kind known
        if not isinstance(kind, str) or kind not in Architecture._kinds:
            known = {*Architecture._kinds, *(family.kind for family in registered_families())}
            hint = choices_hint(kind, sorted(known))
            raise UnknownKind(f"kind: {short(kind)} is not known; {hint}")
        return Architecture._kinds[kind].from_body(body)

    @staticmethod
    def from_json(text: str) -> Architecture:
        """Build an architecture from what `to_json` returned.

        Raises:
            InvalidArchitecture: the text is not JSON, or not an architecture.
        """
        return Architecture.from_dict(read_json_text(text, error=InvalidArchitecture))

    def save(self, path: str | Path) -> None:
        """Write the architecture to a JSON file that a person can read."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> Architecture:
        """Read an architecture from a JSON file.

        Raises:
            InvalidArchitecture: the file cannot be read, or holds no architecture.
        """
        data = read_json_file(path, error=InvalidArchitecture)
        try:
            return Architecture.from_dict(data)
        except InvalidArchitecture as error:
            raise type(error)(f"{short_name(path)}: {error}") from error


def published_architectures() -> dict[str, Architecture]:
    """Return every published architecture of every family, by its name in the paper."""
    parts = [family.part("published") or {} for family in registered_families()]
    return {name: architecture for part in parts for name, architecture in part.items()}


def published(name: str) -> Architecture:
    """Return a published architecture by its name in the paper, ``"NASNet-A"`` for instance.

    Raises:
        InvalidArchitecture: no architecture of that name is known.
    """
    known = published_architectures()
    if not isinstance(name, str) or name not in known:
        hint = choices_hint(name, known)
        raise InvalidArchitecture(f"{short(name)} is no published architecture known here; {hint}")
    return known[name]


def expect_mapping(data: object, where: str) -> Mapping[str, Any]:
    """Return ``data`` if it is a JSON object, else raise `InvalidArchitecture`."""
    if not isinstance(data, Mapping):
        raise InvalidArchitecture(f"{where}: expected an object, got {type(data).__name__}")
    return data


def expect_list(data: object, where: str) -> list[Any]:
    """Return ``data`` as a list if it is a JSON array, else raise `InvalidArchitecture`."""
    if not isinstance(data, (list, tuple)):
        raise InvalidArchitecture(f"{where}: expected a list, got {type(data).__name__}")
    return list(data)


def expect_fields(data: object, names: Sequence[str], where: str) -> Mapping[str, Any]:
    """Return ``data`` if it is a JSON object with exactly these fields.

    Raises:
        InvalidArchitecture: it is not; the message names the first few missing and unknown fields.
    """
    fields = expect_mapping(data, where)
    missing = [name for name in names if name not in fields]
    unknown = [short_name(name) for name in fields if name not in names]
    found = [f"missing {', '.join(missing[:5])}"] if missing else []
    found += [f"unknown {', '.join(unknown[:5])}"] if unknown else []
    if found:
        raise InvalidArchitecture(f"{where}: {'; '.join(found)}; expected {', '.join(names)}")
    return fields


def expect_label(label: object, valid: Iterable[str], where: str) -> None:
    """Raise `InvalidArchitecture` unless ``label`` is one of the valid ones."""
    labels = tuple(valid)
    if label not in labels:
        hint = choices_hint(label, labels)
        raise InvalidArchitecture(f"{where}: {short(label)} is not known; {hint}")


def expect_integer(value: object, least: int, most: int, where: str) -> None:
    """Raise `InvalidArchitecture` unless ``value`` is an integer from ``least`` to ``most``."""
    if type(value) is not int or not least <= value <= most:
        expected = f"expected an integer from {least} to {most:,}"
        raise InvalidArchitecture(f"{where}: {expected}, got {short(value)}")


def expect_length(items: Sequence[object], most: int, where: str) -> None:
    """Raise `InvalidArchitecture` unless there are 1 to ``most`` items."""
    if not 1 <= len(items) <= most:
        expected = f"expected at least one and at most {most:,}"
        raise InvalidArchitecture(f"{where}: {expected}, got {len(items):,}")
