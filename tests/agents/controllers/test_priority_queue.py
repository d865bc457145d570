"""The queue of the best episodes: which it keeps, whatever came in which order."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from nas_agents.controllers.priority_queue import Decided, PriorityQueue

EPISODES = st.lists(st.tuples(st.integers(0, 5), st.tuples(*[st.integers(0, 1)] * 3)))


@given(EPISODES, st.integers(0, 4))
def test_it_keeps_the_best_distinct_ones(
    episodes: list[tuple[int, tuple[int, ...]]], size: int
) -> None:
    """Where a sequence of actions always has the same reward, as in an environment."""
    rewards: dict[tuple[int, ...], int] = {}
    queue = PriorityQueue(size)
    for drawn, actions in episodes:
        reward = rewards.setdefault(actions, drawn)
        queue.add(Decided(reward, torch.zeros(3, 1), torch.tensor(actions), None))
    best = sorted(rewards, key=lambda actions: -rewards[actions])[:size]  # stable
    assert [tuple(each.actions.tolist()) for each in queue.episodes] == best
