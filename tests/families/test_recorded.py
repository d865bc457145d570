"""The environments of published benchmarks, when they look their children up."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import nas_gym  # noqa: F401 (registers the environments)
from nas_gym import InvalidSettings, NASEnv
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.tables.columns import InvalidTable

ENV_ID = "nas_gym/NASBench201-v0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with a NAS-Bench-201 whose accuracy is the number of the row."""
    rows = np.arange(5**6, dtype=np.float32)
    columns: dict[str, Any] = {
        "op_names": np.array(
            ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
        ),
        "edge_order": np.array(["0->1", "0->2", "1->2", "0->3", "1->3", "2->3"]),
        "ops": np.array(list(itertools.product(range(5), repeat=6)), np.uint8),
        "cifar10_val_acc_12ep": rows / 5**6 * 100,
        "cifar10_test_acc_12ep": rows / 5**6 * 50,
        "cifar10_val_acc_200ep": rows[::-1] / 5**6 * 100,
        "cifar10_test_acc_200ep": rows / 5**6 * 50,
        "cifar10_valid_train_time_s_200ep": 1000 + rows,
        "cifar10_params_m": 1 + rows / 1e6,
    }
    np.savez(tmp_path / "nasbench201_cifar10.npz", **columns)
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    return tmp_path


def finish(env: gym.Env[Any, Any], actions: list[int]) -> tuple[float, dict[str, Any]]:
    env.reset(seed=0)
    for action in actions:
        _, reward, terminated, _, info = env.step(action)
    assert terminated
    return float(reward), info


def test_a_recorded_accuracy_is_the_reward_and_its_seconds_are_spent() -> None:
    env = gym.make(ENV_ID, evaluator="recorded")
    row = 1 * 5**5 + 2
    reward, info = finish(env, [1, 0, 0, 0, 0, 2])
    assert reward == pytest.approx(row / 5**6)
    assert info["evaluation"]["accuracy"] == reward
    assert info["evaluation"]["seconds"] == pytest.approx((1000 + row) * 12 / 200)
    assert info["evaluation"]["parameters"] == 1_000_000 + row
    assert "test" not in str(info)
    inner = env.unwrapped
    assert isinstance(inner, NASEnv)
    assert inner.budget.made == 1
    assert inner.budget.seconds == pytest.approx(info["evaluation"]["seconds"])


def test_the_length_of_the_recorded_training_can_be_chosen() -> None:
    env = gym.make(ENV_ID, evaluator="recorded", dataset="cifar10", epochs=200, training_seed=3)
    reward, info = finish(env, [0] * 6)
    assert reward == pytest.approx((5**6 - 1) / 5**6)
    assert info["evaluation"]["seconds"] == pytest.approx(1000)


def test_the_table_in_the_environment_gives_test_accuracy_for_analysis() -> None:
    env = gym.make(ENV_ID, evaluator="recorded").unwrapped
    assert isinstance(env, NASEnv)
    cell = env.search_space.decode([1, 0, 0, 0, 0, 2])
    assert nasbench201_table().test_accuracy(cell) == pytest.approx((5**5 + 2) / 5**6 / 2)
    assert env.budget.asked == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"evaluator": "record"}, InvalidSettings, "did you mean 'recorded'"),
        (
            {"evaluator": "recorded", "filters": 8},
            InvalidSettings,
            "'filters' is not an argument",
        ),
        ({"evaluator": "recorded", "dataset": "digits"}, InvalidTable, "recorded for 'digits'"),
        ({"evaluator": "recorded", "epochs": 20}, InvalidTable, "recorded for 20"),
        ({"evaluator": "recorded", "dataset": "cifar100"}, InvalidTable, "table import"),
        ({"evaluator": "recorded", "reward": "best"}, InvalidSettings, "'best'"),
    ],
)
def test_what_the_benchmark_has_not_recorded_is_refused_at_make(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gym.make(ENV_ID, **arguments)


def test_nas_bench_101_says_which_file_it_misses() -> None:
    with pytest.raises(InvalidTable, match=r"nasbench101\.npz .*table import"):
        gym.make("nas_gym/NASBench101-v0", evaluator="recorded")
