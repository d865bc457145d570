"""The environments of published benchmarks, when they look their children up."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import nas_gym  # noqa: F401 (registers the environments)
from nas_gym import InvalidSettings, NASEnv, NASVectorEnv
from nas_gym.envs import environment_type
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.tables.columns import InvalidTable

ENV_ID = "nas_gym/NASBench201-Recorded-v0"


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
    monkeypatch.setattr("nas_gym.families.nasbench201.table.package_file", lambda prefix: None)
    return tmp_path


def finish(env: gym.Env[Any, Any], actions: list[int]) -> tuple[float, dict[str, Any]]:
    env.reset(seed=0)
    for action in actions:
        _, reward, terminated, _, info = env.step(action)
    assert terminated
    return float(reward), info


def test_a_recorded_accuracy_is_the_reward_and_its_seconds_are_spent() -> None:
    env = gym.make(ENV_ID)
    row = 1 * 5**5 + 2
    reward, info = finish(env, [1, 0, 0, 0, 0, 2])
    assert reward == pytest.approx(row / 5**6)
    assert info["evaluation"]["accuracy"] == reward
    assert info["evaluation"]["parameters"] == 1_000_000 + row
    assert "test" not in str(info)
    inner = env.unwrapped
    assert isinstance(inner, NASEnv)
    assert inner.budget.made == 1
    assert inner.budget.seconds == pytest.approx((1000 + row) * 12 / 200)
    assert inner.finished is not None
    assert inner.finished.evaluation.seconds == inner.budget.seconds


def test_gymnasiums_checker_passes() -> None:
    check_env(gym.make(ENV_ID, render_mode="ansi").unwrapped)


@pytest.mark.parametrize("env_id", [ENV_ID, "nas_gym/NASBench101-Recorded-v0"])
def test_the_page_has_a_row_for_every_argument(env_id: str) -> None:
    env_class = environment_type(env_id)
    page = env_class.__doc__ or ""
    assert f'gym.make("{env_id}")' in page
    for argument in (*env_class.arguments("recorded"), "reward", "render_mode", "budget", "limit"):
        assert f"\n| `{argument}` | " in page
    assert "`evaluator`" not in page


def test_the_length_of_the_recorded_training_can_be_chosen() -> None:
    env = gym.make(ENV_ID, dataset="cifar10", epochs=200, training_seed=3)
    reward, _ = finish(env, [0] * 6)
    assert reward == pytest.approx((5**6 - 1) / 5**6)
    assert env.get_wrapper_attr("budget").seconds == pytest.approx(1000)


def test_the_table_in_the_environment_gives_test_accuracy_for_analysis() -> None:
    env = gym.make(ENV_ID).unwrapped
    assert isinstance(env, NASEnv)
    cell = env.search_space.decode([1, 0, 0, 0, 0, 2])
    assert nasbench201_table().test_accuracy(cell) == pytest.approx((5**5 + 2) / 5**6 / 2)
    assert env.budget.asked == 0


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"filters": 8}, InvalidSettings, "unexpected keyword argument 'filters'"),
        ({"budget": "seconds"}, InvalidSettings, "budget: .*'simulated-seconds'"),
        ({"budget": "simulated-seconds"}, InvalidSettings, "limit: how many simulated-seconds"),
        ({"limit": -1}, InvalidSettings, "got -1"),
        ({"dataset": "digits"}, InvalidTable, "recorded for 'digits'"),
        ({"epochs": 20}, InvalidTable, "recorded for 20"),
        ({"dataset": "cifar100"}, InvalidTable, r"pip install .*table import"),
        ({"reward": "best"}, InvalidSettings, "'best'"),
    ],
)
def test_what_the_benchmark_has_not_recorded_is_refused_at_make(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        gym.make(ENV_ID, **arguments)


def test_nas_bench_101_says_which_file_it_misses() -> None:
    with pytest.raises(InvalidTable, match=r"nasbench101\.npz .*table import"):
        gym.make("nas_gym/NASBench101-Recorded-v0")


def test_episodes_are_truncated_when_the_simulated_seconds_are_spent() -> None:
    budget: dict[str, Any] = {"budget": "simulated-seconds", "limit": 100}
    env = gym.make(ENV_ID, **budget)
    finish(env, [0] * 6)  # 60 seconds
    finish(env, [0, 0, 0, 0, 0, 1])
    assert env.get_wrapper_attr("budget").seconds == pytest.approx(120.06)
    env.reset(seed=0)
    _, reward, terminated, truncated, info = env.step(0)
    assert (reward, terminated, truncated, info["budget_exhausted"]) == (0, False, True, True)
    vector_env = gym.make_vec(ENV_ID, 3, **budget)
    vector_env.reset(seed=0)
    for choice in range(6):
        actions = np.array([0, 1, 2]) if choice == 5 else np.zeros(3, np.int64)
        _, _, ended, truncated, _ = vector_env.step(actions)
    assert np.logical_or(ended, truncated).all()
    inner = vector_env.unwrapped
    assert isinstance(inner, NASVectorEnv)
    assert inner.exhausted


def test_a_budget_of_evaluations_counts_networks() -> None:
    env = gym.make(ENV_ID, limit=1)
    finish(env, [0] * 6)
    env.reset(seed=0)
    assert env.step(0)[3]
