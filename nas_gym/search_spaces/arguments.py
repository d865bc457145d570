"""Types of search spaces' arguments, for `nas_gym.settings.validated`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, TypeVar

from annotated_types import Interval
from pydantic import AfterValidator, BeforeValidator

from nas_gym.architecture import MOST_LAYERS
from nas_gym.errors import choices_hint, require
from nas_gym.outside.json_text import short

_Item = TypeVar("_Item")


def _listed(given: object) -> object:
    is_list = isinstance(given, Iterable) and not isinstance(given, (str, bytes, Mapping))
    require(is_list, f"expected a list, got {short(given)}")
    return tuple(given)  # type: ignore[arg-type]


def _distinct(given: Sequence[object]) -> Sequence[object]:
    twice = [item for place, item in enumerate(given) if item in given[:place]]
    require(not twice, f"{short(twice[0])} stands twice" if twice else "")
    return given


def subset(name: str, given: Sequence[str] | None, valid: Iterable[str]) -> tuple[str, ...]:
    """Return ``given``, at least one of the valid labels; all of them for None."""
    labels = tuple(valid)
    if given is None:
        return labels
    require(bool(given), f"{name}: the list is empty; {choices_hint('', labels)}")
    for label in given:
        hint = choices_hint(label, labels)
        require(label in labels, f"{name}: {label!r} does not exist; {hint}")
    return tuple(given)


Depth = Annotated[int, Interval(ge=1, le=MOST_LAYERS)]  # of layers, or of a cell's blocks
Listed = Annotated[Sequence[_Item], BeforeValidator(_listed)]
"""A list or another iterable, as a tuple."""
Distinct = Annotated[Sequence[_Item], BeforeValidator(_listed), AfterValidator(_distinct)]
"""The same, of distinct items."""
