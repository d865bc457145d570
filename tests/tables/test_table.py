from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import nas_gym.families.nasbench101.table as tables
from nas_gym.data.loading import data_folder
from nas_gym.errors import InvalidSettings
from nas_gym.evaluation.evaluator import RecordedEvaluator
from nas_gym.evaluation.memory import Memory
from nas_gym.families.nasbench101.architecture import (
    INPUT,
    NASBENCH101_OPERATIONS,
    OUTPUT,
    NASBench101Architecture,
)
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace
from nas_gym.families.nasbench101.table import HashIndex, nasbench101_table
from nas_gym.families.nasbench201.search_space import (
    NASBENCH201_OPERATIONS,
    NASBench201Architecture,
    NASBench201SearchSpace,
)
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.tables.built import built_table
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.table import Table
from tests.helpers import LayersSearchSpace

Arrays = dict[str, NDArray[Any]]
SPACE = NASBench201SearchSpace()


@pytest.fixture(scope="module")
def nasbench201_arrays() -> Arrays:
    """A compact NAS-Bench-201 in another order of rows, edges and operations than ours."""
    rng = np.random.default_rng(0)
    names = rng.permutation(NASBENCH201_OPERATIONS)
    cells = rng.permutation(np.array(list(itertools.product(range(5), repeat=6)), np.uint8))
    rows = len(cells)
    return {
        "op_names": names,
        "edge_order": np.array(["2->3", "0->1", "0->2", "1->2", "0->3", "1->3"]),
        "ops": cells,
        "cifar10_val_acc_12ep": rng.uniform(10, 80, rows).astype(np.float32),
        "cifar10_test_acc_12ep": rng.uniform(10, 80, rows).astype(np.float32),
        "cifar10_val_acc_200ep": rng.uniform(10, 90, rows).astype(np.float32),
        "cifar10_test_acc_200ep": rng.uniform(10, 90, rows).astype(np.float32),
        "cifar10_valid_train_time_s_200ep": rng.uniform(500, 3000, rows).astype(np.float32),
        "cifar10_params_m": rng.uniform(0.1, 1.5, rows).astype(np.float32),
    }


@pytest.fixture
def saved(tmp_path: Path) -> Callable[[Arrays], Path]:
    def save(arrays: Arrays) -> Path:
        path = tmp_path / "table.npz"
        whole: dict[str, Any] = arrays
        np.savez(path, **whole)
        return path

    return save


