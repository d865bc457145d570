"""`Decision.when` in any search space: what exists, what is valid, how much there is."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import (
    Architecture,
    CustomArchitecture,
    CustomSearchSpace,
    Decision,
    InvalidArchitecture,
    InvalidSettings,
    SearchSpace,
)
from nas_gym.search_spaces import Choices, Mask
from tests.helpers import LayersArchitecture, LayersSearchSpace

LABELS = ("a", "b", "c")


class OwnSearchSpace(SearchSpace):
    """A search space of one's own that gives decode and encode, and nothing about validity."""

    def decode(self, choices: object) -> LayersArchitecture:
        return LayersArchitecture(tuple(map(str, self.check(choices))))  # type: ignore[arg-type]

    def encode(self, architecture: Architecture) -> Choices:
        assert isinstance(architecture, LayersArchitecture)
        return np.array([int(width) for width in architecture.widths])


@st.composite
def decision_lists(draw: st.DrawFn) -> list[Decision]:
    """One to six decisions, some of which name earlier ones."""
    decisions: list[Decision] = []
    for number in range(draw(st.integers(1, 6))):
        named = (
            draw(st.lists(st.sampled_from(decisions), unique_by=id, max_size=2)) if number else []
        )
        when = {d.name: draw(st.lists(st.sampled_from(d.choices), max_size=2)) for d in named}
        decisions.append(Decision(f"d{number}", LABELS[: draw(st.integers(1, 3))], when=when))
    return decisions


def is_valid(decisions: list[Decision], num_valid: list[int], choices: tuple[int, ...]) -> bool:
    """The definition: what does not exist has its first choice, and counts as no label."""
    made: dict[str, str] = {}
    for decision, number, choice in zip(decisions, num_valid, choices, strict=True):
        if choice >= number:
            return False
        if all(made.get(name) in labels for name, labels in decision.when.items()):
            made[decision.name] = decision.choices[choice]
        elif choice:
            return False
    return True


@given(decisions=decision_lists(), data=st.data())
def test_size_and_masks_are_those_of_brute_force(
    decisions: list[Decision], data: st.DataObject
) -> None:
    num_valid = [data.draw(st.integers(1, len(decision.choices))) for decision in decisions]
    search_space = OwnSearchSpace("own", decisions, num_valid)
    every = list(product(*map(range, search_space.num_choices)))
    valid = [choices for choices in every if is_valid(decisions, num_valid, choices)]
    assert search_space.size == len(valid)
    for choices in every:
        if choices in valid:
            search_space.check(choices)
        else:
            with pytest.raises(InvalidArchitecture, match="is not valid here"):
                search_space.check(choices)
    for step in range(len(decisions)):
        prefixes = np.array(valid)[:, :step]
        batched = search_space.batched_valid_choices(prefixes)
        each = [search_space.valid_choices(prefix) for prefix in prefixes]
        np.testing.assert_array_equal(batched, each)
    made = [search_space.made(choices) for choices in every]
    names = [[decision.name in labels for decision in decisions] for labels in made]
    np.testing.assert_array_equal(search_space.existing(np.array(every)), names)


def test_a_condition_is_honoured_outside_custom_search_spaces() -> None:
    decisions = [Decision("deep", ("no", "yes")), Decision("k", LABELS, when={"deep": ["yes"]})]
    search_space = OwnSearchSpace("own", decisions)
    assert (search_space.conditional, search_space.dependent) == (True, (1,))
    assert search_space.size == 1 + 3
    assert search_space.action_mask(np.array([0])).tolist() == [True, False, False]
    masks = search_space.action_masks(np.array([[0], [1]]))
    assert masks.tolist() == [[True, False, False], [True, True, True]]
    assert search_space.made(np.array([0, 0])) == {"deep": "no"}


def test_sixty_optional_stages_are_counted_and_masked() -> None:
    stages = [Decision("first", LABELS)]
    for number in range(60):
        stages.append(Decision(f"stage_{number}", ("no", "yes")))
        stages.append(Decision(f"width_{number}", LABELS, when={f"stage_{number}": ("yes",)}))

    class Stages(CustomArchitecture, kind="test-sixty-stages"):
        decisions = tuple(stages)

    assert CustomSearchSpace(Stages).size == 3 * 4**60


def test_a_decision_that_names_all_before_it_is_masked_at_once() -> None:
    chain = [Decision("d0", LABELS)]
    for number in range(1, 61):
        chain.append(Decision(f"d{number}", LABELS, when={d.name: ("a", "b") for d in chain}))

    class Chained(CustomArchitecture, kind="test-chained"):
        decisions = tuple(chain)

    search_space = CustomSearchSpace(Chained)
    assert search_space.action_mask(np.zeros(60, dtype=np.int64)).all()
    assert search_space.action_mask(np.array([2] + [0] * 59)).tolist() == [True, False, False]
    assert search_space.size == sum(2**n for n in range(60)) + 2**60 * 3


class Own(LayersSearchSpace):
    """`LayersSearchSpace` without a size of its own."""

    size = SearchSpace.size


def test_the_size_of_a_valid_choices_of_ones_own_is_counted() -> None:
    assert Own().size == LayersSearchSpace().size == 39


class Wide(OwnSearchSpace):
    """Too many sequences to count one by one."""

    def valid_choices(self, prefix: Choices) -> Mask:
        valid: Mask = np.arange(3) != (prefix[-1] if len(prefix) else 3)
        return valid


def test_a_size_that_cannot_be_counted_is_refused_with_the_remedy() -> None:
    wide = Wide("wide", [Decision(f"d{number}", LABELS) for number in range(40)])
    with pytest.raises(InvalidSettings, match=r"wide: size: .* give Wide a property `size`"):
        _ = wide.size


def test_a_condition_beside_a_valid_choices_of_ones_own_is_refused() -> None:
    decisions = [Decision("a", LABELS), Decision("b", LABELS, when={"a": ("a",)})]
    with pytest.raises(InvalidSettings, match="`when` and a valid_choices of one's own"):
        Wide("wide", decisions)


@pytest.mark.parametrize(
    ("decisions", "message"),
    [
        ([], "there are none"),
        (
            [Decision("a", ("left", "right")), Decision("b", LABELS, when={"a": ("lift",)})],
            "'b': 'a' has no choice 'lift'; did you mean 'left'",
        ),
        ([Decision("a", LABELS, when={"b": ("a",)})], "'b', on which it depends, is not before"),
    ],
)
def test_unsound_decisions_are_refused_everywhere(decisions: list[Decision], message: str) -> None:
    with pytest.raises(InvalidSettings, match=f"own: decisions: .*{message}"):
        OwnSearchSpace("own", decisions)


def test_what_is_missing_is_named() -> None:
    class Bare(SearchSpace):
        pass

    bare: Any = Bare("bare", [Decision("a", LABELS)])
    with pytest.raises(NotImplementedError, match="Bare gives neither decode nor _decode"):
        bare.decode([0])
    with pytest.raises(NotImplementedError, match="Bare gives neither encode nor _encode"):
        bare.encode(LayersArchitecture(("8",)))
    with pytest.raises(InvalidArchitecture, match="kind: 'int' is not in the bare search space"):
        bare.encode(3)
    with pytest.raises(InvalidArchitecture, match=r"expected 'an architecture'$"):
        bare.encode(3)
