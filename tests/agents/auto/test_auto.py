"""From data to a model in a given time: the rules, and all of it once."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import nas_gym
from nas_agents.auto import rules, run_auto
from nas_agents.auto.estimator import _written
from nas_agents.auto.final import Clock, UntilDeadline
from nas_agents.auto.image_size import image_size_of
from nas_agents.auto.plan import Plan, make_plan
from nas_agents.auto.record import Interrupted, Record, resumed
from nas_agents.auto.result import onnx_of
from nas_agents.auto.rules import CHILDREN, KNOWN, LARGE_SPACE, SKELETONS, SMALL_SPACE
from nas_agents.auto.speed import epoch_seconds
from nas_agents.catalogue.environments import make_environment
from nas_agents.cli.main import app
from nas_agents.cli.terminal.display import Display
from nas_agents.runs.callbacks import Callback
from nas_agents.runs.progress import Progress
from nas_agents.runs.reading import InvalidRunFolder
from nas_agents.runs.summary import SearchResult
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.training.final import EndAfter, StopTraining
from tests.models.tiny import architecture_of, images, tiny_model


def at_speed(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Have an epoch of the smallest network take a time, and of others as their cells' filters.

    Final trainings have two epochs at most, and there is an export, whatever time there is.
    """

    def measured(trainer: Any, _: object) -> float:
        network = trainer.settings.network
        return float(seconds * network.cells * network.filters / 8)

    for module in ("plan", "final"):
        monkeypatch.setattr(f"nas_agents.auto.{module}.epoch_seconds", measured)
    monkeypatch.setattr(rules, "FINAL_EPOCHS", (50, 2))
    monkeypatch.setattr(rules, "ONNX", -1000.0)


@pytest.mark.parametrize(
    ("sides", "size"), [((20, 20, 20), 32), ((40, 70, 90), 64), ((500, 40, 300), 128)]
)
def test_the_size_of_images_follows_their_median(
    sides: tuple[int, ...], size: int, tmp_path: Path
) -> None:
    """A class may be a link to a folder, and a broken image raise any error."""
    (tmp_path / "data" / "a").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    for number, side in enumerate(sides):
        Image.new("RGB", (side, 2 * side)).save(tmp_path / "elsewhere" / f"{number}.png")
    (tmp_path / "data" / "a" / "broken.png").write_bytes(b"no image")
    (tmp_path / "data" / "a" / "broken.ppm").write_bytes(b"P6\n1x 1\n255\n")
    (tmp_path / "list.csv").write_text(
        "path,label\n" + "".join(f"elsewhere/{number}.png,{number}\n" for number in range(3))
    )
    assert image_size_of(str(tmp_path / "data"))[0] == size
    assert image_size_of(str(tmp_path / "list.csv"))[0] == size
    assert image_size_of("digits")[0] is None
    for none in ("~nobody/images", "x" * 5000):
        assert image_size_of(none)[0] is None


def test_large_images_of_an_npz_have_the_search_space_of_large_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nas_agents.auto.plan.epoch_seconds", lambda *_: 100.0)
    images = np.random.default_rng(0).integers(0, 256, (40, 96, 96, 1), dtype=np.uint8)
    np.savez(tmp_path / "large.npz", x_train=images, y_train=np.arange(40) % 2)
    plan = make_plan(str(tmp_path / "large.npz"), 60.0, "cpu")
    assert plan.env_id == LARGE_SPACE
    assert "image_size" not in plan.data


def test_more_time_is_larger_networks_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    at_speed(monkeypatch, 1.0)
    monkeypatch.setattr("nas_agents.auto.plan.available_cpus", lambda: 2)
    said: list[str] = []
    plans = [make_plan("digits", 60 * m, "cpu", said.append) for m in (1, 30, 3000)]
    assert [plan.env_id for plan in plans] == [SMALL_SPACE] * 3
    assert [plan.workers for plan in plans] == [None, 2, 2]
    assert [plan.child.place for plan in plans] == [0, 2, 6]
    assert plans[0].child.epochs == 1
    assert not plans[0].search_seconds
    assert "search: none" in plans[0].reasons[-1]
    assert plans[0].children == 1
    assert plans[-1].child.epochs == 12
    for plan in plans[1:]:
        assert plan.children >= CHILDREN[1]
        assert 2 <= plan.finalists <= 10
        assert plan.env_arguments["filters"] == SKELETONS[SMALL_SPACE][plan.child.place]["filters"]
    assert tuple(said[:3]) == plans[0].reasons


def test_an_epoch_is_measured_by_a_few_steps() -> None:
    env = make_environment(SMALL_SPACE, {"dataset": "digits", "device": "cpu"})
    trainer: Any = env.memory.evaluator
    architecture = env.search_space.decode([0] * 6)
    assert 0 < epoch_seconds(trainer, architecture) < 60


