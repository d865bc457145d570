"""The recorded benchmark that ships with the package."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from nas_gym import InvalidSettings, NASEnv
from nas_gym.families.nasbench201.digits_bench import (
    DIGITS_BENCH,
    DigitsBenchEnv,
    digits_bench_table,
)
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import NASBench201SearchSpace
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.recording import RecordingSettings
from nas_gym.tables.table import Table
from nas_gym.training.settings import TrainingSettings

SEEDS = 3
SPACE = NASBench201SearchSpace()


@pytest.fixture(scope="module")
def tables() -> list[Table]:
    return [digits_bench_table(seed) for seed in range(SEEDS)]


def ranks(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each value's rank; equal ones share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    shared: np.ndarray[Any, Any] = (last - (counts - 1) / 2)[inverse]
    return shared


def test_every_network_is_recorded_with_every_seed(tables: list[Table]) -> None:
    assert DIGITS_BENCH.stat().st_size < 2_000_000
    for seed, table in enumerate(tables):
        assert len(table) == 6466
        assert set(table.status[:-1]) == {"ok"}
        assert table.evaluation(0).seed == seed
        assert len(table.evaluation(0).curve) == 2
        assert not np.isnan(table.test[:-1]).any()
    mean = np.mean([table.accuracy for table in tables], axis=0)
    np.testing.assert_allclose(digits_bench_table(None).accuracy, mean)
    assert len({table.fingerprint for table in tables}) == SEEDS
    assert digits_bench_table(SEEDS + 1).fingerprint == tables[1].fingerprint


def test_it_tells_architectures_apart(tables: list[Table]) -> None:
    for first in range(SEEDS):
        assert np.count_nonzero(tables[first].accuracy == tables[first].accuracy.max()) < 10
        for second in range(first):
            one, other = (ranks(tables[seed].accuracy[:-1]) for seed in (first, second))
            assert np.corrcoef(one, other)[0, 1] >= 0.85


def test_isomorphic_cells_are_one_network(tables: list[Table]) -> None:
    rng = np.random.default_rng(0)
    cells = [SPACE.decode(rng.integers(0, 5, 6)) for _ in range(50)]
    rows = tables[0].rows([SPACE.encode(cell) for cell in cells])
    canonical = tables[0].rows([SPACE.encode(cell.canonical()) for cell in cells])
    assert rows.tolist() == canonical.tolist()
    assert [len(set(group)) for group in (rows, [cell.key for cell in cells])] == [
        len({cell.key for cell in cells})
    ] * 2


@pytest.mark.parametrize("choices", [[0, 0, 0, 0, 0, 0], [3, 1, 2, 4, 0, 3]])
def test_training_again_gives_what_is_recorded(tables: list[Table], choices: list[int]) -> None:
    """To within what another processor's rounding does to a few of the 400 images."""
    settings = RecordingSettings(
        TrainingSettings(
            network=NASBench201Settings(cells=3, filters=16),
            epochs=2,
            batch_size=128,
            learning_rate=0.1,
            precision="float32",
        ),
        dataset="digits",
        image_size=4,
        split=(256, 400, 400),
        seeds=SEEDS,
    )
    cell = SPACE.decode(choices)
    trainer = settings.trainer()
    for seed, table in enumerate(tables):
        [recorded], trained = table.evaluate([cell]), trainer.evaluate_one(cell, seed)
        assert trained.status == recorded.status == "ok"
        assert trained.curve == pytest.approx(recorded.curve, abs=0.03)
        assert trained.parameters == recorded.parameters


def test_the_file_says_how_it_was_made() -> None:
    made = str(read_arrays(DIGITS_BENCH, ("made",))["made"])
    for name in ("dataset", "image_size", "split", "training"):
        assert name in {field.name for field in fields(RecordingSettings)}
        assert f'"{name}"' in made


def test_a_seed_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidSettings, match="seed: expected a valid integer"):
        gym.make("nas_gym/DigitsBench-v0", training_seed="a")


@pytest.mark.parametrize("name", ["device", "dataset", "foo"])
def test_an_argument_that_it_does_not_take_is_refused(name: str) -> None:
    says = f"unexpected keyword argument '{name}' of .*valid choices: 'training_seed'"
    wrong: dict[str, Any] = {name: "cpu"}
    with pytest.raises(InvalidSettings, match=says):
        gym.make("nas_gym/DigitsBench-v0", **wrong)
    with pytest.raises(InvalidSettings, match=says):
        gym.make_vec("nas_gym/DigitsBench-v0", 2, **wrong)


def test_its_page_has_no_gaps() -> None:
    assert DigitsBenchEnv.__doc__ is not None
    assert "@" not in DigitsBenchEnv.__doc__
    assert isinstance(gym.make("nas_gym/DigitsBench-v0").unwrapped, NASEnv)
