from __future__ import annotations

import json
from pathlib import Path

import pytest

from nas_agents.cli.terminal.output import EXIT_INTERRUPTED
from nas_gym import Architecture
from nas_gym.families.nasbench201.env import NASBench201Env
from nas_gym.families.nasbench201.tiny_bench import tiny_bench_table
from nas_gym.tables.built import built_table
from nas_gym.tables.recording import Recording, RecordingSettings
from tests.agents.command import nas_gym
from tests.tables.test_recording import OneEdgeSearchSpace, ScriptedChildren

BUILD = ["table", "build", "nas_gym/NASBench201-v0", "--json", "--seeds", "1", "--seed", "4"]
BUILD += ["--image-size", "4", "--split", "64", "50", "40", "--set", "filters=3"]


@pytest.fixture
def trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A build of a small search space that was killed when only the table was missing."""
    monkeypatch.setattr(NASBench201Env, "search_space_type", OneEdgeSearchSpace)
    out = tmp_path / "table.npz"
    _, training = NASBench201Env.split_arguments({"filters": 3, "training_seed": 4})
    settings = RecordingSettings(training, "digits", 4, (64, 50, 40), seeds=1)
    recording = Recording(OneEdgeSearchSpace(), settings, out)
    list(recording.run(ScriptedChildren(recording.trainer.fingerprint)))
    recording.close()
    return out


def test_a_build_goes_on_where_it_stopped(trained: Path) -> None:
    result = nas_gym(*BUILD, "--out", trained)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"table": str(trained), "architectures": 3, "trainings": 3}
    assert [path.name for path in trained.parent.iterdir()] == [trained.name]
    table = built_table(trained, OneEdgeSearchSpace())
    assert (table.accuracy[:-1] == 0.4).all()
    assert table.evaluation(2).seed == 4
    again = nas_gym(*BUILD, "--out", trained)
    assert again.exit_code == 2
    assert "exists already" in again.stderr


def test_an_interrupted_build_says_how_to_go_on(
    trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Recording, "run", interrupt)
    result = nas_gym(*BUILD, "--out", trained)
    assert result.exit_code == EXIT_INTERRUPTED
    assert "the same command goes on where it stopped" in result.stderr
    assert Path(f"{trained}.db").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "filters=4"], "was begun with other settings"),
        (["--set", "width=4"], "unexpected keyword argument 'width'"),
        (["--workers", "0"], "workers: expected "),
        (["--dataset", "digit"], "did you mean 'digits'"),
    ],
)
def test_a_build_that_cannot_be_is_one_line(
    trained: Path, arguments: list[str], message: str
) -> None:
    result = nas_gym(*BUILD, "--out", trained, *arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_only_small_search_spaces_whose_children_are_trained_are_built(tmp_path: Path) -> None:
    out = str(tmp_path / "a.npz")
    of_nasnet = nas_gym("table", "build", "nas_gym/NASNet-v0", "--out", out)
    assert of_nasnet.exit_code == 2
    assert "at most 1,000,000" in of_nasnet.stderr
    for env_id in ("CartPole-v1", "nas_gym/Gated-v0"):
        other = nas_gym("table", "build", env_id, "--out", out)
        assert other.exit_code == 2
        assert f"'{env_id}' is none whose children are trained on images" in other.stderr
    assert not list(tmp_path.iterdir())


def test_importing_what_is_no_benchmark_is_one_line(tmp_path: Path) -> None:
    result = nas_gym("table", "import", tmp_path / "a.pth")
    assert result.exit_code == 2
    assert "is none of an .npz" in result.stderr


def test_an_import_prints_where_the_table_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "nas_gym.tables.importing.import_table",
        lambda source, unpickle, on_progress: tmp_path / f"{source.name}-{unpickle}.npz",
    )
    result = nas_gym("table", "import", "nats", "--unpickle", "--json")
    assert json.loads(result.stdout) == {"table": str(tmp_path / "nats-True.npz")}


def test_a_search_of_a_recorded_benchmark_tells_the_best_ones_test_accuracy(
    tmp_path: Path,
) -> None:
    command = ["search", "nas_gym/TinyBench-v0", "--agent", "random", "--episodes", "20"]
    result = nas_gym(*command, "--seed", "4", "--run", tmp_path / "run", "--json")
    assert result.exit_code == 0, result.output
    summary = json.loads(result.stdout)
    best = Architecture.load(tmp_path / "run" / "best.json")
    table = tiny_bench_table()
    assert summary["best"]["validation_accuracy"] == table.evaluate([best])[0].accuracy
    assert summary["test_accuracy"] == table.test_accuracy(best)
    assert summary["evaluations"]["seconds"] > 0
    assert "test" not in (tmp_path / "run" / "episodes.jsonl").read_text(encoding="utf-8")
