"""Settings: frozen dataclasses whose fields pydantic validates, with errors of one line.

A field's type says all that is valid: ``epochs: Positive = 20``. Types are strict: no text becomes
a number, and no number a truth value.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import re
import reprlib
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, TypeVar, cast

import pydantic
from annotated_types import Ge, Gt, Interval, Le
from pydantic import BeforeValidator, ConfigDict, ValidationError
from typing_extensions import ParamSpec, dataclass_transform

from nas_gym.errors import InvalidSettings, choices_hint

LARGEST = 2**31 - 1  # of a count: more can be neither stored nor waited for

Count = Annotated[int, Ge(0), Le(LARGEST)]
Positive = Annotated[int, Ge(1), Le(LARGEST)]
AtATime = Annotated[int, Ge(1), Le(10_000)]  # networks in lock-step
Size = Annotated[int, Ge(1), Le(2**16)]  # filters, pixels
Cells = Annotated[int, Ge(1), Le(100)]  # of a stack
Repeats = Annotated[int, Interval(ge=1, le=1_000)]  # trainings of one child
Seed = Annotated[int, Ge(0), Le(2**63 - 1)]  # as torch and NumPy take it
Share = Annotated[float, Interval(ge=0, lt=1)]  # a probability, a momentum
Keep = Annotated[float, Interval(gt=0, le=1)]  # a probability that is not 0
NonNegative = Annotated[float, Ge(0), pydantic.Field(allow_inf_nan=False)]
Scale = Annotated[float, Gt(0), Le(1024), pydantic.Field(allow_inf_nan=False)]  # a factor
Above0 = Annotated[float, Gt(0), pydantic.Field(allow_inf_nan=False)]

_CONFIG = ConfigDict(strict=True, extra="forbid", arbitrary_types_allowed=True)
_T = TypeVar("_T")
_P = ParamSpec("_P")
_R = TypeVar("_R")


@dataclass_transform(frozen_default=True, field_specifiers=(dataclasses.field, pydantic.Field))
def settings(cls: type[_T]) -> type[_T]:
    """Make a class a frozen dataclass whose fields are validated when it is made.

    A check of several fields goes into ``__post_init__``, which raises `InvalidSettings`.
    """
    made: Any = pydantic.dataclasses.dataclass(cls, frozen=True, config=_CONFIG)
    names = [field.name for field in dataclasses.fields(made)]
    made.__init__ = _in_one_line(made.__init__, names)
    return cast("type[_T]", made)


def validated(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Validate a function's arguments by their annotations, ``__init__``'s for instance.

    Raises:
        InvalidSettings: an argument is not known, missing, or not valid.
    """
    checked = pydantic.validate_call(config=_CONFIG)(function)
    return _in_one_line(checked, list(inspect.signature(function).parameters))


def _in_one_line(function: Callable[_P, _R], names: list[str]) -> Callable[_P, _R]:
    @functools.wraps(function)
    def call(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return function(*args, **kwargs)
        except ValidationError as error:
            raise _one_line(error, names) from None

    return call


def _one_line(error: ValidationError, names: list[str]) -> Exception:
    """Return the first of pydantic's errors as one line that names the value and the remedy."""
    first, *others = error.errors(include_url=False)
    place, *inner = first["loc"] or ("",)
    alike = [e for e in others if inner and e["loc"][:-1] == first["loc"][:-1]]
    branches = [each for each in alike if each["input"] is first["input"]]
    if branches:  # of a union, which pydantic names at the end of the place
        inner.pop()
    if isinstance(place, int) and place < len(names):  # a positional argument
        place = names[place]
    where = ".".join(map(str, (place, *inner)))
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidSettings):
        return InvalidSettings(f"{where}: {cause}") if where else cause
    if first["type"] in ("unexpected_keyword_argument", "no_such_attribute"):
        known = [name for name in names if name != "self"]
        return InvalidSettings(f"{where!r} is not known; {choices_hint(where, known)}")
    if first["type"].startswith("missing"):
        return InvalidSettings(f"{where!r} is missing")
    messages = [each["msg"].removeprefix("Input should be ") for each in branches]
    message = " or ".join([first["msg"].replace("Input should be ", "expected ", 1), *messages])
    message = re.sub("expected (greater|less)", r"expected a number \1", message)
    return InvalidSettings(f"{where}: {message}, got {reprlib.repr(first['input'])}")


def nested(settings_type: type[Any]) -> BeforeValidator:
    """Take a mapping of some of the settings where settings are expected.

    ``latency: Annotated[LatencySettings | None, nested(LatencySettings)] = None``
    """

    def take(given: object) -> object:
        if given is None or isinstance(given, settings_type):
            return given
        return settings_type(**_as_mapping(settings_type, given))

    return BeforeValidator(take)


def _as_mapping(settings_type: type[Any], given: object) -> Mapping[str, Any]:
    """Return ``given`` if it is a mapping; the error names the fields that it may have."""
    if isinstance(given, Mapping):
        return given
    known = ", ".join(field.name for field in dataclasses.fields(settings_type))
    raise InvalidSettings(f"expected an object with fields of {known}, got {reprlib.repr(given)}")


def from_mapping(settings_type: type[_T], where: str, given: object) -> _T:
    """Return the settings that a JSON object of their fields describes.

    Raises:
        InvalidSettings: a field is unknown, missing or not valid; the message starts with `where`.
    """
    known = [field.name for field in dataclasses.fields(settings_type)]  # type: ignore[arg-type]
    try:
        named = _as_mapping(settings_type, given)
        require_known(named, known)
        return settings_type(**named)
    except InvalidSettings as error:
        raise InvalidSettings(f"{where}: {error}") from None


def require_known(given: Iterable[str], known: Iterable[str], where: str = "") -> None:
    """Raise `InvalidSettings` for the first name that is not known, with the nearest one."""
    names = list(known)
    for name in given:
        if name not in names:
            raise InvalidSettings(f"{where}{name!r} is not known; {choices_hint(name, names)}")
