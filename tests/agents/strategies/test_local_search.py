"""Local search climbs hills."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nas_agents.strategies.local_search import LocalSearch
from nas_gym import InvalidSettings, NASBench201SearchSpace
from nas_gym.search_spaces import Choices
from tests.helpers import LayersSearchSpace

SEARCH_SPACE = NASBench201SearchSpace()
NEIGHBOURS = 6 * 4


def climb(number: int, under_way: int = 1, **arguments: Any) -> list[Choices]:
    """So many proposals, where the reward is the sum of the choices: one hill, 24 at its top."""
    strategy = LocalSearch(SEARCH_SPACE, 3, **arguments)
    proposed: list[Choices] = []
    while len(proposed) < number:
        batch = [strategy.propose() for _ in range(under_way)]
        for choices in batch:
            strategy.observe(choices, float(choices.sum()))
        proposed += batch
    return proposed


def first_at_the_top(proposed: list[Choices]) -> int:
    return next(place for place, choices in enumerate(proposed) if choices.sum() == 24)


def test_the_best_neighbour_of_all_is_the_next_place() -> None:
    proposed = climb(200, initial=1, first=False)
    start, neighbours = proposed[0], proposed[1 : 1 + NEIGHBOURS]
    assert all(np.count_nonzero(each != start) == 1 for each in neighbours)
    assert len({each.tobytes() for each in neighbours}) == NEIGHBOURS
    best = max(neighbours, key=lambda each: each.sum())
    later = proposed[1 + NEIGHBOURS : 1 + NEIGHBOURS + 10]
    assert all(np.count_nonzero(each != best) == 1 for each in later)


def test_the_first_better_neighbour_is_the_next_place() -> None:
    proposed = climb(40, initial=1)
    standing = proposed[0]
    for choices in proposed[1:]:
        assert np.count_nonzero(choices != standing) == 1
        if choices.sum() > standing.sum():
            standing = choices
        if standing.sum() == 24:
            break


@pytest.mark.parametrize("arguments", [{}, {"first": False}, {"initial": 1}, {"under_way": 7}])
def test_it_reaches_the_top_soon(arguments: dict[str, Any]) -> None:
    """Random search needs 15,625 proposals on average."""
    assert first_at_the_top(climb(250, **arguments)) < 150


def test_it_starts_again_at_the_top() -> None:
    proposed = climb(400, initial=1, first=False)
    top = first_at_the_top(proposed)
    far = [choices for choices in proposed[top + NEIGHBOURS + 1 :] if choices.sum() < 20]
    assert len(far) > 50


def test_no_network_is_proposed_twice() -> None:
    proposed = climb(300, under_way=5)
    assert len({SEARCH_SPACE.decode(choices).key for choices in proposed}) == 300


def test_in_a_small_search_space_it_finds_the_best_and_goes_on() -> None:
    strategy = LocalSearch(LayersSearchSpace(), 0, initial=2)
    best = 0.0
    for _ in range(200):
        choices = strategy.propose()
        strategy.observe(choices, float(choices.sum()))
        best = max(best, float(choices.sum()))
    assert best == 11  # three layers of the widest


def test_a_reward_that_nobody_waits_for() -> None:
    strategy = LocalSearch(SEARCH_SPACE, 0)
    strategy.observe(np.zeros(6, dtype=np.int64), 1.0)
    strategy.propose()


def test_bad_arguments() -> None:
    with pytest.raises(InvalidSettings, match=r"^initial: expected .* equal to 1, got 0"):
        LocalSearch(SEARCH_SPACE, initial=0)
    with pytest.raises(InvalidSettings, match=r"^first: expected a valid boolean, got 'no'"):
        LocalSearch(SEARCH_SPACE, first="no")  # type: ignore[arg-type]
