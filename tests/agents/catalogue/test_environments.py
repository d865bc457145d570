"""Environments by id: those of every registered family, and how one is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import pytest

from nas_agents.catalogue.environments import (
    import_module,
    make_environment,
    registered_search_spaces,
)
from nas_gym import InvalidSettings, NASEnv, family
from nas_gym.family import Family, register_family
from tests.helpers import LayersSearchSpace, StubEvaluator


def test_environments_of_a_users_own_family_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "_families", dict(family._families))
    register_family(
        Family(
            "layers",
            "layers_of_tests",
            architecture="tests.helpers:LayersSearchSpace",
            search_space=LayersSearchSpace,
            environments={"own/Listed-v0": NASEnv},
        )
    )
    listed = registered_search_spaces()
    assert isinstance(listed["own/Listed-v0"], LayersSearchSpace)
    assert next(iter(listed)) == "nas_gym/NAS-v0"
    with pytest.raises(InvalidSettings, match="did you mean 'own/Listed-v0'"):
        make_environment("own/Layer-v0", {})


class Turned(NASEnv):
    """Has a step of its own."""

    def step(self, action: Any) -> Any:
        return super().step(action)


def wrapped() -> Any:
    env = NASEnv(LayersSearchSpace(), StubEvaluator())
    return gym.wrappers.TransformReward(env, lambda reward: -float(reward))


@pytest.mark.parametrize("made", [lambda: Turned(LayersSearchSpace(), StubEvaluator()), wrapped])
def test_what_a_search_would_not_call_is_refused(
    made: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    entry_point: Any = made
    spec = gym.envs.registration.EnvSpec("own/Turned-v0", entry_point)
    monkeypatch.setitem(gym.registry, spec.id, spec)
    with pytest.raises(InvalidSettings, match="'own/Turned-v0' changes what a step does, by a"):
        make_environment("own/Turned-v0", {})


def test_what_a_family_lacks_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(family, "_families", dict(family._families))
    parts = ("lacking", "lacking_of_tests", "tests.helpers:LayersSearchSpace")
    register_family(Family(*parts, environments={"own/Lacking-v0": NASEnv}))
    with pytest.raises(InvalidSettings, match="'own/Lacking-v0' has no search space to list; give"):
        registered_search_spaces()
    register_family(Family(*parts, environments={"own/Lacking-v0": "nas_gym.env:NasEnv"}))
    for env_id in ("own/Lacking-v0", "nas_gym:own/Lacking-v0"):
        with pytest.raises(InvalidSettings, match=r"the module 'nas_gym.env' has no 'NasEnv'"):
            make_environment(env_id, {})
    make_environment("nas_gym:nas_gym/TinyBench-v0", {})


@pytest.mark.parametrize("env_id", ["a:b:c", ":", ":a", "a:"])
def test_an_id_has_one_colon_at_most_between_two_names(env_id: str) -> None:
    with pytest.raises(InvalidSettings, match=f"'{env_id}' is not known"):
        make_environment(env_id, {})


def test_a_module_that_cannot_be_imported() -> None:
    import_module("nas_gym")
    for name in ("no_such_module", "", ".relative"):
        with pytest.raises(InvalidSettings, match=f"module: {name!r} cannot be imported"):
            import_module(name)


def test_a_render_mode_that_is_no_text_is_one_line() -> None:
    with pytest.raises(InvalidSettings, match="render_mode: expected a text, got 0"):
        make_environment("nas_gym/NASBench201-v0", {"render_mode": 0})
