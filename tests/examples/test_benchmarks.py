"""The benchmarks, which take too long to run here, are importable, and find what they replace."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

import examples.benchmarks
from examples.benchmarks import controller

FOLDER = Path(examples.benchmarks.__path__[0])


@pytest.mark.parametrize("name", sorted(each.stem for each in FOLDER.glob("*.py")))
def test_a_benchmark_is_imported(name: str) -> None:
    if name == "report_page":
        pytest.importorskip("playwright")
    importlib.import_module(f"examples.benchmarks.{name}")


def test_arguments_of_the_command_line_reach_all_agents(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def learn(agent: str, *_: object, **more: Any) -> controller.Run:
        given[agent] = more["given"]
        return controller.Run([0.5], 0.0)

    monkeypatch.setattr(controller, "learn", learn)
    words = ["--agents", "nasnet,reinforce", "--episodes", "1", "--seeds", "1"]
    pairs = ["--agent-set", "learning_rate=0.5", "--agent-set", 'policy_kwargs={"size": 7}']
    monkeypatch.setattr("sys.argv", ["controller.py", *words, *pairs])
    controller.main()
    asked = {"learning_rate": 0.5, "policy_kwargs": {"size": 7}}
    assert given == {"nasnet": asked, "reinforce": {**asked, "n_episodes": 20}}
