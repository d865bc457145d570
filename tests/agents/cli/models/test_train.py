"""``nas-gym train``: a model folder from an architecture, a run or a name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nas_agents.runs.settings import SearchSettings
from nas_agents.search.run import search
from nas_gym import ENASMicroSearchSpace, NASNetSearchSpace
from nas_gym.models import load_image_model
from nas_gym.training.presets import PRESETS
from nas_gym.training.settings import TrainingSettings
from nas_gym.weight_sharing.settings import WeightSharingSettings
from tests.agents.command import nas_gym
from tests.training.test_trainer import small

WEIGHTS = "weights.safetensors"
TINY = ["--epochs", "2", "--cells", "1", "--filters", "2", "--device", "cpu"]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty images of six classes, which differ in brightness."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 6
    pixels = rng.integers(0, 60, (60, 8, 8, 1)) + 30 * labels[:, None, None, None]
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, x_train=pixels.astype(np.uint8), y_train=labels)
    return path


@pytest.fixture
def architecture(tmp_path: Path) -> Path:
    small().save(tmp_path / "small.json")
    return tmp_path / "small.json"


def test_a_file_becomes_a_model(architecture: Path, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "models" / "one"
    result = nas_gym("train", architecture, "--dataset", images, *TINY, "--out", out, "--json")
    assert result.exit_code == 0, result.output
    facts = json.loads(result.stdout)
    assert (facts["model"], facts["epochs"]) == (str(out), 2)
    model = load_image_model(out)
    assert model.architecture == small()
    assert model.facts.metrics == {key: facts[key] for key in model.facts.metrics}
    assert 0 <= facts["top5_accuracy"] <= 1
    assert np.shape(facts["confusion"]) == (6, 6)
    assert sorted(each.name for each in out.iterdir()) == [
        *("architecture.json", "model.json", WEIGHTS)
    ]
    again = nas_gym("train", architecture, "--dataset", images, *TINY, "--out", out, "--resume")
    assert again.exit_code == 2
    assert "holds a model already" in again.stderr


def test_it_goes_on_to_the_same_weights(
    architecture: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["train", architecture, "--dataset", images, *TINY, "--preset", "adamw"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert nas_gym(*command, "--out", whole).exit_code == 0

    def interrupt(self: Any, epoch: int, epochs: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nas_agents.cli.terminal.display.FinalDisplay.on_final_epoch", interrupt)
        result = nas_gym(*command, "--out", stopped)
    assert result.exit_code == 130
    assert "go on with the same command" in result.stderr
    refused = nas_gym(*command, "--out", stopped)
    assert (refused.exit_code, "give --resume" in refused.stderr) == (2, True)
    other = nas_gym(*command, "--out", stopped, "--resume", "--set", "momentum=0.5")
    assert (other.exit_code, "is of another architecture" in other.stderr) == (2, True)
    resumed = nas_gym(*command, "--out", stopped, "--resume")
    assert resumed.exit_code == 0, resumed.output
    assert (stopped / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()


def test_of_a_run_it_is_the_searchs_own_final_training(images: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = SearchSettings(
        *("nas_gym/NASNet-v0", "random"),
        episodes=1,
        env_arguments={"blocks": 1, "filters": 2, "epochs": 1, "dataset": str(images)},
        final_arguments={"epochs": 1},
        workers=1,
    )
    search(settings, run)
    result = nas_gym("train", run, "--out", tmp_path / "model", "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "trained for 1 epoch in" in result.stdout
    made = (tmp_path / "model" / WEIGHTS).read_bytes()
    assert made == (run / "model" / WEIGHTS).read_bytes()
    digits = ["--dataset", "digits", "--image-size", "4", "--out", tmp_path / "digits"]
    transferred = nas_gym("train", run, *digits, "--device", "cpu")
    assert transferred.exit_code == 0, transferred.output
    model = load_image_model(tmp_path / "digits")
    assert (model.image_shape.height, len(model.classes)) == (4, 10)


def test_a_full_disk_is_one_line(
    architecture: Path, images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "model"
    command = ["train", architecture, "--dataset", images, *TINY, "--out", out]
    with monkeypatch.context() as patch:
        patch.setattr("nas_gym.models.training.save_model", full)
        result = nas_gym(*command)
    assert result.exit_code == 2
    last = result.stderr.strip().splitlines()[-1]
    assert "cannot be written (No space left on device); the checkpoint" in last
    assert [each.name for each in out.iterdir()] == ["checkpoint.pt"]
    assert nas_gym(*command, "--resume").exit_code == 0
    load_image_model(out)


def test_a_folder_that_a_model_cannot_replace_is_refused(
    architecture: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once; whatever else it holds, hidden files too, stays."""
    held = tmp_path / "held"
    held.mkdir()
    (held / ".env").write_text("secret")
    (tmp_path / "link").symlink_to(held)
    monkeypatch.chdir(held)
    monkeypatch.setattr("os.path.ismount", lambda path: Path(path).name == "disk")
    for out, why in (
        (tmp_path / "link", "is a link; name the folder that it leads to"),
        (held, "is the working directory, which cannot be moved; name a folder within it"),
        (".", "is the working directory"),
        (tmp_path / "disk", "is the root of a file system"),
    ):
        result = nas_gym("train", architecture, *TINY, "--out", out)
        assert (result.exit_code, result.stdout) == (2, "")
        assert why in " ".join(result.stderr.split())
    monkeypatch.chdir(tmp_path)
    result = nas_gym("train", architecture, *TINY, "--out", held)
    assert "holds other files (.env); name another one" in " ".join(result.stderr.split())
    assert (held / ".env").read_text() == "secret"


