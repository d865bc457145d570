"""Validation: values that are refused, and what the one line says."""

from __future__ import annotations

import dataclasses
import math
import pickle
from typing import Annotated, Any, Literal

import pytest

from nas_gym import InvalidSettings
from nas_gym.settings import NonNegative, Positive, Share, from_mapping, nested, settings, validated


@settings
class Inner:
    """Nested in `Outer`."""

    size: Positive = 1


@settings
class Outer:
    """One field of each kind."""

    epochs: Positive = 20
    rate: NonNegative = 0.1
    momentum: Share = 0.9
    nesterov: bool = True
    precision: Literal["auto", "float32"] = "auto"
    inner: Annotated[Inner | None, nested(Inner)] = None

    def __post_init__(self) -> None:
        if self.epochs == 13:
            raise InvalidSettings("epochs: 13 brings bad luck")


@validated
def take(rate: NonNegative | type[Outer]) -> None:
    """Take one of two types."""


def test_a_value_of_neither_type_is_named_with_both() -> None:
    expected = (
        r"^rate: expected a number greater than or equal to 0 or a subclass of Outer, got -1$"
    )
    with pytest.raises(InvalidSettings, match=expected):
        take(-1)


def test_they_are_frozen_dataclasses_that_pickle_and_can_be_replaced() -> None:
    outer = Outer(epochs=3, inner={"size": 2})  # type: ignore[arg-type]
    assert dataclasses.asdict(outer)["inner"] == {"size": 2}
    assert dataclasses.replace(outer, epochs=4).epochs == 4
    assert pickle.loads(pickle.dumps(outer)) == outer
    with pytest.raises(dataclasses.FrozenInstanceError):
        outer.epochs = 5  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": 0}, r"^epochs: expected a number greater than or equal to 1, got 0$"),
        ({"epochs": "3"}, r"^epochs: expected a valid integer, got '3'$"),
        ({"epochs": True}, r"^epochs: expected a valid integer, got True$"),
        ({"epochs": 10**30}, r"^epochs: expected a number less than or equal to 2147483647"),
        ({"epochs": 13}, r"^epochs: 13 brings bad luck$"),
        ({"rate": math.nan}, r"^rate: expected a finite number, got nan$"),
        ({"rate": 10**400}, r"^rate: expected a valid number, got 1000"),
        ({"momentum": 1}, r"^momentum: expected a number less than 1, got 1$"),
        ({"nesterov": 1}, r"^nesterov: expected a valid boolean, got 1$"),
        ({"precision": "autoo"}, r"^precision: expected 'auto' or 'float32', got 'autoo'$"),
        ({"precision": "x" * 10_000}, r"^precision: .{,100}$"),
        ({"inner": {"size": 0}}, r"^inner: size: expected a number greater than or equal to 1"),
        ({"inner": {"sizes": 1}}, r"^inner: 'sizes' is not known; did you mean 'size'\?"),
        ({"inner": 5}, r"^inner: expected an object with fields of size, got 5$"),
        ({"epoch": 1}, r"^'epoch' is not known; did you mean 'epochs'\?"),
    ],
)
def test_the_error_is_one_line_that_names_value_and_remedy(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InvalidSettings, match=message):
        Outer(**values)
    with pytest.raises(InvalidSettings, match=r"^here: "):
        from_mapping(Outer, "here", values)


def test_a_mapping_is_expected_to_be_one() -> None:
    with pytest.raises(InvalidSettings, match=r"^here: expected an object with fields of epochs"):
        from_mapping(Outer, "here", 3)


def test_the_arguments_of_a_function_are_validated() -> None:
    class Agent:
        @validated
        def __init__(self, space: object, population: Positive = 3) -> None:
            self.population = population

    assert Agent(None, 5).population == 5
    with pytest.raises(InvalidSettings, match="population: expected a number greater"):
        Agent(None, 0)
    with pytest.raises(InvalidSettings, match="did you mean 'population'"):
        Agent(None, populations=3)  # type: ignore[call-arg]
