"""A search of recurrent cells from the data to the exported model, on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.agents.command import nas_gym


def called(*arguments: object) -> Any:
    """Return what a command prints with --json."""
    result = nas_gym(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture
def texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Penn Treebank's three files, with a text in which the next word follows from the last two."""
    line = " a b a c <unk> a b b c \n"
    for part, lines in (("train", 60), ("valid", 20), ("test", 20)):
        (tmp_path / f"ptb.{part}.txt").write_text(line * lines)
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_penn_treebank_from_the_search_to_the_exported_model(texts: Path) -> None:
    small = ("units=4", "batch_size=4", "bptt=5", "device=cpu", "vocabulary=null", "base=2")
    settings = [each for pair in small for each in ("--set", pair)]
    of_run = ("search", "nas_gym/NASCell-v0", "--agent", "random", "--run", "run")
    data = ("--dataset", "ptb", "--reward", '{"name": "perplexity", "power": 2}')
    few = ("--finalists", 0, "--final-set", "epochs=2")
    assert called(*of_run, *data, *settings, *few, "--episodes", 2)["episodes"] == 2
    summary = called(*of_run, "--resume", "--episodes", 3)
    assert (summary["episodes"], summary["evaluations"]["asked"]) == (3, 3)
    assert summary["final"]["metric"] == "perplexity"
    assert nas_gym("report", "run").exit_code == 0
    assert "perplexity" in (texts / "run" / "report.html").read_text()

    (found,) = called("predict", "run", "ptb.test.txt", "--top", 2)
    assert found["perplexity"] == pytest.approx(summary["final"]["test_value"], rel=0.2)
    assert len(found["top"]) == 2
    (exported,) = called("export", "run", "--format", "torch-export", "--out", "out")
    assert Path(exported["files"][0]).is_file()

    trained = called("train", "run", "--epochs", 1, "--out", "alone", "--device", "cpu")
    assert trained["metric"] == "perplexity"
    (again,) = called("predict", "alone", "ptb.valid.txt")
    assert again["perplexity"] > 1
    (texts / "unknown.txt").write_bytes(b"\xff")
    refused = nas_gym("predict", "alone", "unknown.txt")
    assert refused.exit_code == 1
    assert "unknown.txt cannot be read" in refused.output
