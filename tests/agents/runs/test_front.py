"""Searches with several objectives: the front in the run folder, and who may search."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from nas_agents.runs.front import dominated_shares, label_of, vectors_of
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import InvalidSettings
from nas_gym.pareto import non_dominated
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import Calls, each_child

MO = "nas_gym/MO-TinyBench-v0"
OBJECTIVES = {"accuracy": 0.1, "-parameters": 1e6}


def settings(agent: str, **more: Any) -> SearchSettings:
    env_arguments = {"objectives": OBJECTIVES}
    return SearchSettings(MO, agent, env_arguments=env_arguments, final=False, **more)


@pytest.mark.parametrize(
    ("agent", "envs"), [("random", 1), ("nsga2", 1), ("nsga2", 4), ("conditioned-ppo", 4)]
)
def test_a_search_keeps_the_front_of_its_children(agent: str, envs: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(settings(agent, episodes=40, envs=envs), run)
    records = episodes_of(run)
    rewards = np.array([record["reward"] for record in records])
    summary = json.loads((run / "summary.json").read_text())
    front = summary["front"]
    assert front["objectives"] == list(OBJECTIVES)
    assert front["worst"] == [0.1, -1e6]
    members = [tuple(member["reward"]) for member in front["members"]]
    assert set(members) == {tuple(each) for each in rewards[non_dominated(rewards)].tolist()}
    assert members == sorted(members, reverse=True)
    for member in front["members"]:
        record = records[member["episode"] - 1]
        assert (record["architecture"], record["reward"]) == (
            member["architecture"],
            member["reward"],
        )
    assert 0 < front["hypervolume"] < 1
    assert summary["best"]["validation_accuracy"] == max(record["accuracy"] for record in records)
    with Image.open(run / "front.png") as picture:
        assert picture.size == (600, 260)


@pytest.mark.parametrize(("agent", "envs"), [("nsga2", 1), ("conditioned-ppo", 4)])
def test_a_resumed_search_has_the_same_front(agent: str, envs: int, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    search(settings(agent, episodes=24, envs=envs), whole)
    with pytest.raises(ZeroDivisionError):
        search(settings(agent, episodes=24, envs=envs), parts, callbacks=each_child(_fail_at(9)))
    search(settings(agent, episodes=24, envs=envs), parts, resume=True)
    fronts = [json.loads((run / "summary.json").read_text())["front"] for run in (whole, parts)]
    assert fronts[0] == fronts[1]


def _fail_at(episode: int) -> Any:
    return lambda progress: 1 / (progress.episodes != episode)


def test_a_reward_with_a_cost_has_a_front_too(tmp_path: Path) -> None:
    reward = {"name": "mnasnet", "cost": "parameters", "target": 1e5}
    given = {"reward": reward}
    asked = SearchSettings("nas_gym/TinyBench-v0", "random", 20, env_arguments=given, final=False)
    search(asked, tmp_path / "run")
    front = json.loads((tmp_path / "run" / "summary.json").read_text())["front"]
    assert front["objectives"] == ["accuracy", "-parameters"]
    assert front["members"]


def test_a_search_for_accuracy_alone_has_none(tmp_path: Path) -> None:
    search(SearchSettings("nas_gym/TinyBench-v0", "random", 3, final=False), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["front"] is None
    assert not (tmp_path / "run" / "front.png").exists()


@pytest.mark.parametrize("agent", ["ppo", "regularized-evolution", "sac"])
def test_agents_of_numbers_are_refused(agent: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="is a vector; use 'nsga2', 'conditioned-ppo'"):
        search(settings(agent), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("agent", ["nsga2", "conditioned-ppo"])
def test_agents_of_vectors_are_refused_where_the_reward_is_a_number(
    agent: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidSettings, match="use its id with MO-"):
        search(SearchSettings("nas_gym/TinyBench-v0", agent), tmp_path / "run")


@pytest.mark.parametrize("envs", [1, 4])
def test_the_best_is_on_the_front_where_the_first_objective_ties(envs: int, tmp_path: Path) -> None:
    """Many networks have no parameters at all beside stem and head."""
    objectives = {"objectives": ["-parameters", "accuracy"]}
    settings = SearchSettings(MO, "random", 60, envs=envs, seed=2, env_arguments=objectives)
    summary = search(settings, tmp_path / "run").summary
    assert summary["best"]["reward"] == list(summary["front"]["members"][0]["reward"])


def test_failed_children_are_on_no_front() -> None:
    records = [{"reward": [0.5, -3.0], "status": "ok"}, {"reward": [0.0, 0.0], "status": "crashed"}]
    vectors = vectors_of(records, Path("episodes.jsonl"))
    assert vectors is not None
    assert np.isnan(vectors[1]).all()
    alone = dominated_shares([vectors, np.array([[0.25, -1.0], [0.0, -5.0]])])
    assert alone == pytest.approx([0.5, 0.5])
    assert np.isnan(dominated_shares([vectors, None])).all()


def test_a_number_needs_no_front(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "moocore", None)  # an extra
    given = {"reward": {"name": "mnasnet", "cost": "parameters", "target": 1e5}}
    env_id, notices = MO.replace("MO-", ""), list[str]()
    asked = SearchSettings(env_id, "random", 2, env_arguments=given, finalists=0)
    result = search(asked, tmp_path / "run", callbacks=[Calls(on_notice=notices.append)])
    assert result.summary["front"] is None
    assert "no front of accuracy and -parameters is kept: pip install" in notices[0]
    with pytest.raises(InvalidSettings, match="fronts need moocore"):
        search(settings("random", episodes=2), tmp_path / "vector")


def test_costs_have_their_names_and_units() -> None:
    names = ("accuracy", "multiply_adds", "peak_activation_bytes", "latency")
    labels = ["accuracy", "multiply-adds", "peak activation bytes", "latency (seconds)"]
    assert [label_of(name) for name in names] == labels
