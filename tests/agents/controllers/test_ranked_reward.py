"""Rewards by rank: what an agent learns from, and what is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import ndtri

from nas_agents.controllers.ranked_reward import Ranks, VecRankedReward
from nas_gym import NASVectorEnv
from nas_gym.sb3 import NASVecEnv
from tests.helpers import LayersSearchSpace, RecordedStub


def ranked(num_envs: int = 1, **arguments: Any) -> VecRankedReward:
    space = LayersSearchSpace()
    env = NASVectorEnv(space, RecordedStub(space), num_envs, autoreset_mode="SameStep", **arguments)
    return VecRankedReward(NASVecEnv(env))


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30, unique=True))
def test_a_better_reward_has_a_higher_score_whatever_the_scale(rewards: list[float]) -> None:
    scores, others = Ranks(), Ranks()
    for reward in rewards:
        scores.score(reward)
    order = {reward: place for place, reward in enumerate(sorted(rewards))}
    for reward in rewards:  # of ranks alone
        others.score(float(order[reward]))
    for best in (2.0, 3.0):
        assert scores.score(best) == others.score(1000 * best)
    assert scores.score(-1.0) < 0 < scores.score(4.0)


def test_equal_rewards_have_their_mean_rank() -> None:
    ranks = Ranks()
    assert [ranks.score(0.5) for _ in range(3)] == pytest.approx([0.0] * 3)
    assert ranks.score(0.9) == pytest.approx(ndtri(7 / 8))


def test_only_the_end_of_an_episode_is_scored_and_the_reward_remains() -> None:
    env = ranked(3)
    env.reset()
    ends = []
    for step in range(8):
        _, rewards, dones, infos = env.step(np.array([0, step % 2, 2]))
        if not dones.any():
            assert (rewards == 0).all()
            continue
        ends.append((rewards, [info["episode"]["r"] for info in infos]))
    assert len(ends) == 2
    for scores, true in ends:
        assert (np.abs(scores) <= -ndtri(0.01) + 1e-6).all()
        assert all(reward > 0 for reward in true)
    first, of_first = ends[0]
    assert (first[2] >= first[0]) == (of_first[2] >= of_first[0])


def test_a_truncated_episode_has_no_rank() -> None:
    env = ranked(2, limits={"asked": 1})
    env.reset()
    for _ in range(4):
        _, rewards, dones, _ = env.step(np.array([0, 1]))
    assert dones.all()
    assert rewards.tolist() == [0.0, 0.0]  # the only reward is its own median; the other has none
    assert len(env.ranks.rewards) == 1
