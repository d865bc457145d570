"""Statistics of a benchmark, its files, and its command."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import gymnasium as gym
import numpy as np
import pytest

from nas_agents.bench.results import Group, best_reward, mean_of, p_values
from nas_agents.bench.running import SEARCHES
from nas_agents.bench.searching import environment
from nas_agents.bench.settings import Benchmark
from nas_gym import NASEnv, Table
from tests.agents.command import nas_gym

BENCH = "nas_gym/TinyBench-v0"


def test_mean_and_interval() -> None:
    mean, deviation, (low, high) = mean_of(np.array([94.0, 93.0, 95.0]))
    assert (mean, deviation) == (94.0, 1.0)
    # 4.3027: Student's t of two degrees of freedom
    assert (94 - low, high - 94) == pytest.approx((4.3027 / math.sqrt(3),) * 2, abs=1e-4)
    alone = mean_of(np.array([0.5]))
    assert alone[0] == 0.5
    assert math.isnan(alone[1])


def test_p_values() -> None:
    welch, mann_whitney = p_values(np.array([91.0, 92.0, 93.0]), np.array([94.0, 93.0, 95.0]))
    assert welch == pytest.approx(0.0705, abs=1e-4)
    assert mann_whitney == pytest.approx(0.1212, abs=1e-4)  # normal approximation, with a tie
    assert all(map(math.isnan, p_values(np.array([1.0]), np.array([1.0, 2.0]))))
    same = np.full(3, 0.5)
    assert p_values(same, same)[1] == 1.0  # without a warning


def test_what_was_found_within_an_expense() -> None:
    [search] = Benchmark(
        env_id=BENCH, agents={"random": {"agent": "random"}}, seeds=1, baseline="random"
    ).searches()
    records = (
        {"best": [[1.0, 1, 0.2, [0, 1]], [5.0, 5, 0.6, [2, 3]]]},
        {"best": [[3.0, 3, 0.4, [4, 4]]]},
    )
    scores: dict[tuple[int, ...], float] = {(0, 1): 30.0, (2, 3): 50.0, (4, 4): 20.0}
    group = Group(search, search, "random", records, "test", scores)
    np.testing.assert_array_equal(group.values(5), [50, 20])
    np.testing.assert_array_equal(group.values(2), [30, np.nan])
    np.testing.assert_array_equal(group.values(4), [30, 20])
    np.testing.assert_array_equal(group.rewards(2), [0.2, -math.inf])


def test_the_best_reward_is_known_of_a_recorded_benchmark() -> None:
    table = environment(BENCH, "{}").memory.evaluator
    assert best_reward(environment(BENCH, "{}")) == table.accuracy.max()  # type: ignore[attr-defined]
    cubed = environment(BENCH, '{"reward": "nas"}')
    choices = np.array(list(np.ndindex((5,) * 6)))[::500]
    found = cubed.memory.evaluate_choices(cubed.search_space, choices)
    assert best_reward(cubed) >= max(cubed.reward(found[n]) for n in range(len(choices)))


def test_the_command_leaves_a_table_curves_and_json(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    command = ["bench", BENCH, "--out", str(tmp_path), "--seeds", "3", "--workers", "1"]
    command += ["--evaluations", "30", "--evaluations", "10", "--agent", "random", "--agent"]
    command += ['small={"agent": "regularized-evolution", "population": 5, "sample": 2}']
    command += ["--agent", "local-search", "--baseline", "small"]
    result = nas_gym(*command)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{BENCH}, 30 evaluations: test accuracy in percent; p against small"
    assert lines[4].startswith("| random | 3 | ")
    assert " of 3 | 30 |" in lines[4]
    assert (tmp_path / "results.md").read_text() == result.stdout

    rows = json.loads((tmp_path / "results.json").read_text())
    assert [(row["agent"], row["limit"]) for row in rows[:4]] == [
        *(("random", 30), ("small", 30), ("local-search", 30)),
        ("random", 10),
    ]
    assert rows[0]["last_fifth"] > 0
    assert rows[3]["last_fifth"] is None  # it is known of the whole budget
    baseline = rows[1]
    assert baseline["p_welch"] is None
    assert 0 <= rows[0]["p_welch"] <= 1
    assert all(len(row["values"]) == 3 and row["mean"] > 10 for row in rows)

    curves = (tmp_path / "curves.svg").read_bytes()
    ElementTree.fromstring(curves)
    again = nas_gym(*command, "--json")
    assert json.loads(again.stdout) == rows
    assert (tmp_path / "curves.svg").read_bytes() == curves


def test_a_name_with_a_bar_does_not_end_its_cell(tmp_path: Path) -> None:
    command = ["bench", BENCH, "--out", str(tmp_path), "--seeds", "2", "--evaluations", "2"]
    result = nas_gym(*command, "--workers", "1", "--agent", 'a|b={"agent": "random"}')
    assert result.stdout.splitlines()[4].startswith(r"| a\|b | 2 | ")


def make_env(dataset: str = "here", training_seed: int = 0) -> NASEnv:
    """TinyBench; what is best "here" in a test is worst "there"."""
    table = environment(BENCH, "{}").memory.evaluator
    assert isinstance(table, Table)
    if dataset == "there":
        table = replace(table, test=1 - table.test)
    return NASEnv(table.search_space, table)


def test_what_was_found_on_one_data_set_is_scored_on_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = gym.envs.registration.EnvSpec(
        "tests/TwoTables-v0", entry_point="tests.agents.bench.test_results:make_env"
    )
    monkeypatch.setitem(gym.registry, spec.id, spec)
    command = [
        "bench",
        spec.id,
        "--out",
        str(tmp_path),
        "--seeds",
        "2",
        "--workers",
        "1",
        "--first-seed",
        "1",
    ]
    command += ["--evaluations", "12", "--agent", "random"]  # which is the baseline, as the first
    command += ["--dataset", "here", "--report-dataset", "here", "--report-dataset", "there"]
    result = nas_gym(*command)
    assert result.exit_code == 0, result.output
    assert "there, found on here, 12 evaluations: test accuracy in percent" in result.stdout
    direct, transferred = json.loads((tmp_path / "results.json").read_text())
    assert np.add(direct["values"], transferred["values"]) == pytest.approx(100.0)
    assert (direct["optimum"], transferred["optimum"]) == (0, None)
    assert len((tmp_path / SEARCHES).read_text().splitlines()) == 2  # made once each


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--agent", "random", "--agent", "random"], "random: it is there twice"),
        (["--agent", "random=3"], "expected {.agent.: NAME"),
        (["--evaluations", "3", "--simulated-seconds", "4"], "give one of them"),
        (["--evaluations", "0"], "limits.0: expected a number greater than 0"),
        (["--agent", "nsga2", "--baseline", "nsga2"], "nsga2 is for several objectives"),
    ],
)
def test_wrong_options_are_one_line(tmp_path: Path, options: list[str], message: str) -> None:
    result = nas_gym("bench", BENCH, "--out", tmp_path, *options)
    assert result.exit_code == 2
    assert re.search(message, result.stderr)
    assert len(result.stderr.splitlines()) == 1


def test_a_budget_that_is_too_small_for_a_network_leaves_results_empty(tmp_path: Path) -> None:
    command = ["bench", BENCH, "--out", str(tmp_path), "--seeds", "2", "--workers", "1"]
    command += ["--agent", "random", "--baseline", "random", "--simulated-seconds", "0.001"]
    result = nas_gym(*command)
    assert result.exit_code == 0, result.output
    assert "| random | 2 |  |  |  |  | 0 of 2 | 0 |" in result.stdout
    [row] = json.loads((tmp_path / "results.json").read_text())
    assert (row["mean"], row["values"], row["last_fifth"]) == (None, [None, None], None)
