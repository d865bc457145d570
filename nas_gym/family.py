"""`Family`: everything that belongs to one kind of architecture, declared once.

Every registry reads these declarations: architectures by kind, networks, drawings, supernets,
environments, published names. A part is a reference, ``"module:attribute"``, which is imported when
it is needed for the first time, so that declaring a family imports neither it nor torch.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nas_gym.errors import InvalidSettings
from nas_gym.registration import register, unregister

Reference: TypeAlias = "str | Any"
"""``"module:attribute"`` or ``"module"``, imported when it is needed; or the object itself."""


@dataclass(frozen=True)
class Family:
    """A kind of architecture, and all that is known about it.

    Args:
        name: The name of the family, by which messages call it.
        kind: The ``kind`` of its architectures in their JSON form.
        architecture: The subclass of `nas_gym.Architecture`.
        search_space: The subclass of `nas_gym.SearchSpace`, or what makes one without arguments.
        network: What builds a child network: called with an architecture, an `ImageShape` and,
            where it has an attribute ``settings_type``, settings of that type.
        drawing: A module, or an object, with ``write(sketch)`` and ``draw(sketch, new_canvas)``;
            default: the decisions as text.
        supernet: What builds the supernet of a search space; see
            `nas_gym.weight_sharing.build_supernet`.
        environments: The environment classes, by Gymnasium id.
        published: A mapping of published architectures, by their names in the papers.
        tables: A module that converts the benchmark's published files; see
            `nas_gym.tables.importing`.
    """

    name: str
    kind: str
    architecture: Reference
    search_space: Reference
    network: Reference = None
    drawing: Reference = None
    supernet: Reference = None
    environments: Mapping[str, Reference] = field(default_factory=dict)
    published: Reference = None
    tables: Reference = None

    def part(self, name: str) -> Any:
        """Return a part, imported if it is a reference; None where the family has none."""
        return resolve(getattr(self, name))


_families: dict[str, Family] = {}


def register_family(family: Family) -> Family:
    """Make a family known, and its environments to Gymnasium; one of the same name is replaced.

    Raises:
        InvalidSettings: another family has architectures of this kind.
    """
    for other in _families.values():
        if other.kind == family.kind and other.name != family.name:
            raise InvalidSettings(
                f"kind: {family.kind!r} belongs to the family {other.name!r}; give the family "
                f"{family.name!r} a kind of its own"
            )
    for env_id in _families[family.name].environments if family.name in _families else ():
        unregister(env_id)
    _families[family.name] = family
    for env_id, environment in family.environments.items():
        register(env_id, environment)
    return family


def registered_families() -> tuple[Family, ...]:
    """Return all registered families, in the order of their registration."""
    return tuple(_families.values())


def family_of_kind(kind: str) -> Family | None:
    """Return the family whose architectures are of this kind, if one is registered."""
    return next((family for family in registered_families() if family.kind == kind), None)


def family_of(architecture_type: type[Any]) -> Family | None:
    """Return the family of a type of architectures: its own, or that of what it derives from."""
    for base in architecture_type.__mro__:
        family = family_of_kind(getattr(base, "kind", ""))
        if family is not None:
            return family
    return None


def resolve(reference: Reference) -> Any:
    """Return what a reference names; anything that is no text is returned as it is.

    Raises:
        InvalidSettings: it cannot be imported.
    """
    if not isinstance(reference, str):
        return reference
    module, _, attribute = reference.partition(":")
    try:
        found = importlib.import_module(module)
        return getattr(found, attribute) if attribute else found
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidSettings(f"{reference!r} cannot be imported: {error}") from error