def test_a_cell_is_looked_up_in_its_own_row(
    nasbench201_arrays: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    arrays = nasbench201_arrays
    table = nasbench201_table("cifar10", 12, saved(arrays))
    row = 4321
    of_edge = dict(zip(arrays["edge_order"], arrays["op_names"][arrays["ops"][row]], strict=True))
    order = ("0->1", "0->2", "1->2", "0->3", "1->3", "2->3")
    cell = NASBench201Architecture(tuple(str(of_edge[edge]) for edge in order))
    [evaluation] = table.evaluate([cell])
    assert table.rows([SPACE.encode(cell)]).tolist() == [row]
    assert evaluation.status == "ok"
    assert evaluation.accuracy == pytest.approx(arrays["cifar10_val_acc_12ep"][row] / 100)
    assert evaluation.curve == (evaluation.accuracy,)
    seconds = arrays["cifar10_valid_train_time_s_200ep"][row] * 12 / 200
    assert evaluation.seconds == pytest.approx(seconds)
    assert evaluation.parameters == round(arrays["cifar10_params_m"][row].astype(float) * 1e6)
    assert table.test_accuracy(cell) == pytest.approx(arrays["cifar10_test_acc_12ep"][row] / 100)
    assert len(table) == 15_625
    assert isinstance(table, RecordedEvaluator)
    assert all(len(column) == 15_626 for column in table.columns.values())


def test_a_latency_that_is_recorded_is_looked_up(
    nasbench201_arrays: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    without = nasbench201_table("cifar10", 12, saved(nasbench201_arrays))
    assert "latency" not in without.columns
    assert without.evaluation(7).latency is None
    latency = np.linspace(0.01, 0.02, 15_625)
    latency[7] = np.nan
    arrays = {**nasbench201_arrays, "cifar10_latency_s": latency}
    table = nasbench201_table("cifar10", 12, saved(arrays))
    assert table.columns["latency"][:-1].tolist() == pytest.approx(latency.tolist(), nan_ok=True)
    assert np.isnan(table.columns["latency"][-1])
    assert table.evaluation(8).latency == latency[8]
    assert table.evaluation(7).latency is None
    assert table.fingerprint != without.fingerprint
    with pytest.raises(InvalidTable, match=r"cifar10_latency_s.0. is -1"):
        nasbench201_table("cifar10", 12, saved({**arrays, "cifar10_latency_s": -latency * 100}))


@given(st.lists(st.lists(st.integers(0, 4), min_size=6, max_size=6), min_size=1, max_size=20))
def test_arrays_and_objects_find_the_same_row(choices: list[list[int]]) -> None:
    index = ChoicesIndex(SPACE, np.random.default_rng(1).permutation(5**6))
    places = [int("".join(map(str, sequence)), base=5) for sequence in choices]
    assert index.rows(choices).tolist() == index.row_of[places].tolist()


def test_an_index_covers_decisions_with_unlike_numbers_of_choices() -> None:
    search_space = LayersSearchSpace()
    row_of = np.arange(3 * 4**3)
    assert ChoicesIndex(search_space, row_of).rows([[2, 3, 0, 1]]) == [
        ((2 * 4 + 3) * 4 + 0) * 4 + 1
    ]
    with pytest.raises(
        InvalidTable, match=r"of shape \(191,\); expected .*\(192,\); .*another search space"
    ):
        ChoicesIndex(search_space, row_of[:-1])


def test_isomorphic_cells_keep_their_own_records(
    nasbench201_arrays: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    table = nasbench201_table("cifar10", 200, saved(nasbench201_arrays))
    cell = SPACE.decode([3, 2, 0, 1, 0, 4])
    pair = [cell, cell.canonical()]
    assert pair[0] != pair[1]
    assert pair[0].key == pair[1].key
    evaluator = Memory(table)
    first, second = evaluator.evaluate(pair)
    assert first.accuracy != second.accuracy
    assert evaluator.budget.made == 2
    assert evaluator.budget.seconds == pytest.approx(first.seconds + second.seconds)
    assert evaluator.evaluate(pair[:1])[0].cached


def test_the_fingerprint_follows_what_is_looked_up(
    nasbench201_arrays: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    path = saved(nasbench201_arrays)
    table = nasbench201_table("cifar10", 12, path)
    assert table.fingerprint == nasbench201_table("cifar10", 12, path).fingerprint
    assert table.fingerprint != nasbench201_table("cifar10", 200, path).fingerprint
    for column in ("cifar10_val_acc_12ep", "cifar10_params_m"):
        changed = {**nasbench201_arrays, column: nasbench201_arrays[column] / 2}
        assert table.fingerprint != nasbench201_table("cifar10", 12, saved(changed)).fingerprint


@pytest.mark.parametrize(
    ("column", "change", "message"),
    [
        ("ops", None, "no column 'ops'; it has"),
        ("cifar10_val_acc_12ep", None, "no column 'cifar10_val_acc_12ep'"),
        ("cifar10_val_acc_12ep", lambda a: a[:-1], r"shape \(15624,\); .*of shape \(15625,\)"),
        ("cifar10_val_acc_12ep", lambda a: a[:, None], r"is float32 of shape \(15625, 1\)"),
        ("cifar10_val_acc_12ep", lambda a: a.astype(str), r"is <U\d+ of .*; expected numbers of"),
        ("cifar10_val_acc_12ep", lambda a: a + np.nan, r"12ep\[0\] is nan \(15625 values"),
        ("cifar10_val_acc_12ep", lambda a: a * 100, r"12ep\[0\] is .*; expected .* from 0 to 100"),
        ("cifar10_val_acc_12ep", lambda a: a / 100, "fractions; expected percent; multiply"),
        ("cifar10_test_acc_12ep", lambda a: a * 100, r"test_acc_12ep\[0\] is .* from 0 to 100"),
        ("cifar10_test_acc_12ep", lambda a: a / 100, "fractions; expected percent; multiply"),
        ("cifar10_test_acc_12ep", lambda a: a * np.nan, r"test_acc_12ep\[0\] is nan"),
        ("cifar10_valid_train_time_s_200ep", lambda a: -a, r"200ep\[0\] is -.* from 0 on"),
        ("cifar10_valid_train_time_s_200ep", lambda a: a / 0, r"\[0\] is inf .*no infinity"),
        ("cifar10_params_m", lambda a: a / 0, r"params_m\[0\] is inf .*from 0 to 1,000"),
        ("cifar10_params_m", lambda a: -a, r"params_m\[0\] is -0"),
        ("cifar10_params_m", lambda a: a * 1e6, r"params_m\[0\] is .* from 0 to 1,000"),
        ("ops", np.zeros_like, "15624 of the 15,625 cells are missing"),
        ("ops", lambda a: a[:, :5], r"ops is uint8 of shape \(15625, 5\)"),
        ("ops", lambda a: a.astype(float), "ops is float64 .*; expected whole numbers"),
        ("ops", lambda a: a + 1, r"ops\[.*\] is 5 .* from 0 to 4"),
        ("edge_order", lambda a: a[::-1][:5], "expected none, skip_connect"),
        ("op_names", np.char.upper, "op_names are"),
    ],
)
def test_a_broken_table_is_one_clear_error(
    nasbench201_arrays: Arrays,
    saved: Callable[[Arrays], Path],
    column: str,
    change: Callable[[NDArray[Any]], NDArray[Any]] | None,
    message: str,
) -> None:
    arrays = dict(nasbench201_arrays)
    before = arrays.pop(column)
    if change is not None:
        with np.errstate(divide="ignore"):
            arrays[column] = change(before)
    with pytest.raises(InvalidTable, match=f"table.npz.*{message}"):
        nasbench201_table("cifar10", 12, saved(arrays))


def test_what_nobody_recorded_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="dataset: nothing is recorded for 'cifar'; did you"):
        nasbench201_table("cifar")
    with pytest.raises(InvalidTable, match=r"epochs: nothing is recorded for 13; .*None, 12, 200"):
        nasbench201_table(epochs=13)
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    monkeypatch.setattr("nas_gym.families.nasbench201.table.package_file", lambda prefix: None)
    with pytest.raises(InvalidTable, match=r"nasbench201_cifar10.npz .*table import"):
        nasbench201_table()


def test_the_real_table_holds_the_published_best() -> None:
    path = data_folder() / "nasbench201_cifar10.npz"
    if not path.is_file():
        pytest.skip(f"{path} is missing")
    table = nasbench201_table("cifar10", 200)
    assert round(float(table.accuracy.max()), 4) == 0.9161
    assert table.accuracy.argmax() == 6111
    assert round(float(np.nanmax(table.test)), 4) == 0.9437
    best = NASBench201Architecture.from_string(
        "|nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|"
    )
    assert table.rows([SPACE.encode(best)]).tolist() == [6111]


# NAS-Bench-101 --------------------------------------------------------------------------------


@pytest.fixture
def modules() -> list[NASBench101Architecture]:
    """Three cells of one inner vertex, and one that no table here records."""
    adjacency = ((0, 1, 1), (0, 0, 1), (0, 0, 0))
    straight = ((0, 1), (0, 0))
    cells = [
        NASBench101Architecture(adjacency, (INPUT, label, OUTPUT))
        for label in NASBENCH101_OPERATIONS
    ]
    return [*cells, NASBench101Architecture(straight, (INPUT, OUTPUT))]


@pytest.fixture
def nasbench101(monkeypatch: pytest.MonkeyPatch, modules: list[NASBench101Architecture]) -> Arrays:
    monkeypatch.setattr(tables, "NASBENCH101_CELLS", 3)
    rows = (2, 0, 1)
    return {
        "module_hash": np.array([modules[row].module_hash for row in rows], dtype="S32"),
        "val_acc_108ep": np.array([0.92, 0.9, 0.91], np.float32),
        "test_acc_108ep": np.array([0.82, 0.8, 0.81], np.float32),
        "train_time_s_108ep": np.array([1200.0, 1000.0, 1100.0], np.float32),
        "params": np.array([120, 100, 110], np.int32),
    }


def test_a_module_is_found_by_its_hash(
    nasbench101: Arrays, modules: list[NASBench101Architecture], saved: Callable[[Arrays], Path]
) -> None:
    search_space = NASBench101SearchSpace()
    table = nasbench101_table(108, saved(nasbench101))
    rows = table.rows([search_space.encode(cell) for cell in modules])
    assert rows.tolist() == [1, 2, 0, 3]
    assert table.columns["status"][rows].tolist() == ["ok"] * 3 + ["unbuildable"]
    np.testing.assert_allclose(table.accuracy[rows], [0.9, 0.91, 0.92, 0], rtol=1e-6)
    assert table.seconds[rows].tolist() == [1000, 1100, 1200, 0]
    of_first, of_none = table.evaluate([modules[0], modules[3]])
    assert (of_first.status, of_first.parameters) == ("ok", 100)
    assert (of_none.status, of_none.accuracy, of_none.seconds) == ("unbuildable", 0.0, 0.0)
    assert (of_none.curve, of_none.parameters) == ((), None)
    assert "has not recorded" in of_none.message
    assert np.isnan(table.test_accuracy(modules[3]))


def test_many_modules_are_found_at_once_however_often_and_in_whatever_form(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search_space, rng = NASBench101SearchSpace(), np.random.default_rng(0)
    choices = np.stack([search_space.sample(rng) for _ in range(300)])
    hashes = [search_space.decode(sequence).module_hash for sequence in choices]
    recorded = sorted(set(hashes), key=lambda name: name[::-1])[20:]  # some are not
    index = HashIndex(np.array(recorded, dtype="S32"))
    expected = [recorded.index(name) if name in recorded else len(recorded) for name in hashes]
    assert len(recorded) in expected
    for _ in range(2):
        assert index.rows(choices).tolist() == expected
    monkeypatch.setattr(tables, "REMEMBERED", 10)
    assert index.rows(np.asfortranarray(choices[::-1])).tolist() == expected[::-1]


def test_a_hash_that_is_there_twice_is_refused(
    nasbench101: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    nasbench101["module_hash"][1] = nasbench101["module_hash"][0]
    with pytest.raises(InvalidTable, match=r"table.npz: the module_hash \w{32} is there twice"):
        nasbench101_table(108, saved(nasbench101))


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("module_hash", np.arange(3), r"module_hash is int64 .* expected texts"),
        ("module_hash", np.array(["é", "b", "c"]), "module_hash holds 'é'; expected 32 hexa"),
        ("val_acc_108ep", np.array([92.0, 0.9, 0.9]), r"val_acc_108ep\[0\] is 92.0 .*from 0 to 1;"),
        ("test_acc_108ep", np.array([0.9, np.nan, 0.9]), r"test_acc_108ep\[1\] is nan"),
        ("train_time_s_108ep", np.array(["1", "2", "3"]), "train_time_s_108ep is <U1"),
        ("params", np.array([1, 2, -3]), r"params\[2\] is -3 .* from 0 on"),
    ],
)
def test_a_broken_table_of_modules_is_one_clear_error(
    nasbench101: Arrays,
    saved: Callable[[Arrays], Path],
    column: str,
    value: NDArray[Any],
    message: str,
) -> None:
    nasbench101[column] = value
    with pytest.raises(InvalidTable, match=f"table.npz: {message}.*nas-gym table import"):
        nasbench101_table(108, saved(nasbench101))


# What `nas-gym table build` recorded -----------------------------------------------------------


@pytest.fixture
def built() -> Arrays:
    """Four rows, two seeds, two epochs of 10 validation and 20 test images; row 3 failed once."""
    made = {
        "search_space": "NASBench201",
        "rows": 4,
        "seeds": 2,
        "training": {"seed": 5, "epochs": 2},
        "validation_images": 10,
        "test_images": 20,
    }
    return {
        "version": np.array(1),
        "made": np.array(json.dumps(made)),
        "row_of": np.arange(5**6) % 4,
        "status": np.array([["ok", "ok"]] * 3 + [["ok", "diverged"]]),
        "validation_right": np.array([[[1, 2], [3, 4]]] * 3 + [[[5, 6], [7, -1]]]),
        "test_right": np.array([[4, 8]] * 3 + [[12, -1]]),
        "seconds": np.array([[0.5, 1.5]] * 4, np.float32),
        "parameters": np.array([10, 11, 12, 13]),
        "multiply_adds": np.array([100, 101, 102, 103]),
    }


def test_a_built_table_gives_one_seed_or_the_mean(
    built: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    path = saved(built)
    mean, second = built_table(path, SPACE), built_table(path, SPACE, seed=1)
    np.testing.assert_allclose(mean.accuracy, [0.3, 0.3, 0.3, 0, 0])
    np.testing.assert_allclose(second.accuracy, [0.4, 0.4, 0.4, 0, 0])
    assert built_table(path, SPACE, seed=7).fingerprint == second.fingerprint
    assert mean.fingerprint != second.fingerprint
    evaluation = second.evaluation(0)
    assert evaluation.curve == pytest.approx((0.3, 0.4))
    assert (evaluation.seconds, evaluation.seed) == (1.5, 6)
    assert (evaluation.parameters, evaluation.multiply_adds) == (10, 100)
    failed = second.evaluation(3)
    assert (failed.status, failed.accuracy, failed.curve) == ("diverged", 0.0, (0.7,))
    first = SPACE.decode([0] * 6)
    assert second.test_accuracy(first) == pytest.approx(0.4)
    assert mean.test_accuracy(first) == pytest.approx(0.3)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("version", np.array(2), "version 2; this nas_gym reads version 1; build it again"),
        ("row_of", np.arange(7), "it belongs to another search space"),
        ("row_of", np.arange(5**6) % 5, r"row_of\[4\] is 4 .* from -1 to 3; .*build it again"),
        ("row_of", np.full(5**6, -5), r"row_of\[0\] is -5"),
        ("row_of", np.arange(5**6) % 5 - 1, "no row, for 3,125 of 15,625 valid sequences"),
        ("row_of", np.zeros(5**6), "row_of is float64 .* whole numbers"),
        ("parameters", np.arange(3), r"parameters is int64 of shape \(3,\); expected .*\(4,\)"),
        ("parameters", np.full(4, -2), r"parameters\[0\] is -2"),
        ("multiply_adds", np.full(4, 0.5), "multiply_adds is float64"),
        ("test_right", np.zeros((4, 3), int), r"test_right is int64 of shape \(4, 3\)"),
        ("test_right", np.full((4, 2), 800), r"test_right\[0, 0\] is 800 .* from -1 to 20"),
        ("seconds", np.full((4, 2), np.inf), r"seconds\[0, 0\] is inf"),
        ("status", np.full((4, 2), "fine"), "is fine .*expected one of ok, diverged"),
        ("status", np.full((4, 2), "unrecorded"), "status: a first training is not recorded"),
        ("status", np.full((4, 2), b"ok"), r"status is \|S2 .*expected texts"),
        ("validation_right", np.full((4, 2), 1), r"shape \(4, 2\); .*\(4, 2, 2\)"),
        ("validation_right", np.full((4, 2, 0), 1), r"shape \(4, 2, 0\)"),
        ("validation_right", np.full((4, 2, 2), "1"), "validation_right is <U1"),
        ("validation_right", np.full((4, 2, 2), 11), r"\[0, 0, 0\] is 11 .* from -1 to 10"),
        ("validation_right", np.full((4, 2, 2), -1), r"where the status is ok,\[0, 0\] is -1"),
        ("made", np.array("no JSON"), "does not say how it was made"),
        ("made", np.array("[]"), "does not say how it was made"),
    ],
)
def test_a_broken_built_table_is_one_clear_error(
    built: Arrays,
    saved: Callable[[Arrays], Path],
    column: str,
    value: NDArray[Any],
    message: str,
) -> None:
    built[column] = value
    with pytest.raises(InvalidTable, match=f"table.npz.*{message}"):
        built_table(saved(built), SPACE)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"search_space": None}, "the search space None; expected 'NASBench201'"),
        ({"rows": 4.0}, "made: rows is 4.0; expected an integer of at least 1; build it again"),
        ({"seeds": 0}, "made: seeds is 0"),
        ({"test_images": True}, "made: test_images is True"),
        ({"validation_images": "x"}, "made: validation_images is 'x'"),
        ({"training": {}}, "made: training: seed is None; expected an integer of at least 0"),
        ({"training": "x"}, "made: training: seed is None"),
        ({"training": {"seed": 5, "epochs": None}}, "made: training: epochs is None"),
    ],
)
def test_a_built_table_that_says_nonsense_of_itself_is_refused(
    built: Arrays, saved: Callable[[Arrays], Path], changed: dict[str, Any], message: str
) -> None:
    built["made"] = np.array(json.dumps({**json.loads(str(built["made"])), **changed}))
    with pytest.raises(InvalidTable, match=f"table.npz.*{message}"):
        built_table(saved(built), SPACE)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"status": np.array(["ok", "fine"])}, r"status\[1\] is fine"),
        (
            {"status": np.array("ok")},
            r"status is <U2 of shape \(\); expected texts of shape \(1,\)",
        ),
        ({"curves": np.zeros(2)}, r"curves is float64 of shape \(2,\)"),
        ({"curves": np.zeros((2, 0))}, r"curves is float64 of shape \(2, 0\)"),
        ({"curves": np.array([[np.nan], [0.5]])}, r"accuracy\[0\] is nan"),
        ({"parameters": np.array([1, -1])}, r"parameters\[1\] is -1"),
        ({"multiply_adds": np.array([np.inf, 1])}, r"multiply_adds\[0\] is inf"),
        ({"test": np.array([0.5, 89.16])}, r"test\[1\] is 89.16 .* from 0 to 1; .*Table"),
    ],
)
def test_a_table_of_impossible_arrays_is_refused(changed: dict[str, Any], message: str) -> None:
    index = ChoicesIndex(SPACE, np.zeros(5**6, int))
    status, curves = np.array(["ok", "unbuildable"]), np.array([[0.5], [np.nan]])
    table = Table("t", index, {}, status, curves, *np.ones((4, 2)))
    with pytest.raises(InvalidTable, match=f"table: t: {message}"):
        replace(table, **changed)


def test_another_search_space_or_seed_is_refused(
    built: Arrays, saved: Callable[[Arrays], Path]
) -> None:
    path = saved(built)
    with pytest.raises(InvalidTable, match=r"search space 'NASBench201'; expected 'Layers'"):
        built_table(path, LayersSearchSpace())
    with pytest.raises(InvalidSettings, match=r"seed: expected a number greater .*, got -1"):
        built_table(path, SPACE, seed=-1)
