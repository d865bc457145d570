"""What a search prints at its end."""

from __future__ import annotations

from pathlib import Path

from nas_agents.cli.terminal.results import describe
from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search


def test_looked_up_children_are_not_called_trained(tmp_path: Path) -> None:
    settings = SearchSettings("nas_gym/TinyBench-v0", "random", 3, final=False)
    text = describe(search(settings, tmp_path / "run"))
    assert "(3 evaluated, 0 failed)" in text
    assert "trained" not in text
