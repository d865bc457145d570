"""Tables that users bring: frames, CSV and JSON."""

from __future__ import annotations

import doctest
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nas_gym import Memory, NASBench201SearchSpace, NASEnv, NASNetSearchSpace, NASVectorEnv
from nas_gym.evaluation.evaluator import RecordedEvaluator
from nas_gym.search_spaces import CustomArchitecture, CustomSearchSpace, Decision
from nas_gym.tables import InvalidTable, Table
from nas_gym.tables import table as table_module
from tests.helpers import LayersSearchSpace


class Nets(CustomArchitecture, kind="frame-nets"):
    decisions = (Decision("width", ("16", "32", "64")), Decision("act", ("relu", "gelu")))


SPACE = CustomSearchSpace(Nets)
LONG: dict[str, Any] = {
    "width": ["16", "16", "16", "16", "32", "32", "64"],
    "act": ["relu", "relu", "relu", "relu", "gelu", "gelu", "relu"],
    "epochs": [1, 1, 4, 4, 1, 4, 1],
    "seed": [1, 0, 0, 1, 0, 0, 0],
    "accuracy": [0.4, 0.2, 0.5, 0.7, 0.3, 0.0, 0.1],
    "seconds": [1.0, 1.0, 4.0, 6.0, 2.0, 8.0, 1.0],
    "latency": [0.1, 0.1, 0.1, 0.3, 0.2, None, 0.1],
    "energy": [2.0] * 7,
    "status": ["ok", "ok", "ok", "ok", "ok", "diverged", "ok"],
    "test_accuracy": [0.1, 0.1, 0.4, 0.6, 0.1, 0.0, 0.1],
}
"""Three networks, of which one diverged in its second, and one has no second training."""


def looked_up(table: Table, *labels: str) -> Any:
    [evaluation] = table.evaluate([Nets(dict(zip(("width", "act"), labels, strict=True)))])
    return evaluation


def test_several_seeds_and_lengths_of_training() -> None:
    table = Table.from_frame(SPACE, LONG)
    assert isinstance(table, RecordedEvaluator)
    assert (table.epochs, len(table)) == (4, 3)
    evaluation = looked_up(table, "16", "relu")
    assert (evaluation.status, evaluation.accuracy, evaluation.seconds) == ("ok", 0.6, 5.0)
    assert evaluation.curve == pytest.approx((0.3, 0.6))
    assert evaluation.latency == pytest.approx(0.2)
    assert evaluation.energy == 2.0
    assert table.test_accuracy(Nets({"width": "16", "act": "relu"})) == 0.5
    failed = looked_up(table, "32", "gelu")
    assert (failed.status, failed.accuracy, failed.latency) == ("diverged", 0.0, None)
    assert looked_up(table, "64", "relu").status == "unrecorded"

    short = Table.from_frame(SPACE, LONG, epochs=1)
    assert looked_up(short, "16", "relu").accuracy == pytest.approx(0.3)
    assert looked_up(short, "64", "relu").accuracy == 0.1
    of_seeds = [Table.from_frame(SPACE, LONG, epochs=1, seed=seed) for seed in range(3)]
    accuracies = [looked_up(each, "16", "relu").accuracy for each in of_seeds]
    assert accuracies == [0.2, 0.4, 0.2]  # in the order of their seeds, and again from the first
    assert [looked_up(each, "32", "gelu").accuracy for each in of_seeds] == [0.3] * 3
    longest = np.max(LONG["epochs"])
    assert Table.from_frame(SPACE, LONG, epochs=longest).fingerprint == table.fingerprint
    assert len({table.fingerprint, short.fingerprint, *(t.fingerprint for t in of_seeds)}) == 5


