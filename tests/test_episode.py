"""`Episode`: one of the N in lock-step, as a single environment to read from."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import pytest

import nas_gym
from nas_gym import InvalidSettings, NASVectorEnv
from nas_gym.episode import Episode
from tests.helpers import LayersSearchSpace, StubEvaluator


def episodes(render_mode: str | None = None) -> list[Episode]:
    """Two episodes of networks with one layer and with three, whose first is decided."""
    env = NASVectorEnv(LayersSearchSpace(), StubEvaluator(), 2, render_mode=render_mode)
    env.reset(seed=0)
    env.step(np.array([0, 2]))
    env.step(np.array([1, 1]))
    return [Episode(env, index) for index in range(2)]


def test_an_episode_has_its_own_masks_pictures_and_the_single_spaces() -> None:
    first, second = episodes("ansi")
    assert first.observation_space == first._venv.single_observation_space
    assert first.action_space == first._venv.single_action_space
    masks = first._venv.action_masks()
    assert [first.action_masks().tolist(), second.action_masks().tolist()] == masks.tolist()
    assert masks[0].tolist() != masks[1].tolist()
    assert (first.render(), second.render()) == first._venv.render()
    assert first.render() != second.render()
    assert first.render_mode == "ansi"


def test_without_a_mode_nothing_is_drawn() -> None:
    with pytest.warns(UserWarning, match=r"render\(\) was called without"):
        assert episodes()[0].render() is None
    assert episodes()[0].spec is None


def test_its_specification_makes_a_single_environment() -> None:
    venv = gym.make_vec("nas_gym/TinyBench-v0", 2, render_mode="ansi", limits={"made": 3})
    spec = Episode(venv, 0).spec
    assert spec is not None
    assert spec.kwargs == {"render_mode": "ansi", "limits": {"made": 3}}
    env = gym.make(spec).unwrapped
    assert isinstance(env, nas_gym.NASEnv)
    assert env.render_mode == "ansi"


def test_it_is_to_read_from_alone() -> None:
    episode = episodes()[0]
    for name in ("reset", "step"):
        says = f"lock-step; call their environment's {name}"
        with pytest.raises(InvalidSettings, match=says):
            getattr(episode, name)(*([1] if name == "step" else []))
    with pytest.raises(AttributeError, match=r"^_nothing$"):
        _ = episode._nothing
