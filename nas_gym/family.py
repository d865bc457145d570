"""`Family`: everything that belongs to one kind of architecture, declared once.

Every registry reads these declarations: architectures by kind, networks, drawings, supernets,
environments, published names. A part is a reference, ``"module:attribute"``, which is imported when
it is needed for the first time, so that declaring a family imports neither it nor torch.
"""

from __future__ import annotations

import importlib
import re
import reprlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import gymnasium

from nas_gym.errors import InvalidSettings, require
from nas_gym.registration import multi_objective_id, register

Reference: TypeAlias = "str | Any"
"""``"module:attribute"`` or ``"module"``, imported when it is needed; or the object itself."""

_REFERENCE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*(:[^\W\d]\w*)?")


@dataclass(frozen=True)
class Family:
    """A kind of architecture, and all that is known about it.

    Args:
        name: The name of the family, by which messages call it.
        kind: The ``kind`` of its architectures in their JSON form.
        architecture: The subclass of `nas_gym.Architecture`.
        search_space: The subclass of `nas_gym.SearchSpace`, or a function that returns one
            without arguments; none where no decisions lead to the architectures.
        network: The builder of child networks: called with an architecture, an `ImageShape` and,
            where it has an attribute ``settings_type``, settings of that type.
        drawing: A module, or an object, with ``write(sketch)`` and ``draw(sketch, new_canvas)``;
            default: the decisions as text.
        supernet: The builder of a search space's supernet; see
            `nas_gym.weight_sharing.supernet.build_supernet`.
        environments: The environment classes, by Gymnasium id. Each has a form with vector rewards
            too: ``"nas_gym/MO-NASNet-v0"`` beside ``"nas_gym/NASNet-v0"``.
        published: A mapping of published architectures, by their names in the papers.
        tables: A module that converts the benchmark's published files; see
            `nas_gym.tables.importing`.

    Raises:
        InvalidSettings: a part is neither a reference nor an object that can serve as that part.
    """

    name: str
    kind: str
    architecture: Reference
    search_space: Reference = None
    network: Reference = None
    drawing: Reference = None
    supernet: Reference = None
    environments: Mapping[str, Reference] = field(default_factory=dict)
    published: Reference = None
    tables: Reference = None

    def __post_init__(self) -> None:
        for name in ("name", "kind"):
            value = getattr(self, name)
            expected = f"{name}: expected a text, got {reprlib.repr(value)}"
            require(isinstance(value, str) and bool(value), expected)
        for name in ("architecture", *_PARTS):
            part = getattr(self, name)
            if not _is_reference(part):
                self._check(name, part)
        found = f"environments: expected a mapping, got {reprlib.repr(self.environments)}"
        require(isinstance(self.environments, Mapping), found)
        for env_id, part in self.environments.items():
            sound = _is_reference(part) or callable(part)
            _require(sound, f"environments[{env_id!r}]", "a class", part)

    def part(self, name: str) -> Any:
        """Return a part, imported if it is a reference; None where the family has none.

        Raises:
            InvalidSettings: it cannot be imported, or cannot serve as that part.
        """
        try:
            found = resolve(getattr(self, name))
        except InvalidSettings as error:
            raise InvalidSettings(f"family {self.name!r}, {name}: {error}") from error
        self._check(name, found)
        return found

    def _check(self, name: str, part: Any) -> None:
        """Raise `InvalidSettings` unless an object can serve as a part."""
        where = f"family {self.name!r}, {name}"
        if name == "architecture":
            of_kind = getattr(part, "kind", None) == self.kind
            _require(of_kind, where, f"a class of kind {self.kind!r}", part)
        elif part is not None:
            serves, expected = _PARTS[name]
            _require(serves(part), where, expected, part)


def _is_reference(part: Any) -> bool:
    return isinstance(part, str) and _REFERENCE.fullmatch(part) is not None


def _require(sound: bool, where: str, expected: str, part: Any) -> None:
    found = reprlib.repr(part)
    require(sound, f"{where}: expected 'module:attribute', or {expected}; got {found}")


def _has(*methods: str) -> Callable[[Any], bool]:
    """Return what says whether an object, or a module, has these methods."""
    return lambda part: all(callable(getattr(part, name, None)) for name in methods)


_PARTS: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(("search_space", "network", "supernet"), (callable, "a class or a function")),
    "drawing": (_has("write", "draw"), "an object with write and draw"),
    "published": (lambda part: isinstance(part, Mapping), "a mapping of architectures by name"),
    "tables": (_has("reads", "read", "check"), "an object with reads, read and check"),
}
"""What can serve as a part, and how messages say so."""


_families: dict[str, Family] = {}


def register_family(family: Family) -> Family:
    """Make a family and its environments known; it replaces one of the same name and architecture.

    Raises:
        InvalidSettings: another family has this name, or architectures of this kind.
    """
    other = family_of_kind(family.kind) or family
    require(
        other.name == family.name,
        f"kind: {family.kind!r} belongs to the family {other.name!r}; give the family "
        f"{family.name!r} a kind of its own",
    )
    replaced = _families.get(family.name)
    theirs, ours = (full_name(each.architecture) for each in (replaced or family, family))
    require(
        theirs == ours,
        f"name: {family.name!r} is the family of {theirs}; give the family of {ours} another name",
    )
    for env_id in replaced.environments if replaced else ():
        for each in (env_id, multi_objective_id(env_id)):
            gymnasium.registry.pop(each, None)
    _families[family.name] = family
    for env_id, environment in family.environments.items():
        register(env_id, environment)
        register(multi_objective_id(env_id), f"nas_gym.envs.multi_objective:{env_id}")
    return family


def registered_families() -> tuple[Family, ...]:
    """Return all registered families, in the order of their registration."""
    return tuple(_families.values())


def family_of_kind(kind: str) -> Family | None:
    """Return the family whose architectures are of this kind, if one is registered."""
    return next((family for family in _families.values() if family.kind == kind), None)


def family_of(architecture_type: type[Any]) -> Family | None:
    """Return the family of a type of architectures: its own, or that of its nearest base."""
    families = (family_of_kind(getattr(base, "kind", "")) for base in architecture_type.__mro__)
    return next((family for family in families if family is not None), None)


def full_name(reference: Reference) -> str:
    """Return ``"module:name"`` of a class or of a reference to one.

    A program's main module has the same name in its worker processes.
    """
    if isinstance(reference, str):
        return reference.replace("__mp_main__", "__main__")
    return full_name(f"{reference.__module__}:{reference.__qualname__}")


def resolve(reference: Reference) -> Any:
    """Return the object of a reference; anything that is no text is returned as it is.

    Raises:
        InvalidSettings: it cannot be imported; the message says whether the module or the
            attribute is missing.
    """
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    try:
        found = importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise InvalidSettings(
            f"{reference!r} cannot be imported: {error}; write 'module:attribute', and put the "
            "module on Python's path"
        ) from error
    missing = f"{reference!r} cannot be imported: the module {module!r} has no {attribute!r}"
    require(not attribute or hasattr(found, attribute), missing)
    return getattr(found, attribute) if attribute else found
