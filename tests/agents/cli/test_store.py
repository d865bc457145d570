from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from nas_gym import Evaluation
from nas_gym.store.store import Store
from tests.agents.command import nas_gym
from tests.helpers import random_architecture


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a store of three evaluations that went well and one that did not."""
    folder = tmp_path / "run"
    folder.mkdir()
    with Store(folder / "evaluations.db") as store:
        for seed, accuracy in enumerate((0.25, 0.75, 0.5)):
            evaluation = Evaluation("ok", accuracy, (0.1, accuracy), 1.5, seed, "settings", 1234)
            store.add(random_architecture(seed), evaluation, "my run")
        failed = Evaluation("diverged", 0.0, (), 1.5, 3, "settings", message='a "loss", or none')
        store.add(random_architecture(3), failed, "my run")
    return folder


def invoke(*arguments: object) -> str:
    result = nas_gym("store", *arguments)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_show_counts_and_lists_the_best(run: Path) -> None:
    shown = json.loads(invoke("show", run, "--json", "--best", 2))
    assert shown["evaluations"] == 4
    assert shown["settings"] == [{"fingerprint": "settings", "statuses": {"diverged": 1, "ok": 3}}]
    assert [record["accuracy"] for record in shown["best"]] == [0.75, 0.5]
    assert shown["best"][0]["architecture"] == random_architecture(1).to_dict()
    lines = invoke("show", run / "evaluations.db", "--best", 1).splitlines()
    assert lines[0] == f"4 evaluations in {run / 'evaluations.db'}"
    assert lines[2].split() == ["settings", "4", "3", "ok,", "1", "diverged"]
    key = random_architecture(1).key[:8]
    assert lines[-1].split() == ["75.00%", key, "0", "1,234", "1.5", "my", "run"]


def test_the_best_of_other_metrics_are_under_their_names(run: Path) -> None:
    [head, best] = invoke("show", run, "--best", 1).splitlines()[-2:]
    assert (head.split()[0], best.split()[0]) == ("accuracy", "75.00%")
    file = run / "words.db"
    with Store(file) as store:
        evaluation = Evaluation(
            *("ok", 0.5, (0.5,), 1.5, 0, "settings", 1234), metric="perplexity", value=2.0
        )
        store.add(random_architecture(0), evaluation, "my run")
    [head, best] = invoke("show", file).splitlines()[-2:]
    assert (head.split()[0], best.split()[:2]) == ("perplexity", ["2", "perplexity"])


def test_a_run_whose_evaluations_are_elsewhere(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    settings = other / "settings.json"
    own = {"env_id": "nas_gym/NASNet-v0", "store": str(run / "evaluations.db")}
    settings.write_text(json.dumps(own))
    assert json.loads(invoke("show", other, "--json"))["evaluations"] == 4
    settings.write_text(json.dumps({**own, "store": "postgresql://evil.example/all"}))
    result = nas_gym("store", "show", other)
    assert result.exit_code == 2
    assert "keeps its evaluations in postgresql://evil.example/all; name that" in result.stderr


def test_a_run_that_can_only_be_read(run: Path, tmp_path: Path) -> None:
    run.chmod(0o555)
    assert json.loads(invoke("show", run, "--json"))["evaluations"] == 4
    assert invoke("export", run, tmp_path / "all.csv").startswith("4 evaluations")
    assert [file.name for file in run.iterdir()] == ["evaluations.db"]


def test_export_writes_everything(run: Path, tmp_path: Path) -> None:
    lines, table = tmp_path / "all.jsonl", tmp_path / "all.csv"
    assert invoke("export", run, lines) == f"4 evaluations: {lines}\n"
    assert json.loads(invoke("export", run, table, "--json"))["evaluations"] == 4
    with Store(run / "evaluations.db") as store:
        expected = [record.to_dict() for record in store.records()]
    assert [json.loads(line) for line in lines.read_text().splitlines()] == expected
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4
    for row, record in zip(rows, expected, strict=True):
        assert list(row) == list(record)
        assert json.loads(row["architecture"]) == record["architecture"]
        assert json.loads(row["curve"]) == record["curve"]
        assert float(row["accuracy"]) == record["accuracy"]
        assert row["message"] == record["message"]
    assert {path.name for path in tmp_path.iterdir()} == {"run", "all.jsonl", "all.csv"}


def test_merge_adds_what_is_new(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "all.db"
    assert json.loads(invoke("merge", run, target, "--json"))["added"] == 4
    assert invoke("merge", run, target) == f"0 evaluations added; 4 in {target}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "nowhere.db"], "there is none at nowhere.db"),
        (["show", "."], "there is none at evaluations.db"),
        (["show", "run", "--best", "-1"], "best: expected an integer of at least 0, got -1"),
        (["show", "mysql://host/name"], "'mysql' is no database"),
        (["export", "run", "all.xls"], "valid choices: '.csv', '.jsonl'"),
        (["export", "run", "nowhere/all.csv"], "cannot be written: No such file"),
        (["merge", "nowhere.db", "all.db"], "there is none at nowhere.db"),
        (["merge", "run", "run/evaluations.db"], "cannot be merged into itself; name another one"),
    ],
)
def test_a_mistake_is_one_line(
    run: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(run.parent)
    result = nas_gym("store", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert [path.name for path in run.parent.iterdir()] == ["run"]
