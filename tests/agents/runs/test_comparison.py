"""Searches beside each other, and what random search would have found."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_agents.callbacks.scalars import ScalarCallback
from nas_agents.report.children import read_runs
from nas_agents.runs.comparison import (
    best_of,
    children,
    compare,
    random_accuracies,
    random_band,
    spaced,
)
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_agents.strategies.random_search import expected_best
from nas_gym import InvalidSettings, NASBench201SearchSpace
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.table import Table
from tests.agents.command import nas_gym
from tests.helpers import LayersSearchSpace, StubEvaluator, random_architecture

NO_ARCHITECTURE = '{"architecture": "x", "accuracy": 1, "reward": 1, "status": "ok"}'


def write_run(
    folder: Path,
    agent: str,
    accuracies: list[float],
    rewards: list[Any] | None = None,
    cached: Sequence[int] = (),
    **settings: Any,
) -> Path:
    """A run folder with a child of each accuracy; children 0 and 1 are the same architecture."""
    folder.mkdir()
    asked = {"env_id": "an id", "env_arguments": {}, "repeats": 1, "agent": agent, "seed": 0}
    asked |= settings
    (folder / "settings.json").write_text(json.dumps(asked))
    lines = [
        json.dumps(
            {
                **{"architecture": random_architecture(max(1, n)).to_json(), "accuracy": accuracy},
                **{"reward": rewards[n] if rewards else accuracy, "status": "ok"},
                "cached": n in cached,
            }
        )
        for n, accuracy in enumerate(accuracies)
    ]
    (folder / "episodes.jsonl").write_text("\n".join(lines) + '\n{"cut sho')
    return folder


def test_an_architecture_counts_once(tmp_path: Path) -> None:
    accuracies, keys, vectors, *_ = children(write_run(tmp_path / "a", "ppo", [0.5, 0.7, 0.1, 0.6]))
    assert vectors is None
    assert accuracies.tolist() == [0.5, 0.7, 0.1, 0.6]
    assert keys[0] == keys[1] != keys[2]
    np.testing.assert_allclose(
        best_of(accuracies, keys, (1, 2, 3, 4)),
        [[0.5, np.nan, np.nan], [0.7, np.nan, np.nan]] + [[0.7, np.nan, np.nan]] * 2,
    )
    many = best_of(np.linspace(0, 1, 11), [str(n) for n in range(11)], [11])
    np.testing.assert_allclose(many, [[1.0, 0.8, np.nan]])


def test_children_trained_in_part_are_not_among_the_best(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "asha", [0.1, 0.4, 0.9, 0.2, 0.5, 0.3])
    file = run / "episodes.jsonl"
    lines = [json.loads(line) for line in file.read_text().splitlines()[:-1]]
    lines = [line | {"partial": line["accuracy"] < 0.5} for line in lines]
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    [row] = compare([run])
    assert row.means[0] == 0.9
    assert math.isnan(row.means[1])  # two were trained in full
    assert math.isnan(compare([run], 2)[0].means[0])


def test_agents_are_compared_after_as_many_evaluations(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", "random", [0.1, 0.2, 0.3]),
        write_run(tmp_path / "b", "ppo", [0.2, 0.4, 0.6, 0.9]),
        write_run(tmp_path / "c", "ppo", [0.2, 0.4, 0.8], seed=1),
    ]
    ppo, random = compare(runs)
    assert (ppo.agent, ppo.runs, ppo.evaluations) == ("ppo", 2, 3)
    assert ppo.means[0] == pytest.approx(0.7)
    assert math.isnan(ppo.means[1])  # there are not five
    assert ppo.deviations[0] == pytest.approx(0.2 / math.sqrt(2))
    assert random.means[0] == 0.3
    assert math.isnan(random.deviations[0])
    assert compare(runs, 2)[0].means[0] == 0.4


def test_the_command_says_where_random_search_is_missing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "ppo", [0.2, 0.4])
    result = nas_gym("compare", run)
    assert result.exit_code == 0
    assert result.stdout.splitlines()[1].split() == ["ppo", "1", "2", "40.00%"]
    assert "--agent random" in result.stdout
    other = write_run(tmp_path / "b", "random", [0.2, 0.4])
    shown = nas_gym("compare", run, other, "--json").stdout
    assert [row["agent"] for row in json.loads(shown)] == ["ppo", "random"]
    assert json.loads(shown)[0]["means"] == [0.4, None, None]


def test_rewards_that_weigh_a_cost_are_compared_and_not_accuracies(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / "a", "random", [0.1, 0.2, 0.9], [0.1, 0.2, -0.5]),
        write_run(tmp_path / "b", "ppo", [0.2, 0.4, 0.6], [0.2, 0.3, 0.4]),
        write_run(tmp_path / "c", "tpe", [0.2, 0.4, 0.6], [-0.2, -0.3, -0.1]),
    ]
    rows = compare(runs)
    assert [(row.agent, row.means[0]) for row in rows] == [
        *(("ppo", 0.4), ("random", 0.2), ("tpe", -0.1))
    ]
    assert {row.metric for row in rows} == {"reward"}
    lines = nas_gym("compare", *runs).stdout.splitlines()
    assert "best reward" in lines[0]
    assert lines[1].split() == ["ppo", "1", "3", "0.4000"]
    cubed = write_run(tmp_path / "d", "nas", [0.1, 0.2, 0.5], [0.001, 0.008, 0.125])
    [row] = compare([cubed])  # ranks them as accuracies do
    assert (row.metric, row.means[0]) == ("accuracy", 0.5)


def test_agents_of_other_arguments_are_apart(tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{n}", "ppo", [0.2], seed=n, agent_made_with={"n_steps": 5, **made})
        for n, made in enumerate([{"learning_rate": 1.0}, {"learning_rate": 2.0}, {}])
    ]
    assert {row.agent for row in compare(runs)} == {
        "ppo (learning_rate=1.0)", "ppo (learning_rate=2.0)", "ppo (learning_rate=None)"
    }  # fmt: skip
    with pytest.raises(InvalidSettings, match="the same search as another one, of the seed 0"):
        compare([runs[0], runs[0]])


def test_accuracies_under_shared_weights_are_not_compared(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "enas", [0.2])
    with pytest.raises(InvalidSettings, match="weights that change"):
        compare([run])


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "ppo", [0.2])
    (run / "episodes.jsonl").write_text("{}\nno JSON\n")
    with pytest.raises(InvalidRunFolder, match=r"line 2 of .* is not JSON"):
        compare([run])


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        ("settings.json", "{}", "settings.json has no 'env_id'"),
        ("settings.json", "[]", "settings.json is no JSON object"),
        ("settings.json", "{", "settings.json: not JSON: "),
        ("settings.json", '{"env_id": "an id", "env_arguments": 3}', "env_arguments: expected a"),
        ("settings.json", '{"env_id": "an id", "agent": []}', "agent: expected a valid string"),
        ("settings.json", '{"env_id": "an id", "agent_made_with": 3}', "3 for 'agent_made_with'"),
        ("episodes.jsonl", "{}\n", "line 1 of"),
        ("episodes.jsonl", '{"architecture": "x"}\n', "episodes.jsonl has no 'accuracy'"),
        ("episodes.jsonl", '{"architecture": "x", "accuracy": "y"}\n', "has 'y' for 'accuracy'"),
        ("episodes.jsonl", f"{NO_ARCHITECTURE}\n", "has no architecture: not"),
        ("episodes.jsonl", "[]\n", "episodes.jsonl is no JSON object"),
        ("episodes.jsonl", None, "episodes.jsonl: cannot be read"),
    ],
)
def test_what_is_wrong_in_a_folder_is_one_line(
    file: str, text: str | None, says: str, tmp_path: Path
) -> None:
    run = write_run(tmp_path / "a", "ppo", [0.2])
    if text is None:
        (run / file).unlink()
    else:
        (run / file).write_text(text)
    result = nas_gym("compare", run)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("nas-gym: error: run: ")
    assert result.stderr.count("\n") == 1
    assert says in result.stderr
    assert f"{run / file}" in result.stderr
    assert "; put the file right, or " in result.stderr


@pytest.mark.parametrize(
    ("settings", "evaluations", "message"),
    [
        ({"env_id": "another"}, None, "has env_id another, and .* has an id"),
        ({"env_arguments": {"epochs": 1}}, None, "only searches in the same environment"),
        ({}, 3, "evaluations: the shortest of these runs has 2; got 3"),
    ],
)
def test_runs_that_cannot_be_compared(
    settings: dict[str, Any], evaluations: int | None, message: str, tmp_path: Path
) -> None:
    one = write_run(tmp_path / "a", "ppo", [0.2, 0.4, 0.6])
    other = write_run(tmp_path / "b", "random", [0.2, 0.4], **settings)
    with pytest.raises(InvalidSettings, match=message):
        compare([one, other], evaluations)
    with pytest.raises(InvalidRunFolder, match="is no run folder"):
        compare([one, tmp_path])


def table(search_space: Any, index: Any, accuracies: list[float]) -> Table:
    size = len(accuracies)
    nothing = np.full(size, np.nan)
    return Table(
        "test", index, {}, np.array(["ok"] * size), np.array(accuracies)[:, None], np.ones(size),
        nothing, nothing, nothing,
    )  # fmt: skip


def test_random_search_in_a_table_is_exact() -> None:
    search_space = NASBench201SearchSpace()
    row_of = np.arange(5**6) % 4
    recorded = table(search_space, ChoicesIndex(search_space, row_of), [0.1, 0.2, 0.3, 0.4, 0.0])
    shares = np.bincount(row_of) / len(row_of)
    accuracies = random_accuracies(recorded, search_space)
    assert accuracies is not None
    assert random_accuracies(StubEvaluator(), search_space) is None
    band = random_band(accuracies, [1, 4, 40])
    assert band.mean[0] == pytest.approx(shares @ [0.1, 0.2, 0.3, 0.4])
    assert band.mean[2] == pytest.approx(0.4, abs=1e-4)
    drawn = np.random.default_rng(0).choice(accuracies, size=(20_000, 4)).max(axis=1)
    assert [band.low[1], band.high[1]] == np.quantile(drawn, [0.1, 0.9]).tolist()
    assert band.mean[1] == pytest.approx(drawn.mean(), abs=0.005)


def test_numbers_of_evaluations_are_spaced_by_ratios() -> None:
    assert (spaced(0), spaced(1), spaced(5)) == ([], [1], [1, 2, 3, 4, 5])
    many = spaced(10_000)
    assert (many[0], many[-1], len(many) <= 40) == (1, 10_000, True)


def test_random_search_under_masks_is_drawn() -> None:
    search_space = LayersSearchSpace()

    class Index:
        def __init__(self) -> None:
            self.search_space = search_space

        def rows(self, choices: Any) -> Any:
            return np.asarray(choices)[:, 0]

    accuracies = [0.1 * n for n in range(search_space.num_choices[0] + 1)]
    draws = [search_space.sample(np.random.default_rng(n))[0] for n in range(2_000)]
    expected = np.mean([accuracies[draw] for draw in draws])
    drawn = random_accuracies(table(search_space, Index(), accuracies), search_space)
    assert drawn is not None
    assert drawn.mean() == pytest.approx(expected, abs=0.01)


def test_a_recorded_search_tells_of_random_search(tmp_path: Path) -> None:
    settings = SearchSettings("nas_gym/TinyBench-v0", "random", episodes=30)
    summary = search(settings, tmp_path / "run").summary
    assert 0.45 < summary["random_search"] < 0.467
    other = SearchSettings("nas_gym/TinyBench-v0", "random", episodes=3, env_arguments={
        "reward": {"name": "mnasnet", "cost": "parameters", "target": 1e5}})  # fmt: skip
    assert search(other, tmp_path / "other").summary["random_search"] is None


def test_where_repeats_are_free_random_search_has_as_many_evaluations_as_were_made(
    tmp_path: Path,
) -> None:
    again = {"learning_rate": 1.0}  # it soon asks for the same networks
    settings = SearchSettings(
        "nas_gym/TinyBench-v0", "reinforce", None, evaluations=20, agent_arguments=again
    )
    run, at_tens = tmp_path / "run", []

    class Scalars(ScalarCallback):
        def write(self, scalars: dict[str, float], step: int) -> None:
            if "random/mean" in scalars:
                at_tens.append((step, scalars["random/mean"]))

    summary = search(settings, run, callbacks=[Scalars()]).summary
    made, asked = summary["evaluations"]["made"], summary["episodes"]
    assert asked > 2 * made
    evaluator = gym.make("nas_gym/TinyBench-v0").unwrapped.memory.evaluator  # type: ignore[attr-defined]
    accuracies = random_accuracies(evaluator, evaluator.search_space)
    assert accuracies is not None
    assert summary["random_search"] == expected_best(accuracies, made)
    assert summary["random_band"]["evaluations"][-1] == made
    [read] = read_runs([run])
    assert (read.paid[-1], read.numbers[-1]) == (made, asked)
    for step, mean in at_tens:
        assert mean == expected_best(accuracies, int(read.paid[step - 1]))
    assert compare([run])[0].evaluations == made


def test_repeats_that_are_free_do_not_count(tmp_path: Path) -> None:
    """The second of two children is a repeat; both runs are compared after two evaluations."""
    free: dict[str, Any] = {"episodes": None, "evaluations": 2}
    runs = [
        write_run(tmp_path / "a", "ppo", [0.1, 0.1, 0.9, 0.2], cached=[1], **free),
        write_run(tmp_path / "b", "random", [0.1, 0.1, 0.8], cached=[1]),
    ]
    assert [(each.agent, each.evaluations, each.means[0]) for each in compare(runs, 2)] == [
        *(("ppo", 2, 0.9), ("random", 2, 0.1))
    ]
    with pytest.raises(InvalidSettings, match="shortest of these runs has 3; got 4"):
        compare(runs, 4)


def test_fronts_are_compared_by_the_share_that_they_dominate(tmp_path: Path) -> None:
    """All children lie between (0.2, -10) and (1, -2), of which the fronts dominate parts."""
    worse = [[1.0, -10.0], [0.2, -6.0], [0.6, -6.0], [0.9, -2.0]]
    runs = [
        write_run(tmp_path / "a", "random", [0.5] * 4, worse),
        write_run(tmp_path / "b", "nsga2", [0.4] * 4, [[0.6, -2.0], [1.0, -6.0], *worse[1:3]]),
    ]
    nsga2, random = compare(runs, 3)
    assert (nsga2.agent, random.agent) == ("nsga2", "random")
    assert nsga2.hypervolume == pytest.approx(0.5 + 0.5 * 0.5)
    assert random.hypervolume == pytest.approx(0.5 * 0.5)
    assert math.isnan(random.hypervolume_deviation)
    result = nas_gym("compare", *runs, "--evaluations", "3")
    assert "hypervolume" in result.output
    assert "75.00%" in result.output


def test_without_vectors_there_is_no_hypervolume(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "random", [0.5, 0.6])
    [found] = compare([run])
    assert math.isnan(found.hypervolume)
    [record] = json.loads(nas_gym("compare", run, "--json").output)
    assert record["hypervolume"] is None


def test_vectors_of_different_lengths_are_a_broken_line(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", "random", [0.5, 0.6], [[0.5, -1.0], [0.6]])
    with pytest.raises(InvalidRunFolder, match=r"line 2 .* has no reward of 2 numbers"):
        compare([run])
