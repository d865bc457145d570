"""What a search prints at its end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nas_agents.cli.terminal.results import _without_best, describe
from nas_agents.runs.progress import Progress
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search


def test_looked_up_children_are_not_called_trained(tmp_path: Path) -> None:
    settings = SearchSettings("nas_gym/TinyBench-v0", "random", 3, final=False)
    text = describe(search(settings, tmp_path / "run"))
    assert "(3 evaluated, 0 failed)" in text
    assert "trained" not in text


@pytest.mark.parametrize(
    ("outcomes", "says"),
    [
        ([], "no child was evaluated"),
        ([{"status": "ok", "partial": True, "epochs": 1}], "no child was trained to the end"),
        ([{"status": "crashed"}], "no child could be evaluated; episodes.jsonl"),
    ],
)
def test_without_a_best_child_the_reason_is_true(outcomes: list[dict[str, Any]], says: str) -> None:
    progress = Progress()
    for outcome in outcomes:
        numbers = {"accuracy": 0.0, "reward": 0.0, "seconds": 1.0, "elapsed": 1.0}
        progress.add({**numbers, "message": "", "cached": False, **outcome})
    assert _without_best(progress).startswith(says)