def test_one_seed_has_the_parts_of_one_training() -> None:
    """Those of one length may have other seeds than those of another, and none at all."""
    frame: dict[str, Any] = {"width": [16] * 5 + [32, 32], "act": [0] * 7}
    frame |= {"epochs": [1, 1, 1, 4, 4, 1, 1], "seed": [5, 6, 7, 7, 6, 8, 9]}
    frame["accuracy"] = [0.1, 0.2, 0.3, 0.7, 0.6, 0.4, 0.5]
    curves = []
    for seed in range(3):
        table = Table.from_frame(SPACE, frame, seed=seed)
        rows = table.rows([[0, 0], [1, 0]]).tolist()
        curves.append([[table.evaluation(row, each).accuracy for each in (1, 4)] for row in rows])
    assert curves == [
        [[0.2, 0.6], [0.4, 0.0]],
        [[0.3, 0.7], [0.5, 0.0]],
        [[0.2, 0.6], [0.4, 0.0]],
    ]


def test_without_times_of_its_parts_a_failed_training_ends_after_its_curve() -> None:
    lengths = [1, 2, 4, 8]
    statuses = ["ok"] * 5 + ["diverged"] * 3  # in the second epoch
    frame = {"width": [16] * 4 + [32] * 4, "act": ["relu"] * 8, "epochs": lengths * 2}
    frame |= {"accuracy": [0.5] * 8, "status": statuses, "seconds": [8.0] * 8}
    table = replace(Table.from_frame(SPACE, frame), elapsed=None)
    parts = [[table.evaluation(row, each).seconds for each in lengths] for row in range(2)]
    assert parts == [[1.0, 2.0, 4.0, 8.0], [4.0, 8.0, 8.0, 8.0]]


def test_a_training_that_failed_is_so_after_a_part_of_it_too() -> None:
    """One that failed has an accuracy in some frames; and of two, one may have failed."""
    alone: dict[str, Any] = {"width": [16, 16], "act": [0, 0], "epochs": [1, 2]}
    alone["accuracy"] = [0.0, 0.0]
    table = Table.from_frame(SPACE, {**alone, "status": ["diverged", "diverged"]})
    [row] = table.rows([[0, 0]]).tolist()
    assert [table.evaluation(row, each).status for each in (1, 2)] == ["diverged"] * 2
    assert table.evaluation(row).curve == ()
    two = {name: [*values, *values] for name, values in alone.items()}
    failed = {"seed": [0, 0, 1, 1], "status": ["ok", "ok", "crashed", "crashed"]}
    table = Table.from_frame(SPACE, {**two, **failed, "accuracy": [0.4, 0.5, None, None]})
    assert [table.evaluation(row, each).status for each in (1, 2)] == ["crashed"] * 2


def test_numbers_are_labels_where_they_can_be(tmp_path: Path) -> None:
    class Steps(CustomArchitecture, kind="frame-steps"):
        decisions = (
            Decision("steps", ("1000000", "1000001")),
            Decision("rate", ("0.1", "0.25")),
            Decision("size", ("none", "3", "1")),
        )

    search_space = CustomSearchSpace(Steps)
    rates = np.array([0.1, 0.25], dtype=np.float32)
    frame = {"steps": [1000001, 1000000], "rate": rates, "accuracy": [0.1, 0.2]}
    for sizes, expected in (([1, 3], [2, 1]), ([1, 0], [1, 0]), (["1", "none"], [2, 0])):
        table = Table.from_frame(search_space, {**frame, "size": sizes})
        found = table.rows([[1, 0, expected[0]], [0, 1, expected[1]]])
        assert [table.evaluation(row).accuracy for row in found.tolist()] == [0.1, 0.2]
    (tmp_path / "own.csv").write_text("steps,rate,size,accuracy\n1000001,0.1,1,0.3\n")
    table = Table.from_file(search_space, tmp_path / "own.csv")
    assert table.evaluation(int(table.rows([[1, 0, 2]])[0])).accuracy == 0.3


def test_the_docstrings_example() -> None:
    result = doctest.testmod(table_module)
    assert (result.failed, result.attempted) == (0, 5)


