"""The agent that ``--agent auto`` takes, and the warning of one that will not learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_agents.catalogue.agents import find_agent
from nas_agents.catalogue.automatic import CHOICES, suited_agent, too_few_updates
from nas_agents.catalogue.defaults import Plan
from nas_agents.catalogue.environments import make_environment
from nas_agents.catalogue.registry import AGENTS
from nas_agents.runs.settings import SearchSettings, load_record
from nas_agents.search.run import search
from nas_gym import InvalidSettings, NASBench201SearchSpace, NASVectorEnv
from nas_gym.sb3 import NASVecEnv
from tests.agents.search.test_run import episodes_of
from tests.agents.stubs import CHILDREN_ID, STUB_ID, Calls
from tests.helpers import StubEvaluator

RECORDED: tuple[str, dict[str, str]] = ("nas_gym/TinyBench-v0", {})
SHARED = ("nas_gym/ENASMicro-v0", {"evaluator": "weight-sharing"})


@pytest.mark.parametrize(
    ("env", "episodes", "envs", "workers", "agent"),
    [
        ((CHILDREN_ID, {}), 60, 1, 1, "model-based"),
        ((CHILDREN_ID, {}), 1000, 1, 8, "model-based"),
        ((CHILDREN_ID, {}), 1001, 1, 1, "lstm-ppo"),
        ((CHILDREN_ID, {}), 2000, 8, 8, "lstm-ppo"),
        ((CHILDREN_ID, {}), 2000, 1, 8, "regularized-evolution"),
        ((CHILDREN_ID, {}), None, 1, 1, "model-based"),
        (RECORDED, None, 1, 1, "lstm-ppo"),
        (RECORDED, 100, 1, 1, "model-based"),
        (RECORDED, 1562, 1, 1, "lstm-ppo"),
        (RECORDED, 1563, 1, 1, "model-based"),  # of 15,625 cells
        (SHARED, 60, 1, 1, "enas"),
        (("nas_gym/MO-TinyBench-v0", {}), 60, 1, 1, "nsga2"),
    ],
)
def test_the_number_of_children_chooses_the_agent(
    env: tuple[str, dict[str, str]], episodes: int | None, envs: int, workers: int, agent: str
) -> None:
    assert suited_agent(make_environment(*env), episodes, envs, workers) == agent
    assert agent in AGENTS
    assert agent in CHOICES


def test_a_search_says_what_was_chosen_and_keeps_it(tmp_path: Path) -> None:
    run, chosen = tmp_path / "run", tmp_path / "chosen"
    search(SearchSettings(STUB_ID, episodes=14), run)
    settings, record = load_record(run)
    assert (settings.agent, record["chosen_agent"]) == ("auto", "model-based")
    search(SearchSettings(STUB_ID, "model-based", episodes=14), chosen)
    designed = [[each["architecture"] for each in episodes_of(folder)] for folder in (run, chosen)]
    assert designed[0] == designed[1]
    assert load_record(chosen)[1]["chosen_agent"] == "model-based"


def test_a_stranger_cannot_choose_the_agent(tmp_path: Path) -> None:
    run = tmp_path / "run"
    search(SearchSettings(STUB_ID, episodes=3, final=False), run)
    file = run / "settings.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "chosen_agent": "no.such:Agent"}))
    (run / "summary.json").unlink()
    search(SearchSettings(STUB_ID, episodes=3), run, resume=True)
    assert load_record(run)[1]["chosen_agent"] == "model-based"


def test_time_alone_is_a_limit_too(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, episodes=None, seconds=1e-6)
    assert search(settings, tmp_path / "run").progress.episodes == 1


@pytest.mark.parametrize(
    ("agent", "environments", "episodes", "says"),
    [
        ("ppo", 1, 99, "PPO learns after every 10 children, so 99 children are 9 updates"),
        ("ppo", 1, 100, None),
        ("ppo", 4, 60, "learns after every 8 children, so 60 children are 7 updates"),
        ("nasnet", 20, 100, "learns after every 20 children, so 100 children are 5 updates"),
        ("reinforce", 1, 49, "allow 50 children or more, or give --agent auto"),
        ("reinforce", 16, 64, "learns after every 16 children, so 64 children are 4 updates"),
        ("ars", 1, 60, "learns after every 16 children"),
        ("dqn", 1, 10, None),
        ("random", 1, 10, None),
    ],
)
def test_too_few_updates_are_said(
    agent: str, environments: int, episodes: int, says: str | None
) -> None:
    plan = Plan(6, episodes, environments)
    vector = NASVectorEnv(
        NASBench201SearchSpace(), StubEvaluator(), environments, autoreset_mode="SameStep"
    )
    found = find_agent(agent)
    made = found.make(NASVecEnv(vector), found.arguments(plan), 0, wrap=True)
    line = too_few_updates(made, plan.decisions, episodes)
    assert line is None if says is None else says in str(line)


def test_a_search_says_it_before_it_begins(tmp_path: Path) -> None:
    said: list[str] = []
    settings = SearchSettings(STUB_ID, "ppo", episodes=10)

    called = Calls(on_notice=said.append, on_child=lambda child: said.append("child"))
    search(settings, tmp_path / "run", callbacks=[called])
    assert [line[:3] for line in said[:2]] == ["PPO", "chi"]


def test_arguments_are_those_of_the_agent_that_was_chosen(tmp_path: Path) -> None:
    settings = SearchSettings(STUB_ID, agent_arguments={"n_steps": 5})
    with pytest.raises(InvalidSettings, match="model-based has no argument 'n_steps'"):
        search(settings, tmp_path / "run")