@pytest.mark.parametrize(
    ("before", "after", "end_epochs", "ends"),
    [(10, 10, 0, 10), (10, 20, 0, 6), (10, 5, 0, 18), (10, 10, 2.5, 7), (0.1, 10, 0, 11)],
)
def test_the_final_training_takes_the_time_that_is_left(
    before: float, after: float, end_epochs: float, ends: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its 8 epochs in 100 s take some seconds each at first, and others from the third one on."""
    now, shown = 0.0, []
    monkeypatch.setattr("nas_agents.auto.speed.time.monotonic", lambda: now)
    monkeypatch.setattr("nas_agents.auto.speed.time.thread_time", lambda: now)
    watching = Callback()
    monkeypatch.setattr(watching, "on_final_epoch", lambda *given: shown.append(given))
    clock = Clock(0.0, 100.0 + rules.LEAST_END, on_cpu=True)
    until = UntilDeadline([watching], clock, end_epochs)
    for epoch in range(1, 30):
        now += before if epoch < 3 else after
        try:
            until.on_final_epoch(epoch, 8)
        except EndAfter:
            continue
        except StopTraining:
            break
    assert shown[-1] == (ends, ends)
    assert 100.0 - after < now + end_epochs * after <= 100.0


def test_a_slow_first_epoch_ends_no_final_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is made once takes most of it, where an epoch takes a hundredth of a second."""
    now, last = 0.0, 0
    monkeypatch.setattr("nas_agents.auto.speed.time.monotonic", lambda: now)
    monkeypatch.setattr("nas_agents.auto.speed.time.thread_time", lambda: now)
    until = UntilDeadline([], Clock(0.0, 25.0 + rules.LEAST_END, on_cpu=True), end_epochs=167)
    for last in range(1, 301):
        now += 0.2 if last == 1 else 0.01
        try:
            until.on_final_epoch(last, 300)
        except EndAfter:
            continue
        except StopTraining:
            break
    assert last == 300


@pytest.mark.parametrize("before", [None, 18])
def test_a_resumed_training_goes_on_beyond_the_epochs_that_were_planned(
    before: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """8 epochs were planned, and 18 fitted; it was interrupted after the 9th, or after the 7th."""
    now = 0.0
    monkeypatch.setattr("nas_agents.auto.speed.time.monotonic", lambda: now)
    monkeypatch.setattr("nas_agents.auto.speed.time.thread_time", lambda: now)
    clock = Clock(0.0, 100.0 + rules.LEAST_END, on_cpu=True)
    until = UntilDeadline([], clock, 0, before)
    now = 10.0
    with pytest.raises(EndAfter) as fitted:
        until.on_final_epoch(8 if before else 10, 8)
    assert fitted.value.args[0] == (17 if before else 19)


def test_the_end_has_more_time_on_a_busy_machine() -> None:
    assert [Clock(0.0, 60.0, on_cpu=True).end(busy) for busy in (1.0, 1.5, 9.0)] == [15, 22.5, 30]
    assert Clock(0.0, 60.0, on_cpu=False).end(9.0) == 15
    assert Clock(0.0, 3000.0, on_cpu=True).end(1.0) == 60


def test_there_is_no_onnx_without_time_for_it(tmp_path: Path) -> None:
    clock = Clock(time.monotonic(), 40.0, on_cpu=True)
    again = rf"takes about 48; nas-gym export '{tmp_path}/a run' --format onnx makes it"
    with pytest.raises(InvalidSettings, match=again):
        onnx_of(tmp_path / "a run", clock, busy=6.0)


def test_a_plan_is_kept_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    at_speed(monkeypatch, 1.0)
    plan = make_plan("digits", 60.0, "cpu")
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan.busy >= 1.0
    with pytest.raises(KeyError):
        Plan.from_dict({**plan.to_dict(), "env_id": "module:Env-v0"})


def test_a_record_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(NASGymError, match=r"none cannot be written .*make room and go on"):
        Record(tmp_path / "none", 0.0, {}).write()


def test_a_run_goes_on_with_its_own_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_speed(monkeypatch, 1.0)
    plan = make_plan("digits", 60.0, "cpu")
    given = {"dataset": "digits", "minutes": 1.0, "target_accuracy": None, "seed": 0}
    Record(tmp_path, 0.0, {**given, "plan": plan.to_dict(), "searching": 1.0}).write()
    for device in ("auto", "cpu"):
        assert resumed(tmp_path, given, device, 0.0)[0] == plan
    with pytest.raises(InvalidSettings, match=r"device: .* was begun on 'cpu', got 'cuda:1'"):
        run_auto("digits", 1.0, device="cuda:1", run=tmp_path, resume=True)


def test_a_search_that_ends_by_failures_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its best network is not trained to the end, as in any search."""
    at_speed(monkeypatch, 0.1)
    best = nas_gym.published(KNOWN[SMALL_SPACE])
    failed = Progress(best_architecture=best, failures_in_a_row=20, last_failure="crashed: no luck")
    found = SearchResult(tmp_path, "failures", failed, None, {})
    monkeypatch.setattr("nas_agents.auto.running.search", lambda *_, **__: found)
    says = r"20 children in a row failed; the last one: crashed: no luck; nas-gym train"
    with pytest.raises(InvalidSettings, match=says):
        run_auto("digits", 1.0, device="cpu", run=tmp_path)


@pytest.mark.slow
def test_ctrl_c_and_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is stopped at the first child, and in the final training, and goes on by its plan."""
    at_speed(monkeypatch, 0.1)
    run = tmp_path / "run"
    stopping = iter(("child", "epoch"))
    monkeypatch.setattr(Display, "on_child", lambda self, child: stop("child", child.number == 1))
    monkeypatch.setattr(
        Display, "on_final_epoch", lambda self, epoch, epochs: stop("epoch", epoch == 1)
    )
    monkeypatch.setattr(rules, "CHILD_EPOCHS", (1, 1))
    monkeypatch.setattr("nas_agents.auto.running._search_seconds", lambda *_: 4.0)
    left = [next(stopping)]

    def stop(where: str, now: bool) -> None:
        if now and left == [where]:
            left[:] = [next(stopping, "")]
            raise KeyboardInterrupt

    command = ["auto", "digits", "--minutes=0.5", "--device=cpu", f"--run={run}"]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 130
    again = f"nas-gym auto digits --minutes=0.5 --seed=0 --run={run} --resume"
    assert again in first.stderr
    other = CliRunner().invoke(app, [*command[:-1], "--seed=1", command[-1], "--resume"])
    assert "seed: " in other.stderr
    second = CliRunner().invoke(app, again.split()[1:])
    assert second.exit_code == 130
    begun = json.loads((run / "auto.json").read_text())
    assert begun["final"]["epochs"] == begun["choice"]["epochs"]
    third = CliRunner().invoke(app, [*again.split()[1:], "--json"])
    assert third.exit_code == 0, third.output
    facts = json.loads(third.stdout)
    assert facts["seconds"] > begun["spent"] > 0
    assert facts["children"] >= 1
    assert facts["plan"] == begun["plan"]
    assert facts["test_images"] == 359
    first = json.loads((run / "episodes.jsonl").read_text().splitlines()[0])
    assert json.loads(first["architecture"]) == nas_gym.published(KNOWN[SMALL_SPACE]).to_dict()


def test_a_run_is_resumed_by_just_its_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(**_: Any) -> None:
        raise Interrupted("runs/a b")

    monkeypatch.setattr("nas_agents.auto.run_auto", stopped)
    result = CliRunner().invoke(app, ["auto", "digits", "--minutes=0.66666667"])
    says = "go on with: nas-gym auto digits --minutes=0.66666667 --seed=0 '--run=runs/a b' --resume"
    assert says in result.stderr


def test_images_and_labels_become_a_classifier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_speed(monkeypatch, 0.1)
    rng = np.random.default_rng(0)
    labels = np.array(["dark", "bright"])[np.arange(40) % 2]
    images = rng.integers(0, 100, (40, 8, 8)) + 150 * (labels == "bright")[:, None, None]
    images = images.astype(np.uint8)
    classifier = nas_gym.AutoClassifier(0.5, target_accuracy=0.01, device="cpu", run=tmp_path / "a")
    assert classifier.get_params()["minutes"] == 0.5
    classifier.fit(images, labels)
    assert list(classifier.classes_) == ["bright", "dark"]
    assert classifier.predict_proba(images).shape == (40, 2)
    assert set(classifier.predict(images)) <= {"bright", "dark"}
    assert classifier.score(images, labels) == np.mean(classifier.predict(images) == labels)
    assert classifier.result_.summary["stopped_by"] == "target_accuracy"
    assert "stopped at the target accuracy" in classifier.result_.notes[-1]
    classifier.save(tmp_path / "saved")
    assert nas_gym.load_model(tmp_path / "saved").classes == ("bright", "dark")
    assert set(classifier.result_.files) == {"model", "onnx", "report"}
    assert all(Path(each).exists() for each in classifier.result_.files.values())
    json.dumps(classifier.result_.facts())
    assert (tmp_path / "a" / "worst_images.json").exists()
    with pytest.raises(InvalidSettings, match=r"images: expected \(n, height, width"):
        classifier.predict(images.astype(float))
    with pytest.raises(InvalidSettings, match="they have unlike sizes: name their files"):
        classifier.predict([images[0], images[1][:5]])


def test_files_and_labels_become_a_data_set(tmp_path: Path) -> None:
    """As do tensors; labels keep their type."""
    labels = np.arange(20) % 2 + 9
    files = [tmp_path / f"{place}, {label}.png" for place, label in enumerate(labels)]
    for file, label in zip(files, labels, strict=True):
        Image.new("RGB", (4, 6), (int(label), 0, 0)).save(file)
    listed = nas_gym.load_dataset(_written(files, labels, tmp_path / "runs" / "a"), 4)
    assert listed.classes == ("9", "10")
    assert (listed.images[:, 0, 0, 0] == labels).all()
    pixels = torch.arange(20 * 3 * 4 * 6, dtype=torch.uint8).view(20, 3, 4, 6)
    tensors = nas_gym.load_dataset(_written(pixels, labels, tmp_path / "b"))
    assert (tensors.images == pixels.permute(0, 2, 3, 1).numpy()).all()
    with pytest.raises(InvalidSettings, match=r"y: \(3,\) labels of 20 images"):
        _written(pixels, labels[:3], tmp_path / "c")
    bytes_ = np.array([b"cat", b"dog"] * 10)
    assert nas_gym.load_dataset(_written(pixels, bytes_, tmp_path / "d")).classes == ("cat", "dog")
    with pytest.raises(InvalidSettings, match=r"y: .*'a '.* and .*'a'.* would be one class"):
        _written(pixels, np.array(["a", "a "] * 10), tmp_path / "e")


def test_probabilities_are_in_the_order_of_the_sorted_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scikit-learn's metrics take them so; a list of files sorts labels as texts, -1 among them."""
    model = tiny_model(architecture_of("nasbench201"), cells=1, filters=4)
    object.__setattr__(model.facts, "classes", ("-1", "1", "10", "2"))
    monkeypatch.setattr(
        "nas_agents.auto.estimator.run_auto", lambda *_: SimpleNamespace(model=model)
    )
    files = [tmp_path / f"{label}.png" for label in (10, 2, -1, 1)]
    classifier = nas_gym.AutoClassifier(run=tmp_path / "a").fit(files, [10, 2, -1, 1])
    assert list(classifier.classes_) == [-1, 1, 2, 10]
    found, expected = classifier.predict_proba(images(9)), model.predict(images(9))
    assert (found == expected.probabilities.numpy()[:, [0, 1, 3, 2]]).all()
    assert list(classifier.predict(images(9))) == [int(name) for name in expected.classes]


def test_files_are_read_and_classified_some_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model(architecture_of("nasbench201"), cells=1, filters=4)
    result = SimpleNamespace(model=model)
    monkeypatch.setattr("nas_agents.auto.estimator.run_auto", lambda *_: result)
    classifier = nas_gym.AutoClassifier(run=tmp_path / "a").fit("a data set's name")
    (tmp_path / "photos").mkdir()
    for number in range(5):
        Image.new("RGB", (12, 16), (50 * number, 0, 0)).save(tmp_path / f"photos/{number}.png")
    expected = classifier.predict_proba(tmp_path / "photos")
    monkeypatch.setattr("nas_agents.auto.estimator.FILES_AT_ONCE", 2)
    with patch.object(model, "predict", wraps=model.predict) as predict:
        found = classifier.predict_proba(tmp_path / "photos")
    assert [len(call.args[0]) for call in predict.mock_calls] == [2, 2, 1]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--minutes=0.1"], "minutes: expected at least 0.5, got 0.1"),
        (["--minutes=inf"], "seconds: expected a finite number, got inf"),
        (["--target-accuracy=95"], "target_accuracy: "),
        (["--run=."], "run: . holds a run; name another folder, or give --resume"),
    ],
)
def test_what_is_wrong_is_one_line_before_the_data_are_read(
    options: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "settings.json").touch()
    result = CliRunner().invoke(app, ["auto", "nowhere", *options])
    assert result.exit_code == 2
    assert says in result.stderr


def test_a_folder_with_a_run_keeps_its_images(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "settings.json").touch()
    (tmp_path / "run-images.npz").write_bytes(b"of the run")
    classifier = nas_gym.AutoClassifier(run=tmp_path / "run")
    with pytest.raises(InvalidRunFolder, match="holds a run; name another folder"):
        classifier.fit(np.zeros((4, 8, 8), np.uint8), [0, 0, 1, 1])
    assert (tmp_path / "run-images.npz").read_bytes() == b"of the run"