def test_the_pages_example() -> None:
    page = (Path(__file__).parents[2] / "docs" / "recorded.md").read_text(encoding="utf-8")
    snippets = [part.partition("```")[0] for part in page.split("```python\n")]
    [snippet] = [each for each in snippets if "from_frame" in each]
    found: dict[str, Any] = {}
    exec(snippet, found)
    env = found["env"]
    env.reset()
    for _ in range(6):
        *_, info = env.step(3)
    assert info["evaluation"]["accuracy"] == 0.93
    assert env.budget.seconds == 700


def test_what_is_not_recorded_is_answered_and_worth_nothing() -> None:
    table = Table.from_frame(SPACE, LONG)
    for reward in ("accuracy", "nas", {"name": "mnasnet", "cost": "energy", "target": 1.0}):
        env = NASEnv(SPACE, table, reward)
        env.reset()
        env.step(2)
        _, value, terminated, truncated, info = env.step(1)
        assert (value, terminated, truncated) == (0.0, True, False)
        assert info["evaluation"]["status"] == "unrecorded"
        assert "has not recorded this architecture" in info["evaluation"]["message"]
    vector = NASVectorEnv(SPACE, table, 2)
    vector.reset()
    vector.step(np.array([2, 0]))
    _, rewards, *_, info = vector.step(np.array([1, 0]))
    assert rewards.tolist() == [0.0, 0.6]
    assert info["status"].tolist() == ["unrecorded", "ok"]
    assert info["energy"][1] == 2.0


def test_networks_that_are_not_recorded_are_paid_for_apart() -> None:
    memory = Memory(Table.from_frame(SPACE, LONG))
    lacking = np.array([[2, 1], [2, 1], [1, 0], [0, 0]])
    for again in (False, True):
        found = memory.evaluate_choices(SPACE, lacking)
        assert [found[n].status for n in range(4)] == ["unrecorded"] * 3 + ["ok"]
        assert [found[n].cached for n in range(4)] == [again, True, again, again]
        assert (memory.budget.made, memory.budget.seconds) == (3, 5.0)
    networks = [SPACE.decode(lacking[n]) for n in (0, 2, 0)]
    parts = [memory.submit(network, epochs=1).result() for network in networks]
    assert [part.cached for part in parts] == [False, False, True]


def test_millions_become_whole_numbers() -> None:
    frame = {"width": ["16"], "act": ["relu"], "accuracy": [0.5], "parameters": [2.01 * 1e6]}
    assert looked_up(Table.from_frame(SPACE, frame), "16", "relu").parameters == 2_010_000


def test_energy_is_a_cost_of_the_reward() -> None:
    reward = {"name": "mnasnet", "cost": "energy", "target": 1.0, "alpha": 0, "beta": -1}
    env = NASEnv(SPACE, Table.from_frame(SPACE, LONG), reward)
    env.reset()
    env.step(0)
    assert env.step(0)[1] == pytest.approx(0.6 / 2.0)


