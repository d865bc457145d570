"""Searches of a benchmark: what they see, what they pay, and how they go on."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nas_agents.bench import running
from nas_agents.bench.running import (
    SEARCHES,
    InvalidBenchmark,
    key_of,
    read_searches,
    run_benchmark,
)
from nas_agents.bench.searching import (
    BudgetSpent,
    Meter,
    environment,
    environment_of,
    resolved,
    run_search,
)
from nas_agents.bench.settings import Benchmark, Search
from nas_agents.runs.progress import MOST_REPEATS
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.tables.table import Table
from tests.agents.stubs import STUB_ID

BENCH = "nas_gym/TinyBench-v0"
AGENTS = {name: {"agent": name} for name in ("random", "regularized-evolution", "reinforce")}
SMALL = Benchmark(env_id=BENCH, agents=AGENTS, limits=(12.0,), seeds=2)


def search_of(agent: str, **changes: object) -> Search:
    [search] = Benchmark(
        env_id=BENCH, agents={agent: {"agent": agent}}, limits=(20.0,), seeds=1, baseline=agent
    ).searches()
    return resolved(replace(search, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("agent", ["random", "regularized-evolution", "ppo", "ars"])
def test_a_search_spends_its_budget_and_follows_from_its_seed(agent: str) -> None:
    record = run_search(search_of(agent))
    assert record["spent"] == record["evaluations"] == 20
    assert record["asked"] >= 20
    again, other = run_search(search_of(agent)), run_search(search_of(agent, seed=1))
    assert again["best"] == record["best"] != other["best"]
    spent, evaluations, reward, choices = map(list, zip(*record["best"], strict=True))
    assert (np.diff(spent) > 0).all()
    assert (np.diff(reward) > 0).all()
    np.testing.assert_array_equal(spent, evaluations)
    table = environment_of(search_of(agent)).memory.evaluator
    assert isinstance(table, Table)
    np.testing.assert_array_equal(reward, table.accuracy[table.rows(np.array(choices))])


def test_networks_in_lock_step_are_counted_one_by_one() -> None:
    """As many as the budget has, though the last batch is larger; strategies have no batches."""
    record = run_search(search_of("ppo", envs=8))
    assert record["spent"] == record["evaluations"] == 20
    assert record["best"] != run_search(search_of("ppo"))["best"]
    alone, together = (run_search(search_of("random", envs=number)) for number in (1, 8))
    assert alone["best"] == together["best"]


def test_the_network_that_exceeds_simulated_seconds_does_not_count() -> None:
    search = search_of("random", budget="simulated-seconds", limit=100.0)
    meter = Meter(search)
    made = {"cached": False, "seconds": 60.0, "accuracy": 0.5}
    choices = np.zeros(6, dtype=np.int64)
    meter.add(choices, 0.5, made)
    with pytest.raises(BudgetSpent):
        meter.add(choices, 0.9, made)
    assert [point[:3] for point in meter.best] == [[60.0, 1, 0.5]]
    meter.add(choices, 0.4, {**made, "cached": True})  # for nothing
    assert (meter.spent, meter.evaluations) == (60.0, 1)
    with pytest.raises(BudgetSpent):
        meter.add(choices, 0.7, {**made, "seconds": 40.0})  # just reaches it
    assert meter.best[-1][:3] == [100.0, 2, 0.7]


def test_repeats_are_paid_for_if_asked() -> None:
    record = run_search(search_of("regularized-evolution", limit=120.0, pay_repeats=True))
    assert record["asked"] == record["evaluations"] == 120
    assert run_search(search_of("regularized-evolution", limit=120.0))["asked"] > 120


def test_an_agent_sees_rewards_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for agent in ("regularized-evolution", "ppo"):
        seeing = run_search(search_of(agent))
        env = environment_of(search_of(agent))
        table = env.memory.evaluator
        assert isinstance(table, Table)
        with monkeypatch.context() as patch:
            hidden = replace(table, test=np.full_like(table.test, np.nan))
            patch.setattr(env.memory, "evaluator", hidden)
            blind = run_search(search_of(agent))
        assert blind["best"] == seeing["best"]


def test_a_converged_search_ends() -> None:
    meter, choices = Meter(search_of("random")), np.zeros(6, dtype=np.int64)
    made = {"cached": True, "seconds": 1.0, "accuracy": 0.5}
    for _ in range(2):
        for _ in range(MOST_REPEATS - 1):
            meter.add(choices, 0.5, made)
        meter.add(choices, 0.5, {**made, "cached": False})
    for _ in range(MOST_REPEATS - 1):
        meter.add(choices, 0.5, made)
    with pytest.raises(BudgetSpent):
        meter.add(choices, 0.5, made)
    assert (meter.evaluations, len(meter.rewards)) == (2, 3 * MOST_REPEATS)
    meter = Meter(search_of("random", budget="simulated-seconds"))
    for _ in range(MOST_REPEATS - 1):  # what is not recorded costs nothing
        meter.add(choices, 0.0, {"cached": False, "seconds": 0.0})
    with pytest.raises(BudgetSpent):
        meter.add(choices, 0.0, {"cached": False, "seconds": 0.0})


def test_what_is_finished_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[int, int]] = []
    records = run_benchmark(SMALL, tmp_path, on_search=lambda *call: calls.append(call))
    assert calls == [(done, 6) for done in range(7)]
    lines = (tmp_path / SEARCHES).read_text().splitlines()
    assert [json.loads(line) for line in lines] == records
    assert [(each["agent"], each["seed"]) for each in records[:4]] == [
        *((name, 0) for name in AGENTS),
        ("random", 1),
    ]

    # A process that died in the middle of the fourth line
    (tmp_path / SEARCHES).write_text("\n".join(lines[:3]) + "\n" + lines[3][:40])
    made: list[int] = []

    def counted(search: Search) -> dict[str, object]:
        made.append(search.seed)
        return run_search(search)

    monkeypatch.setattr(running, "run_search", counted)
    again = run_benchmark(SMALL, tmp_path)
    assert made == [1, 1, 1]
    times = {"cpu_seconds": 0}
    assert [each | times for each in again] == [each | times for each in records]
    assert run_benchmark(SMALL, tmp_path) == again
    assert len(made) == 3
    assert len(run_benchmark(replace(SMALL, seeds=3), tmp_path)) == 9
    assert len(made) == 6


@pytest.mark.parametrize("reward", [-math.inf, math.nan])
def test_a_reward_that_is_not_finite_is_refused(reward: float) -> None:
    """A line with it could not be read again."""
    meter = Meter(search_of("random"))
    made = {"cached": False, "seconds": 1.0}
    meter.add(np.zeros(6, dtype=np.int64), 0.5, made)
    with pytest.raises(InvalidSettings, match=f"reward: network 2 has {reward}; expected finite"):
        meter.add(np.ones(6, dtype=np.int64), reward, made)


def test_a_search_is_made_once_for_all_its_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []

    def counted(search: Search) -> dict[str, object]:
        threads.append(torch.get_num_threads())
        return run_search(search)

    monkeypatch.setattr(running, "run_search", counted)
    agents = {label: {"agent": "random"} for label in ("one", "other")}
    twice = Benchmark(env_id=BENCH, agents=agents, limits=(12.0,), seeds=2, baseline="one")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        records = run_benchmark(twice, tmp_path)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert threads == [1, 1]
    assert records[:2] == [records[0]] * 2 != records[2:] == [records[2]] * 2


def test_a_default_budget_is_the_one_that_is_written_out() -> None:
    def key(**budget: Any) -> str:
        [search] = Benchmark(
            env_id=BENCH, agents={"a": {"agent": "random"}}, seeds=1, baseline="a", **budget
        ).searches()
        return key_of(search.to_dict())

    assert key() == key(limits=(150,)) == key(limits=(150.0,))


def test_processes_make_the_same_searches(tmp_path: Path) -> None:
    small = replace(SMALL, agents={"random": {"agent": "random"}}, baseline="random")
    here = run_benchmark(small, tmp_path / "here")
    there = run_benchmark(small, tmp_path / "there", workers=2)
    assert [each["best"] for each in there] == [each["best"] for each in here]


def test_a_folder_of_another_record_is_refused(tmp_path: Path) -> None:
    records = run_benchmark(SMALL, tmp_path)
    line = json.dumps({**records[0], "fingerprint": "another"})
    (tmp_path / SEARCHES).write_text(line + "\n")
    with pytest.raises(InvalidBenchmark, match="in another record of nas_gym/TinyBench-v0"):
        run_benchmark(SMALL, tmp_path)


@pytest.mark.parametrize("line", ["{", "[]", '{"agent": "random"}'])
def test_a_line_that_is_no_search_is_refused(tmp_path: Path, line: str) -> None:
    (tmp_path / SEARCHES).write_text(line + "\n")
    with pytest.raises(InvalidBenchmark, match=r"line 1 of .*; remove the line"):
        read_searches(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"baseline": "ppo"}, "baseline: 'ppo' takes no part"),
        ({"limits": ()}, "name at least one budget"),
        ({"agents": {"random": {}}, "baseline": "random"}, "random has no text as its 'agent'"),
        ({"agents": {"x": {"agent": "randm"}}, "baseline": "x"}, "'randm' is not known"),
        ({"limits": (0.0,)}, "limits.0: expected a number greater than 0, got 0"),
        ({"agents": {"x": {"agent": "enas"}}, "baseline": "x"}, "'enas' needs an environment of"),
        (
            {"agents": {"x": {"agent": "random", "speed": 2}}, "baseline": "x"},
            "random has no argument 'speed'",
        ),
        (
            {"env_id": STUB_ID, "budget": "simulated-seconds"},
            "simulated-seconds: this environment records none",
        ),
        ({"env_id": "nas_gym/NASBench201-v0"}, "trains children, and a benchmark looks them up"),
    ],
)
def test_what_cannot_be_made_is_said_before_anything_is(
    tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidSettings, match=message):
        run_benchmark(replace(SMALL, **arguments), tmp_path)  # type: ignore[arg-type]
    assert not (tmp_path / SEARCHES).exists()


def test_two_processes_do_not_write_to_one_folder(tmp_path: Path) -> None:
    with running._opened(tmp_path), pytest.raises(NASGymError, match="another process works in"):
        run_benchmark(SMALL, tmp_path)


def test_auto_is_the_agent_that_suits_the_budget() -> None:
    assert search_of("auto").agent == "model-based"
    assert search_of("auto", limit=1_500.0).agent == "lstm-ppo"


def test_an_environment_is_made_once(tmp_path: Path) -> None:
    assert environment(BENCH, "{}") is environment_of(search_of("random"))


def test_one_hot_observations_reach_the_agent() -> None:
    asked = Search(BENCH, {"observation": "one-hot"}, "evaluations", 2.0, False, 1, "a2c", {}, 0)
    found = run_search(resolved(asked))["best"]
    assert all(len(choices) == 6 for *_, choices in found)
    with pytest.raises(InvalidSettings, match="controller: it reads the choices themselves"):
        run_search(resolved(replace(asked, agent="lstm-ppo")))
