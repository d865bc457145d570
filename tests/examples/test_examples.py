"""Every example runs at a small size; children are trained where the example is about training."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from nas_gym.training.trainer import Trainer
from tests.test_snippets import evaluated

EXAMPLES = Path(__file__).parents[2] / "examples"
SMALL: dict[str, dict[str, Any]] = {
    "agent_from_scratch": {},
    "lstm_controller": {"networks": 4},
    "own_reward": {"networks": 2},
    "own_task": {},
    "planning": {},
    "random_agent": {"networks": 2},
    "recorded_benchmark": {"seeds": 2, "evaluations": 20, "workers": 1},
    "sb3_ppo": {"networks": 30},
    "text": {"networks": 1},
    "transfer": {"recorded": 20, "trained": 2},
}
SAYS = {
    "own_reward": "ms",
    "own_task": "root_mean_squared_error",
    "random_agent": "reduction cell",
    "recorded_benchmark": "local-search",
    "sb3_ppo": "best: ",
    "text": "perplexity ",
    "transfer": "after the table",
}
TRAINING = ("own_reward", "own_task", "text")
BETTER = ("agent_from_scratch", "planning")
"""Those whose last figure is compared with that of random networks."""
TINY_TEXT = {"vocabulary": None, "batch_size": 4, "units": 4, "bptt": 5, "device": "cpu"}


def test_there_are_ten_and_each_is_tested() -> None:
    assert sorted(SMALL) == sorted(path.stem for path in EXAMPLES.glob("*.py"))
    assert len(SMALL) == 10


@pytest.mark.parametrize("name", [name for name in SMALL if name not in BETTER])
def test_an_example_runs(
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = SMALL[name]
    if name == "text":
        (tmp_path / "text.txt").write_text("a b c\nb c a\n" * 60)
        arguments = {**arguments, **TINY_TEXT, "text": "text.txt"}
    if name not in TRAINING:
        monkeypatch.setattr(Trainer, "evaluate_one", evaluated)
    importlib.import_module(f"examples.{name}").main(**arguments)
    assert SAYS.get(name, "%") in capsys.readouterr().out


def test_own_reward_prints_a_child_that_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Trainer, "evaluate_one", evaluated)  # without a latency
    importlib.import_module("examples.own_reward").main(networks=1)
    assert "in an unknown latency" in capsys.readouterr().out


@pytest.mark.parametrize("name", BETTER)
def test_it_finds_better_networks_than_random_ones(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A random cell of TinyBench has 41.2% on average."""
    importlib.import_module(f"examples.{name}").main()
    last = [word for word in capsys.readouterr().out.split() if word.endswith("%")][-1]
    assert float(last.rstrip("%")) > 43.5


def test_clients_learn_on_what_ships_where_nothing_else_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    monkeypatch.setattr("nas_gym.families.nasbench201.table.package_file", lambda prefix: None)
    monkeypatch.setattr("sys.argv", ["skrl_ppo.py", "7"])
    benchmark = importlib.import_module("examples.clients.benchmark")
    assert (benchmark.ENV_ID, benchmark.SEED) == ("nas_gym/TinyBench-v0", 7)
    assert benchmark.report("random", benchmark.random_rewards(16)) < 5
