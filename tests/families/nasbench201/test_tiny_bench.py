"""The recorded benchmark that ships with the package."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from scipy import stats

from nas_gym import InvalidSettings
from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.families.nasbench201.tiny_bench import (
    TINY_BENCH,
    repeated_trainings,
    tiny_bench_table,
)
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.recording import RecordingSettings
from nas_gym.tables.table import Table
from nas_gym.training.settings import TrainingSettings

SPACE = NASBench201SearchSpace()
CIFAR_10 = data_folder() / "cifar10.npz"


@pytest.fixture(scope="module")
def table() -> Table:
    return tiny_bench_table()


def agreement(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """Spearman's rank correlation."""
    return float(stats.spearmanr(one, other).statistic)


def test_every_network_is_recorded(table: Table) -> None:
    assert TINY_BENCH.stat().st_size < 1_500_000
    assert len(table) == 6466
    assert set(table.status[:-1]) == {"ok"}
    assert table.lengths == (1, 2, 3, 4)
    assert not np.isnan(table.test[:-1]).any()
    assert np.count_nonzero(table.accuracy == table.accuracy.max()) == 1


def test_a_tenth_was_trained_three_times(table: Table) -> None:
    curves, tests = repeated_trainings()
    assert curves.shape == (647, 3, 4)
    assert tests.shape == (647, 3)
    recorded = {(*curve, tested) for curve, tested in zip(table.curves, table.test, strict=True)}
    first = {(*curve[0], tested[0]) for curve, tested in zip(curves, tests, strict=True)}
    assert first <= recorded
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert agreement(curves[:, one, -1], curves[:, other, -1]) > 0.8


def test_it_agrees_with_what_is_known_of_architectures(table: Table) -> None:
    """Larger networks are better, and validation says what testing says."""
    assert agreement(table.accuracy[:-1], table.parameters[:-1]) > 0.4
    assert agreement(table.accuracy[:-1], table.test[:-1]) > 0.95


def test_isomorphic_cells_are_one_network(table: Table) -> None:
    rng = np.random.default_rng(0)
    cells = [SPACE.decode(rng.integers(0, 5, 6)) for _ in range(50)]
    rows = table.rows([SPACE.encode(cell) for cell in cells])
    canonical = table.rows([SPACE.encode(cell.canonical()) for cell in cells])
    assert rows.tolist() == canonical.tolist()
    assert [len(set(group)) for group in (rows, [cell.key for cell in cells])] == [
        len({cell.key for cell in cells})
    ] * 2


@pytest.mark.slow
@pytest.mark.skipif(not CIFAR_10.is_file(), reason="CIFAR-10 is not in NAS_GYM_DATA")
@pytest.mark.parametrize("choices", [[0, 0, 0, 0, 0, 0], [3, 1, 2, 4, 0, 3]])
def test_training_again_gives_what_is_recorded(table: Table, choices: list[int]) -> None:
    """To within what another processor's rounding does to some of the 5,000 images."""
    settings = RecordingSettings(
        TrainingSettings(
            network=NASBench201Settings(cells=1, filters=16),
            epochs=4,
            batch_size=256,
            learning_rate=0.3,
            precision="bfloat16",
        ),
        dataset="cifar10",
        image_size=8,
        split=(5000, 5000, 5000),
    )
    cell = SPACE.decode(choices)
    [recorded], trained = table.evaluate([cell]), settings.trainer().evaluate_one(cell)
    assert trained.status == recorded.status == "ok"
    assert trained.curve == pytest.approx(recorded.curve, abs=0.03)
    assert trained.parameters == recorded.parameters
    assert trained.multiply_adds == recorded.multiply_adds


def test_the_file_says_how_it_was_made() -> None:
    made = str(read_arrays(TINY_BENCH, ("made",))["made"])
    for name in ("dataset", "image_size", "split", "training"):
        assert name in {field.name for field in fields(RecordingSettings)}
        assert f'"{name}"' in made


def test_a_training_seed_changes_nothing() -> None:
    envs = [gym.make("nas_gym/TinyBench-v0", training_seed=seed).unwrapped for seed in (0, 1)]
    assert len({env.memory.evaluator.fingerprint for env in envs}) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["device", "dataset", "foo"])
def test_an_argument_that_it_does_not_take_is_refused(name: str) -> None:
    says = f"unexpected keyword argument '{name}' of .*valid choices: 'training_seed'"
    wrong: dict[str, Any] = {name: "cpu"}
    with pytest.raises(InvalidSettings, match=says):
        gym.make("nas_gym/TinyBench-v0", **wrong)
    with pytest.raises(InvalidSettings, match=says):
        gym.make_vec("nas_gym/TinyBench-v0", 2, **wrong)