def test_another_split_can_be_asked_for(tmp_path: Path) -> None:
    from nas_agents.search.subject import subject_of

    of_seed: list[Any] = [
        subject_of("NASNet-A", {"image_size": 8, "split_seed": seed}, {})[1].dataset
        for seed in (0, 1)
    ]
    assert not np.array_equal(of_seed[0].test, of_seed[1].test)
    out = tmp_path / "model"
    result = nas_gym(
        *("train", "NAS-Bench-201-ResNet", *TINY, "--set", "split_seed=1", "--out", out)
    )
    assert result.exit_code == 0, result.output
    assert json.loads((out / "model.json").read_text())["data"]["split_seed"] == 1


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_fit_families_of_images(preset: str, tmp_path: Path) -> None:
    from nas_agents.search.subject import subject_of

    for name in ("NASNet-A", "MnasNet-A1"):
        _, final = subject_of(name, {"image_size": 16}, {}, preset)
        assert final.settings.epochs == PRESETS[preset]["epochs"]
        assert final.settings.learning_rate == PRESETS[preset]["learning_rate"]


def test_what_a_family_does_not_have_is_said(tmp_path: Path) -> None:
    result = nas_gym("train", "NASNet-A", "--preset", "dart", "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "preset: 'dart' is not known; did you mean 'darts'?" in result.stderr
    for option, value in (("--tune", -1), ("--devices", 0)):
        wrong = nas_gym("train", "NASNet-A", option, value, "--out", tmp_path / "model")
        assert (wrong.exit_code, wrong.stdout) == (2, "")
        assert option.strip("-") in wrong.stderr


def test_a_run_of_a_table_needs_data(tmp_path: Path) -> None:
    run = tmp_path / "run"
    settings = SearchSettings("nas_gym/TinyBench-v0", "random", episodes=1, final=False)
    search(settings, run)
    result = nas_gym("train", run, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "trained no children (nas_gym/TinyBench-v0); say on which data" in result.stderr
    file = run / "settings.json"
    file.write_text(file.read_text().replace("nas_gym/TinyBench-v0", "their:theirs/Env-v0"))
    result = nas_gym("train", run, "--out", tmp_path / "model")
    assert result.exit_code == 2
    assert "is of theirs/Env-v0, which is not known here" in result.stderr


def test_of_a_run_by_shared_weights_it_has_the_same_settings(tmp_path: Path) -> None:
    from nas_agents.search.subject import subject_of

    asked = {"env_id": "nas_gym/ENASMicro-v0", "agent": "enas", "seed": 3, "episodes": 10}
    settings = json.dumps({**asked, "env_arguments": {"blocks": 1, "filters": 2}})
    (tmp_path / "settings.json").write_text(settings)
    space = ENASMicroSearchSpace(1)
    space.decode(space.sample(np.random.default_rng(0))).save(tmp_path / "best.json")
    _, final = subject_of(str(tmp_path), {"device": "cpu"}, {})
    sharing = WeightSharingSettings()
    assert final.settings.learning_rate == sharing.learning_rate != TrainingSettings().learning_rate
    assert final.settings.seed == 3


def test_of_a_run_whose_front_has_latencies_none_is_measured(tmp_path: Path) -> None:
    from nas_agents.search.subject import subject_of

    front = {"latency": {}, "objectives": ["accuracy", "-latency"]}
    asked = {"env_id": "nas_gym/MO-NASNet-v0", "agent": "nsga2", "episodes": 10}
    settings = json.dumps({**asked, "env_arguments": {"blocks": 1, "filters": 2, **front}})
    (tmp_path / "settings.json").write_text(settings)
    space = NASNetSearchSpace(1)
    space.decode(space.sample(np.random.default_rng(0))).save(tmp_path / "best.json")
    _, final = subject_of(str(tmp_path), {"device": "cpu"}, {})
    network: Any = final.settings.network
    assert network.filters == 4