def test_pandas_csv_and_json_are_the_same_table(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(LONG)
    frame.to_csv(tmp_path / "nets.csv", index=False)
    (tmp_path / "nets.json").write_text(json.dumps(LONG))
    frame.to_json(tmp_path / "rows.json", orient="records")
    spreadsheets = tmp_path / "spreadsheets.csv"  # as they write it
    frame.to_csv(spreadsheets, index=False, encoding="utf-8-sig", lineterminator="\r\n")
    table = Table.from_frame(SPACE, LONG, name="nets")
    others = [
        Table.from_frame(SPACE, frame, name="nets"),
        Table.from_file(SPACE, tmp_path / "nets.csv"),
        Table.from_file(SPACE, spreadsheets, name="nets"),
        Table.from_file(SPACE, tmp_path / "nets.json"),
        Table.from_file(SPACE, str(tmp_path / "rows.json"), name="nets"),
    ]
    assert {each.fingerprint for each in others} == {table.fingerprint}


class Stacks(CustomArchitecture, kind="frame-stacks"):
    decisions = (
        Decision("depth", ("1", "2")),
        Decision("op", ("3", "skip"), when={"depth": ("2",)}),
        Decision("kernel", ("1", "3"), when={"op": ("3",)}),
    )


STACKS: dict[str, list[Any]] = {
    "depth": [1, 2, 2, 2],
    "op": [None, "3", "3", "skip"],
    "kernel": [None, "1", "3", None],
    "accuracy": [0.1, 0.2, 0.3, 0.4],
}


def test_a_decision_that_does_not_exist_has_an_empty_cell(tmp_path: Path) -> None:
    pandas, search_space = pytest.importorskip("pandas"), CustomSearchSpace(Stacks)
    frame = pandas.DataFrame(STACKS)
    frame.to_csv(tmp_path / "stacks.csv", index=False)
    frame.to_json(tmp_path / "stacks.json", orient="records")
    with_nan = {n: [math.nan if c is None else c for c in cells] for n, cells in STACKS.items()}
    tables = [
        *(Table.from_frame(search_space, each) for each in (STACKS, with_nan, frame)),
        Table.from_frame(search_space, frame.convert_dtypes()),  # with pandas' NA
        Table.from_frame(search_space, frame.astype({"kernel": float})),
        *(Table.from_file(search_space, tmp_path / f"stacks.{end}") for end in ("csv", "json")),
    ]
    chosen = (
        {"depth": "1"},
        {"depth": "2", "op": "3", "kernel": "3"},
        {"depth": "2", "op": "skip"},
    )
    for table in tables:
        found = table.evaluate([Stacks(labels) for labels in chosen])
        assert [evaluation.accuracy for evaluation in found] == [0.1, 0.3, 0.4]
    with pytest.raises(InvalidTable, match=r"kernel: a cell is empty where it exists; .*'1', '3'"):
        Table.from_frame(search_space, {**STACKS, "kernel": [None] * 4})
    with pytest.raises(InvalidTable, match="width: a cell is empty where it exists"):
        Table.from_frame(SPACE, {**LONG, "width": ["", *LONG["width"][1:]]})


@given(st.integers(0, 2**32), st.integers(1, 30))
@pytest.mark.parametrize(
    "search_space", [NASBench201SearchSpace(), NASNetSearchSpace(2), LayersSearchSpace()]
)
def test_every_search_space_finds_its_rows(search_space: Any, seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    choices = np.unique([search_space.sample(rng) for _ in range(number)], axis=0)
    shuffled = rng.permutation(choices)
    accuracy = rng.random(len(choices))
    by_label = {
        decision.name: np.array([str(label) for label in decision.choices])[shuffled[:, step]]
        for step, decision in enumerate(search_space.decisions)
    }
    by_number = {each.name: shuffled[:, n] for n, each in enumerate(search_space.decisions)}
    by_json = {"architecture": [search_space.decode(each).to_json() for each in shuffled]}
    numeric = any(str(each.choices[0]).isdigit() for each in search_space.decisions)
    for columns in (by_label, by_json) if numeric else (by_label, by_number, by_json):
        table = Table.from_frame(search_space, {**columns, "accuracy": accuracy})
        assert len(table) == len(choices)
        np.testing.assert_array_equal(table.accuracy[table.rows(shuffled)], accuracy)
        other = search_space.sample(rng)
        there = (choices == other).all(axis=1).any()
        assert (table.rows(other[None])[0] < len(table)) == there


@pytest.mark.parametrize(
    ("seeds", "first"), [(["b", "a"], 0.2), ([1, None], 0.4), ([None, 0], 0.2)]
)
def test_seeds_may_be_objects(seeds: list[Any], first: float) -> None:
    """As pandas has texts, and empty cells of a file, which are last."""
    frame = {"width": [16, 16], "act": ["relu"] * 2, "accuracy": [0.4, 0.2]}
    column = np.array(seeds, dtype=object)
    assert Table.from_frame(SPACE, {**frame, "seed": column}, seed=0).accuracy[0] == first


def test_an_accuracy_that_is_missing_is_not_recorded() -> None:
    frame = {"width": [16, 32.0], "act": [0, 1], "accuracy": [0.5, math.nan]}
    table = Table.from_frame(SPACE, frame)
    assert table.status.tolist() == ["ok", "unrecorded", "unrecorded"]
    assert "latency" not in table.columns
    assert table.evaluation(0).energy is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"accuracy": None}, "has no column 'accuracy'"),
        ({"width": None}, "no column 'width'; give one for each decision, or .* 'architecture'"),
        ({"acuracy": [0.0] * 7}, "the column 'acuracy' is not known; did you mean 'accuracy'"),
        ({"accuracy": [40.0] * 7}, r"accuracy\[0\] is 40.0 .* shares, percent divided by 100"),
        ({"accuracy": ["high"] * 7}, "accuracy: .*expected numbers"),
        ({"accuracy": [[0.5], *[[0.5, 0.6]] * 6]}, "accuracy: .*expected one value in each row"),
        ({"accuracy": [0.5] * 6}, "columns of equal length"),
        ({"act": ["tanh"] * 7}, "act has no choice 'tanh'; .*relu"),
        ({"act": [2] * 7}, r"act\[0\] is 2 .*from 0 to 1"),
        ({"epochs": [0] * 7}, r"epochs\[0\] is 0"),
        ({"epochs": [0.5] * 7}, "epochs is float64"),
        ({"seed": [True] * 7}, "seed is bool .*expected numbers or texts"),
        ({"seconds": [-1.0] * 7}, r"seconds\[0\] is -1"),
        ({"status": ["fine"] * 7}, r"status\[0\] is fine"),
        ({"architecture": ["{}"] * 7}, "architecture '{}': "),
    ],
)
def test_a_broken_frame_is_refused_in_one_line(changes: dict[str, Any], message: str) -> None:
    frame = {name: each for name, each in {**LONG, **changes}.items() if each is not None}
    with pytest.raises(InvalidTable, match=message) as caught:
        Table.from_frame(SPACE, frame, name="mine")
    assert str(caught.value).startswith("table: mine")
    assert "\n" not in str(caught.value)


