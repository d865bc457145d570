"""`nas-gym search` with shared weights: interrupted, diverged, or where there are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_agents.controllers.sharing.shared_weights import SHARING
from nas_agents.drivers import lock_step
from nas_agents.runs.reading import SHARED_WEIGHTS
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import InvalidSettings
from nas_gym.envs import environment_type
from nas_gym.family import registered_families
from nas_gym.weight_sharing.evaluator import WeightSharing
from tests.agents.command import nas_gym
from tests.agents.search.test_resume import killed, told
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import Calls

TINY = {"evaluator": "weight-sharing", "layers": 2, "filters": 2, "batch_size": 256}


def settings_for(agent: str, **given: Any) -> SearchSettings:
    enas = {"candidates": 2, "episodes_an_epoch": 3, "n_episodes": 2}
    arguments = enas if agent == "enas" else {}
    episodes = 12 if agent == "enas" else 32  # four epochs of the shared weights
    return SearchSettings(
        "nas_gym/ENASMacro-v0", agent, episodes=episodes, agent_arguments=arguments,
        **{"env_arguments": TINY, "final": False, **given},
    )  # fmt: skip


def interrupt_within(epoch: int, patch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the second step of an epoch, counted from 0."""
    step, steps = WeightSharing._step, []

    def interrupted(shared: WeightSharing, *batch: Any) -> Any:
        steps.append(shared.epoch)
        if steps.count(epoch) == 2:
            raise KeyboardInterrupt
        return step(shared, *batch)

    patch.setattr(WeightSharing, "_step", interrupted)


@pytest.mark.parametrize("agent", ["enas", "random"])
def test_an_epoch_that_is_interrupted_leaves_nothing_behind(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_step, "EVERY", 0.0)
    monkeypatch.setattr(lock_step, "SHARE", 1e9)
    settings = settings_for(agent)
    whole = search(settings, tmp_path / "whole")
    saved = tmp_path / "run" / SHARED_WEIGHTS
    for times in range(2):
        with monkeypatch.context() as patch:
            interrupt_within(2, patch)
            result = search(settings, tmp_path / "run", resume=times > 0)
        assert result.stopped_by == "interrupted"
        assert torch.load(saved, weights_only=True)["shared"]["epoch"] == 2
    resumed = search(settings, tmp_path / "run", resume=True)
    assert 0 < resumed.progress.resumed < whole.progress.episodes
    names = ("architecture", "reward", "status")
    there, here = (
        [[episode[name] for name in names] for episode in episodes_of(run)]
        for run in (whole.run, resumed.run)
    )
    assert there == here
    assert resumed.progress.best_architecture == whole.progress.best_architecture
    states = [
        torch.load(run / SHARED_WEIGHTS, weights_only=True)["shared"]["supernet"]
        for run in (whole.run, resumed.run)
    ]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_reward_by_perplexity_goes_on_from_saved_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_step, "EVERY", 0.0)
    monkeypatch.setattr(lock_step, "SHARE", 1e9)
    small = {"units": 4, "vocabulary": 20, "nodes": 2, "data_fraction": 0.02, "epochs": 4}
    words = {"evaluator": "weight-sharing", "reward": {"name": "perplexity", "c": 80}, **small}
    settings = replace(
        settings_for("enas", env_arguments=words), env_id="nas_gym/ENASRecurrent-v0", episodes=8
    )
    whole = search(settings, tmp_path / "whole")
    killed(settings, tmp_path / "run", 6)
    assert (tmp_path / "run" / SHARED_WEIGHTS).is_file()
    said: list[str] = []
    search(settings, tmp_path / "run", resume=True, callbacks=[Calls(on_notice=said.append)])
    assert not any("comes out otherwise" in line for line in said)
    assert told(tmp_path / "run") == told(whole.run)


def test_a_longer_search_has_as_many_episodes_an_epoch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would wait for an epoch that comes as late as in a search that was planned so long."""
    monkeypatch.setattr(lock_step, "episodes_an_epoch", lambda plan: 4 * plan.episodes)
    settings = settings_for("random")
    search(replace(settings, episodes=1), tmp_path / "run")
    search(replace(settings, episodes=9), tmp_path / "run", resume=True)
    shared = torch.load(tmp_path / "run" / SHARED_WEIGHTS, weights_only=True)["shared"]
    assert shared["epoch"] == 3  # before the first episode, and after 4 and 8


@pytest.mark.parametrize("agent", ["enas", "maskable-ppo", "random", "ars"])
def test_weights_that_diverge_end_the_search_and_say_so(
    agent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WeightSharing, "_step", diverges_in(2, WeightSharing._step))
    settings = settings_for(agent, final=True)
    result = search(settings, tmp_path / "run")
    assert result.stopped_by == result.summary["stopped_by"] == "diverged"
    assert (result.final, result.summary["final"]) == (None, None)
    episodes = episodes_of(result.run)
    assert settings.episodes is not None
    assert 0 < len(episodes) == result.progress.episodes < settings.episodes
    assert "the shared weights diverged after" in result.complaint
    assert "learning_rate" in result.complaint

    again = search(settings, result.run, resume=True)
    assert (again.stopped_by, again.finished_before, again.final) == ("diverged", True, None)
    further = search(settings_for(agent, final=True, max_failures=30), result.run, resume=True)
    assert (further.stopped_by, further.final) == ("diverged", None)
    assert episodes_of(result.run) == episodes


def diverges_in(epoch: int, step: Any) -> Any:
    """A step whose loss is not finite in an epoch, counted from 0, and thereafter."""

    def diverging(shared: WeightSharing, *batch: Any) -> torch.Tensor:
        totals: torch.Tensor = step(shared, *batch)
        return totals * torch.nan if shared.epoch >= epoch else totals

    return diverging


def test_diverged_weights_are_exit_code_1_and_a_message(tmp_path: Path) -> None:
    options = {**TINY, "learning_rate": 1e30}
    given = [f"--set={name}={value}" for name, value in options.items()]
    run = ("--run", str(tmp_path / "run"), "--json")
    result = nas_gym("search", "nas_gym/ENASMacro-v0", "--agent", "enas", *given, *run)
    assert result.exit_code == 1
    assert json.loads(result.stdout)["stopped_by"] == "diverged"
    assert "the shared weights diverged after" in result.stderr


@pytest.mark.parametrize("env_id", ["nas_gym/NASNet-v0", "nas_gym/NASBench201-v0"])
def test_environments_that_can_share_weights_are_named(env_id: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings) as error:
        search(SearchSettings(env_id, "enas"), tmp_path / "run")
    message = str(error.value)
    assert all(name in message for name in (env_id, "'enas'", *SHARING))
    assert "unexpected keyword" not in message


def test_those_are_all_environments_that_share_weights() -> None:
    ids = [env_id for family in registered_families() for env_id in family.environments]
    trained_once = {"nas_gym/OFA-v0"}
    assert {each for each in ids if _shares(each)} == {*SHARING} | trained_once


def _shares(env_id: str) -> bool:
    return "weight-sharing" in environment_type(env_id).evaluators
