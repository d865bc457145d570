"""What a child network is, as a value: frozen, hashable, JSON in and JSON out. No torch here.

A family of architectures (cells, chains, ...) subclasses `Architecture` beside its search space,
names its ``kind``, and says how its body reads and writes as plain JSON data; everything else,
the version, the key, the dispatch on ``kind``, is here.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from nas_gym.errors import NASGymError, choices_hint
from nas_gym.family import family_of_kind, registered_families

VERSION = 1
"""Version of the JSON form; a reader accepts this one and earlier ones."""

_write = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class InvalidArchitecture(NASGymError):
    """An architecture is malformed; the message says where in it, and what is wrong."""


class UnknownKind(InvalidArchitecture):
    """No family in this process has architectures of this kind."""


class Architecture(ABC):
    """A child network's design: which element was chosen in every place.

    Subclasses are frozen dataclasses that validate themselves when made, so an `Architecture` in
    hand is a sound one. Two of them are equal when they were chosen alike; they are *the same
    network* when their `key` is equal.
    """

    kind: ClassVar[str]
    """The family's name in the JSON form."""
    _kinds: ClassVar[dict[str, type[Architecture]]] = {}

    def __init_subclass__(cls, *, kind: str, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls.kind = kind
        Architecture._kinds[kind] = cls

    @abstractmethod
    def body(self) -> dict[str, Any]:
        """The architecture as plain JSON data, without its ``kind`` and ``version``."""

    @classmethod
    @abstractmethod
    def from_body(cls, body: Mapping[str, Any]) -> Architecture:
        """The inverse of `body`.

        Raises:
            InvalidArchitecture: where and what is wrong.
        """

    def canonical(self) -> Architecture:
        """The representative of all architectures that are the same network as this one."""
        return self

    def sketch(self) -> object:
        """The architecture as a value that `nas_gym.rendering` can draw."""
        return self

    @property
    def key(self) -> str:
        """32 hexadecimal digits, equal for the same network whatever order it was chosen in."""
        text = self.canonical().to_json()
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The architecture as plain JSON data."""
        return {"version": VERSION, "kind": self.kind, **self.body()}

    def to_json(self) -> str:
        """One line of JSON; the same text for equal architectures."""
        return _write(self.to_dict())

    @staticmethod
    def from_dict(data: object) -> Architecture:
        """The inverse of `to_dict`.

        Raises:
            InvalidArchitecture: ``data`` is not an architecture; the message says where.
        """
        fields = expect_mapping(data, "architecture")
        version = fields.get("version")
        if type(version) is not int or version < 1:
            raise InvalidArchitecture(f"version: expected {VERSION}, got {version!r}")
        if version > VERSION:
            raise InvalidArchitecture(
                f"version: {version} is newer than this nas_gym reads ({VERSION}); upgrade nas_gym"
            )
        kind = fields.get("kind")
        family = family_of_kind(kind) if isinstance(kind, str) else None
        if family is not None:
            family.part("architecture")  # its import makes the kind known
        if not isinstance(kind, str) or kind not in Architecture._kinds:
            known = {*Architecture._kinds, *(family.kind for family in registered_families())}
            raise UnknownKind(f"kind: {kind!r} is not known; {choices_hint(kind, sorted(known))}")
        body = {name: fields[name] for name in fields if name not in ("version", "kind")}
        return Architecture._kinds[kind].from_body(body)

    @staticmethod
    def from_json(text: str) -> Architecture:
        """The inverse of `to_json`.

        Raises:
            InvalidArchitecture: the text is not JSON, or not an architecture.
        """
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InvalidArchitecture(f"not JSON: {error}") from error
        return Architecture.from_dict(data)

    def save(self, path: str | Path) -> None:
        """Write the architecture to a JSON file that a person can read."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=2) + "\n", encoding="utf-8")

    @staticmethod
    def load(path: str | Path) -> Architecture:
        """Read an architecture from a JSON file.

        Raises:
            InvalidArchitecture: the file cannot be read, or holds no architecture.
        """
        try:
            text = Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            raise InvalidArchitecture(f"{path}: cannot be read: {error}") from error
        try:
            return Architecture.from_json(text)
        except InvalidArchitecture as error:
            raise type(error)(f"{path}: {error}") from error


def published_architectures() -> dict[str, Architecture]:
    """Return every published architecture of every family, by its name in the paper."""
    known: dict[str, Architecture] = {}
    for family in registered_families():
        known |= family.part("published") or {}
    return known


def published(name: str) -> Architecture:
    """Return a published architecture by its name in the paper, ``"NASNet-A"`` for instance.

    Raises:
        InvalidArchitecture: no architecture of that name is known.
    """
    known = published_architectures()
    if name not in known:
        raise InvalidArchitecture(
            f"{name!r} is no published architecture known here; {choices_hint(name, known)}"
        )
    return known[name]


def expect_mapping(data: object, where: str) -> Mapping[str, Any]:
    """``data`` if it is a JSON object, else `InvalidArchitecture`."""
    if not isinstance(data, Mapping):
        raise InvalidArchitecture(f"{where}: expected an object, got {type(data).__name__}")
    return data


def expect_list(data: object, where: str) -> list[Any]:
    """``data`` as a list if it is a JSON array, else `InvalidArchitecture`."""
    if not isinstance(data, (list, tuple)):
        raise InvalidArchitecture(f"{where}: expected a list, got {type(data).__name__}")
    return list(data)


def expect_fields(data: Mapping[str, Any], names: tuple[str, ...], where: str) -> None:
    """Raise `InvalidArchitecture` unless ``data`` has exactly the fields ``names``."""
    missing = [name for name in names if name not in data]
    unknown = [str(name) for name in data if name not in names]
    if missing or unknown:
        found = "; ".join(
            f"{what} {', '.join(fields)}"
            for what, fields in (("missing", missing), ("unknown", unknown))
            if fields
        )
        raise InvalidArchitecture(f"{where}: {found}; expected {', '.join(names)}")
