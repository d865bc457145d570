"""Trainings in parts: a child that goes on is the child that was trained in one go, to the bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from nas_gym import Evaluation, InvalidSettings, NASBench201SearchSpace, load_dataset
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.training.loop import TrainingLoop
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer

CHILD = NASBench201SearchSpace().decode([3, 2, 1, 3, 4, 2])
SETTINGS = TrainingSettings(
    NASBench201Settings(cells=1, filters=4), epochs=4, batch_size=32, warmup_epochs=1, ema_decay=0.9
)


@pytest.fixture(scope="module")
def images() -> Dataset:
    return resplit(load_dataset("digits"), 128, 100, 100)


def trainer(images: Dataset, folder: Path | None = None, **more: Any) -> Trainer:
    return Trainer(images, replace(SETTINGS, **more), "cpu", False, checkpoints=folder)


def outcome(evaluation: Evaluation) -> dict[str, Any]:
    assert evaluation.status == "ok", evaluation.message
    return evaluation.outcome()


@pytest.mark.parametrize("more", [{}, {"optimizer": "adamw", "learning_rate": 0.001}])
def test_a_child_in_parts_is_the_child_in_one_go(
    images: Dataset, tmp_path: Path, more: dict[str, Any]
) -> None:
    whole, network = trainer(images, **more).train_one(CHILD)
    assert network is not None
    for epochs in (1, 2):
        part = trainer(images, tmp_path, **more).evaluate_one(CHILD, epochs=epochs)
        assert part.curve == whole.curve[:epochs]
        assert part.accuracy == whole.curve[epochs - 1]
        assert part.fingerprint == f"{whole.fingerprint}@{epochs}"
    assert [each.name for each in tmp_path.iterdir()] == [f"{CHILD.key}-0.pt"]
    made, gone_on = trainer(images, tmp_path, **more).train_one(CHILD)
    assert outcome(made) == outcome(whole)
    assert gone_on is not None
    weights = gone_on.state_dict()
    assert all(torch.equal(weights[name], each) for name, each in network.state_dict().items())
    assert list(tmp_path.iterdir()) == []  # it does not go on


def test_only_the_epochs_that_are_missing_are_trained(
    images: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = trainer(images, tmp_path)
    begun: list[int] = []
    train_epoch = TrainingLoop.train_epoch

    def counted(loop: TrainingLoop) -> torch.Tensor:
        begun.append(loop.epoch)
        return train_epoch(loop)

    monkeypatch.setattr(TrainingLoop, "train_epoch", counted)
    own.evaluate_one(CHILD, epochs=1)
    assert len(begun) == 1
    own.evaluate_one(CHILD, epochs=3)
    assert len(begun) == 3
    first = own.evaluate_one(CHILD, epochs=3)  # as after a crash before it was recorded
    assert len(begun) == 3
    assert len(first.curve) == 3
    own.evaluate_one(CHILD, epochs=1)  # the state is beyond it
    own.evaluate_one(CHILD, repeat=1, epochs=1)  # another training
    assert begun == [0, 1, 2, 0, 0]


def test_a_state_that_cannot_be_used_changes_no_result(images: Dataset, tmp_path: Path) -> None:
    file = tmp_path / f"{CHILD.key}-0.pt"
    whole = trainer(images).evaluate_one(CHILD)
    trainer(images, tmp_path).evaluate_one(CHILD, epochs=1)
    state = file.read_bytes()
    other = {"learning_rate": 0.05}
    trainer(images, tmp_path, **other).evaluate_one(CHILD, epochs=1)
    foreign = file.read_bytes()
    for content in (state[:-100], b"", foreign):
        file.write_bytes(content)
        assert outcome(trainer(images, tmp_path).evaluate_one(CHILD)) == outcome(whole)


def test_a_state_of_which_a_part_is_missing_changes_no_result(
    images: Dataset, tmp_path: Path
) -> None:
    file = tmp_path / f"{CHILD.key}-0.pt"
    whole = trainer(images).evaluate_one(CHILD)
    trainer(images, tmp_path).evaluate_one(CHILD, epochs=1)
    state = torch.load(file, weights_only=True)
    del state["loop"]["bend"]  # which is read when all else is set
    torch.save(state, file)
    assert outcome(trainer(images, tmp_path).evaluate_one(CHILD)) == outcome(whole)


def test_the_network_of_a_part_has_the_weights_that_were_evaluated(images: Dataset) -> None:
    own = trainer(images)
    evaluation, network = own.train_one(CHILD, epochs=2)
    assert network is not None
    assert own.task.value(network, "validation") == evaluation.accuracy


def test_a_folder_that_cannot_be_written_changes_no_result(images: Dataset, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    own = trainer(images, tmp_path / "file")
    assert outcome(own.evaluate_one(CHILD, epochs=2))["curve"]
    whole = trainer(images).evaluate_one(CHILD)
    assert outcome(own.evaluate_one(CHILD)) == outcome(whole)


def test_children_that_depend_on_others_have_no_parts(images: Dataset, tmp_path: Path) -> None:
    assert trainer(images).fidelities == (1, 2, 3, 4)
    assert trainer(images, early_stopping={}).fidelities == ()
    assert trainer(images, inherit_weights=str(tmp_path)).fidelities == ()


@pytest.mark.parametrize("epochs", [0, 4, 5])
def test_a_part_has_fewer_epochs_than_all(images: Dataset, epochs: int) -> None:
    with pytest.raises(InvalidSettings, match=r"epochs: expected one of \(1, 2, 3\), or None"):
        trainer(images).evaluate_one(CHILD, epochs=epochs)
