"""`Budget` and `Limits`: where a search ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Budget, InvalidSettings
from nas_gym.evaluation import Limits

NAMES = ("asked", "made", "seconds")
SPENT = st.fixed_dictionaries({name: st.integers(0, 4) for name in NAMES})
LIMITS = st.dictionaries(st.sampled_from(NAMES), st.integers(1, 3), min_size=1)


@given(SPENT, LIMITS)
def test_the_first_limit_that_is_reached_ends_it(
    spent: dict[str, int], most: dict[str, int]
) -> None:
    budget, limits = Budget(**spent), Limits(**most)
    is_spent = any(spent[name] >= limit for name, limit in most.items())
    assert limits.spent(budget) is is_spent
    assert (limits.room(budget) == 0) is is_spent
    counted = [limit - spent[name] for name, limit in most.items() if name != "seconds"]
    if counted and not is_spent:
        assert limits.room(budget) == min(counted)


def test_limits_are_given_as_such_as_a_mapping_or_not_at_all() -> None:
    limits = Limits(made=3)
    assert Limits.of(limits) is limits
    assert Limits.of({"made": 3}) == limits
    assert Limits.of(None) is None
    with pytest.raises(InvalidSettings, match="limits: give at least one of asked, made, seconds"):
        Limits.of({})
    with pytest.raises(InvalidSettings, match="limits: 'mad' is not known"):
        Limits.of({"mad": 3})
