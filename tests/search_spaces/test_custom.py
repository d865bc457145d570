"""Search spaces of a user's own."""

import json
from typing import Any, cast

import numpy as np
import pytest

from nas_gym import (
    Architecture,
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    InvalidArchitecture,
    InvalidSettings,
    NASGymError,
    SearchSpace,
)
from nas_gym.networks import ImageShape, build_network
from nas_gym.rendering import overlaps, write
from tests.helpers import ConvNet

LABELS = {"depth": "2", "kernel_2": "5", "pooling": "none", "dilation_2": "4"}


def test_an_architecture_maps_decisions_to_labels() -> None:
    architecture = ConvNet(LABELS)
    assert dict(architecture) == LABELS
    assert architecture["kernel_2"] == "5"
    assert len(architecture) == 4
    assert "dilation_2" not in ConvNet({"depth": "1", "pooling": "max"})
    assert hash(architecture) == hash(ConvNet(dict(reversed(LABELS.items()))))


def test_it_survives_json() -> None:
    architecture = ConvNet(LABELS)
    again = Architecture.from_json(architecture.to_json())
    assert again == architecture
    assert isinstance(again, ConvNet)
    assert json.loads(architecture.to_json())["kind"] == "test-conv-net"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": "4"}, "choices.depth: '4' is not known; valid choices: '1', '2', '3'"),
        ({"kernel_2": None}, "'kernel_2' is missing"),
        ({"depth": "1"}, "'kernel_2' is not to be decided; it does not exist here"),
        ({"colour": "red"}, "'colour' is not to be decided; valid choices: 'depth'"),
    ],
)
def test_unsound_architectures_say_what_is_wrong(
    changes: dict[str, str | None], message: str
) -> None:
    labels = {name: label for name, label in {**LABELS, **changes}.items() if label is not None}
    with pytest.raises(InvalidArchitecture, match=message):
        ConvNet(labels)


def test_a_decision_that_does_not_exist_keeps_one_valid_choice() -> None:
    search_space = CustomSearchSpace(ConvNet)
    assert search_space.valid_choices(np.array([0])).tolist() == [True, False]
    assert search_space.valid_choices(np.array([1])).tolist() == [True, True]
    # With depth 1 there is no kernel_2, so dilation_2 has nothing to depend on.
    assert search_space.valid_choices(np.array([0, 0, 2])).tolist() == [True, False, False]
    assert dict(search_space.decode([0, 0, 2, 0])) == {"depth": "1", "pooling": "none"}
    assert search_space.size == 3 + 2 * (3 + 2 + 3)


def test_text_and_picture_list_what_was_chosen() -> None:
    search_space = CustomSearchSpace(ConvNet)
    choices = np.array([0, 0, 1, 0])
    assert write(search_space, choices).splitlines() == [
        "ConvNet: 4 of 4 decisions",
        "  depth: 1",
        "  pooling: max",
    ]
    assert write(search_space.decode(choices)).splitlines() == ["  depth: 1", "  pooling: max"]
    assert all(overlaps(search_space, choices[:step]) == [] for step in range(5))


def test_without_a_builder_the_error_names_the_remedy() -> None:
    with pytest.raises(InvalidArchitecture, match=r"register_family"):
        build_network(ConvNet(LABELS), ImageShape(1, 8, 8, 10))


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ((), "there are none"),
        ((Decision("a", ("1",)), Decision("a", ("1",))), "'a' stands twice"),
        ((Decision("a", ()),), "choices are empty"),
        (
            (Decision("a", cast(Any, "12")),),
            "choices: expected a list of labels, got '12'",
        ),
        ((Decision("a", ("1", "1")),), "a label stands twice"),
        ((Decision("a", ("1",), when={"b": ("1",)}),), "'b', on which it depends, is not before"),
        (
            (Decision("a", ("1", "2", "12")), Decision("b", ("1",), when={"a": "12"})),
            "'b': 'a': expected a list of labels, got '12'",
        ),
        (
            (Decision("a", ("1", "2")), Decision("b", ("1",), when={"a": ("3",)})),
            "'a' has no choice '3'; valid choices: '1', '2'",
        ),
        ((Decision("a", cast(Any, None)),), "choices: expected a list of labels, got None"),
        (
            (Decision("a", ("1",)), Decision("b", ("1",), when=cast(Any, ["a"]))),
            r"'b': when: expected labels by the names of earlier decisions, got \['a'\]",
        ),
        (
            (Decision("a", ("1", "2")), Decision("b", ("1",), when={"a": cast(Any, 2)})),
            "'b': 'a': expected a list of labels, got 2",
        ),
        ((cast(Any, ("a", ("1", "2"))),), r"expected Decisions with a text as name, got \('a'"),
        ((Decision(cast(Any, 1), ("1",)),), "expected Decisions with a text as name"),
    ],
)
def test_unsound_decisions_are_refused(decisions: tuple[Decision, ...], message: str) -> None:
    class Unsound(CustomArchitecture, kind="test-unsound"):
        pass

    Unsound.decisions = decisions
    with pytest.raises(InvalidSettings, match=message):
        CustomSearchSpace(Unsound)


@pytest.mark.parametrize("labels", [None, ["depth"], "depth"])
def test_labels_without_names_are_refused(labels: Any) -> None:
    with pytest.raises(InvalidArchitecture, match="choices: expected an object, got"):
        ConvNet(labels)


@pytest.mark.parametrize("num_valid", [(2,), (2, 2, 2), (3, 2), (0, 2)])
def test_as_many_choices_are_valid_as_a_decision_has(num_valid: tuple[int, ...]) -> None:
    decisions = [Decision("a", ("1", "2")), Decision("b", ("1", "2"))]
    with pytest.raises(InvalidSettings, match=r"own: num_valid: .*, \(2, 2\), got \("):
        SearchSpace("own", decisions, num_valid)


def test_choices_may_be_listed() -> None:
    listed = Decision("layer_2/skip_1", cast(Any, ["no", "yes"]))
    assert listed == Decision("layer_2/skip_1", ("no", "yes"))
    assert hash(listed) == hash(Decision("layer_2/skip_1", ("no", "yes")))


@pytest.mark.parametrize("wrong", ["a text", [], None, int])
def test_a_space_of_no_architecture_type_is_one_clear_error(wrong: Any) -> None:
    with pytest.raises(NASGymError, match="expected a subclass of CustomArchitecture"):
        CustomSearchSpace(wrong)
