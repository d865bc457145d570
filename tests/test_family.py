"""`Family`: declared once, from outside too, by references or by objects."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from nas_gym import Architecture, CustomArchitecture, CustomSearchSpace, Decision, InvalidSettings
from nas_gym import family as families
from nas_gym.architecture import published, published_architectures
from nas_gym.family import (
    Family,
    family_of,
    family_of_kind,
    register_family,
    registered_families,
    resolve,
)

OWN = """
from nas_gym import CustomArchitecture, CustomSearchSpace, Decision

class Own(CustomArchitecture, kind="test-own-module"):
    decisions = (Decision("width", ("8", "16")),)

def space():
    return CustomSearchSpace(Own)

PUBLISHED = {"Own-A": Own({"width": "8"})}
"""


class Outside(CustomArchitecture, kind="test-outside"):
    """Two widths."""

    decisions = (Decision("width", ("8", "16")),)


class Derived(Outside, kind="test-derived"):
    """A kind without a family of its own."""


def outside(**changes: Any) -> Family:
    parts: dict[str, Any] = {
        "name": "outside",
        "kind": "test-outside",
        "architecture": Outside,
        "search_space": lambda: CustomSearchSpace(Outside),
    }
    return Family(**{**parts, **changes})


@pytest.fixture(autouse=True)
def _as_before(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(families, "_families", dict(families._families))
    yield
    sys.modules.pop("own_family", None)


def test_a_family_registered_by_objects() -> None:
    known = {"Outside-A": Outside({"width": "16"})}
    family = register_family(outside(published=known))
    assert registered_families()[-1] is family
    assert family.part("search_space")().size == 2
    assert family.part("network") is None
    assert published("Outside-A") == Outside({"width": "16"})
    assert family_of(Outside) is family
    assert family_of(Derived) is family  # that of its nearest base
    assert family_of(int) is None


def test_a_family_registered_by_references(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_family.py").write_text(OWN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    family = register_family(
        Family(
            "own",
            "test-own-module",
            "own_family:Own",
            "own_family:space",
            published="own_family:PUBLISHED",
        )
    )
    assert "own_family" not in sys.modules
    text = '{"version": 1, "kind": "test-own-module", "choices": {"width": "8"}}'
    assert Architecture.from_json(text) == published_architectures()["Own-A"]
    assert family.part("search_space")().size == 2


def test_a_family_is_replaced_by_one_of_the_same_architecture() -> None:
    first = register_family(outside())
    second = register_family(outside(network=print))
    assert family_of_kind("test-outside") is second is not first
    assert [family.name for family in registered_families()].count("outside") == 1
    register_family(replace(second, architecture=f"{__name__}:Outside"))


def test_families_that_clash_are_refused() -> None:
    register_family(outside())
    with pytest.raises(
        InvalidSettings, match="kind: 'test-outside' belongs to the family 'outside'"
    ):
        register_family(outside(name="another"))
    with pytest.raises(InvalidSettings, match=r"name: 'outside' is the family of .*:Outside; give"):
        register_family(outside(kind="test-derived", architecture=Derived))
    with pytest.raises(InvalidSettings, match="belongs to the family 'nasnet'"):
        register_family(outside(kind="cells", architecture="own:Cells"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": ""}, "name: expected a text, got ''"),
        ({"kind": 3}, "kind: expected a text, got 3"),
        (
            {"architecture": Derived},
            "architecture: expected 'module:attribute', or a class of kind",
        ),
        ({"architecture": "not a reference"}, "architecture: expected .* got 'not a reference'"),
        ({"search_space": 3}, "search_space: expected .* got 3"),
        ({"network": 3}, "network: expected .* got 3"),
        ({"network": "module:"}, "network: expected .* got 'module:'"),
        ({"drawing": print}, "drawing: expected .* an object with write and draw"),
        ({"supernet": []}, r"supernet: expected .* got \[\]"),
        ({"published": ["A"]}, "published: expected .* a mapping of architectures"),
        ({"tables": print}, "tables: expected .* an object with reads, read and check"),
        ({"environments": "module:Env"}, "environments: expected a mapping"),
        ({"environments": {"own/Net-v0": 3}}, r"environments\['own/Net-v0'\]: expected .* got 3"),
    ],
)
def test_parts_of_a_wrong_type_are_refused_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        outside(**changes)


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("no_such_module_at_all:Net", "No module named 'no_such_module_at_all'; write 'module:"),
        ("nas_gym.family:Familly", "the module 'nas_gym.family' has no 'Familly'"),
    ],
)
def test_what_cannot_be_imported_is_named_at_the_first_use(reference: str, message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        resolve(reference)
    family = outside(network=reference)
    with pytest.raises(InvalidSettings, match=f"family 'outside', network: .*{message}"):
        family.part("network")


@pytest.mark.parametrize(
    ("part", "reference"),
    [
        ("architecture", f"{__name__}:Derived"),
        ("search_space", f"{__name__}:OWN"),
        ("drawing", f"{__name__}:Outside"),
        ("published", "math"),
        ("tables", "math"),
    ],
)
def test_what_a_reference_leads_to_is_checked_at_the_first_use(part: str, reference: str) -> None:
    family = outside(**{part: reference})
    with pytest.raises(InvalidSettings, match=f"{part}: expected 'module:attribute', or a"):
        family.part(part)


def test_a_second_class_of_a_kind_is_refused() -> None:
    with pytest.raises(InvalidSettings, match=r"kind: 'test-outside' belongs to .*:Outside; give"):

        class Thief(CustomArchitecture, kind="test-outside"):
            pass

    assert type(Architecture.from_dict(Outside({"width": "8"}).to_dict())) is Outside


def define_again(module: str) -> type[Architecture]:
    @dataclass(frozen=True)
    class Cell(Architecture, kind="test-notebook"):
        __module__ = module

        def body(self) -> dict[str, Any]:
            return {}

        @classmethod
        def from_body(cls, body: Mapping[str, Any]) -> Architecture:
            return cls()

    return Cell


def test_a_class_defined_again_replaces_itself() -> None:
    define_again("__main__")
    again = define_again("__mp_main__")  # as worker processes name the main module
    assert type(Architecture.from_json('{"version": 1, "kind": "test-notebook"}')) is again
    with pytest.raises(InvalidSettings, match="belongs to __main__:"):
        define_again("elsewhere")