def test_what_there_is_none_of_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="epochs: nothing is recorded for 3; "):
        Table.from_frame(SPACE, LONG, epochs=3)
    with pytest.raises(InvalidTable, match=r"epochs: nothing is recorded for 3; .*: 1, 4$"):
        Table.from_frame(SPACE, LONG).evaluation(0, 3)
    without = {name: each[:1] for name, each in LONG.items() if name != "epochs"}
    with pytest.raises(InvalidTable, match="epochs: nothing is recorded for 1; "):
        Table.from_frame(SPACE, without).evaluation(0, 1)
    with pytest.raises(InvalidTable, match="seed: expected an integer from 0 on, got -1"):
        Table.from_frame(SPACE, LONG, seed=-1)
    for name, text, message in (
        ("a.txt", "", "expected a file .csv or .json"),
        ("a.csv", "width,act,accuracy\n16,relu\n", "row 1 has other columns"),
        ("b.csv", "width,act,accuracy\n", "b.csv: it has no rows"),
        ("c.csv", "width,act,accuracy,act\n16,relu,0.5,elu\n", "column 'act' is there twice"),
        ("d.csv", 'width,act,accuracy\n16,"relu,0.5' + 200_000 * "\n", "line 1 .* the quotes"),
        ("a.json", "[1]", "row 1 has other columns"),
        ("b.json", "3", "expected a list of objects, or an object of lists"),
        ("c.json", "{", "not JSON"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(InvalidTable, match=message):
            Table.from_file(SPACE, tmp_path / name)
    with pytest.raises(InvalidTable, match="cannot be read"):
        Table.from_file(SPACE, tmp_path / "none.csv")
