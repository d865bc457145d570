"""The final training: its metrics, and that it goes on to the bit from wherever it was stopped."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from nas_gym import Architecture, InvalidSettings, load_dataset, published
from nas_gym.data.dataset import Dataset, resplit
from nas_gym.data.text import load_text
from nas_gym.families.nasnet.network import CellNetworkSettings
from nas_gym.networks import ChildNetwork
from nas_gym.networks.language_model import LanguageModelSettings
from nas_gym.training.checkpoint import OtherTraining
from nas_gym.training.final import EndAfter, FinalResult, StopTraining, train_final
from nas_gym.training.loop import WeightAverage
from nas_gym.training.network_trainer import NetworkTrainer
from nas_gym.training.settings import LearningSettings, TrainingSettings
from nas_gym.training.steps import TrainingSteps, make_optimizer, schedule
from nas_gym.training.tasks import language
from nas_gym.training.tasks.language import LanguageSettings
from nas_gym.training.tasks.testing import Answers, calibration_error
from tests.training.test_trainer import small

NETWORK = CellNetworkSettings(cells=1, filters=2)
PLAIN = TrainingSettings(NETWORK, epochs=3, batch_size=32)
EVERYTHING = TrainingSettings(
    replace(NETWORK, auxiliary_head=True, drop_path_keep=0.5, dropout=0.2),
    epochs=3,
    batch_size=32,
    optimizer="adamw",
    learning_rate=0.01,
    warmup_epochs=1,
    ema_decay=0.9,
    label_smoothing=0.1,
    cutout=2,
)
WORDS = LanguageSettings(
    LanguageModelSettings(units=4), epochs=3, batch_size=200, bptt=10, average_after=1
)


Step = tuple[Any, str, int]
"""A module or class, the name of its function that takes a step, and the number of a step."""


class Stopped(Exception):
    """Stands for a kill."""


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return resplit(load_dataset("digits"), 100, 28, 60)


@pytest.mark.parametrize("planned", [10, 2])
def test_another_number_of_epochs_has_the_whole_schedule(
    planned: int, digits: Dataset, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    progress: list[float] = []
    step = TrainingSteps.step

    def watched(self: Any, *arguments: Any) -> Tensor:
        progress.append(arguments[-1])
        return step(self, *arguments)

    def end_after_3(epoch: int) -> None:
        if epoch == 1:
            raise EndAfter(3)

    monkeypatch.setattr(TrainingSteps, "step", watched)
    settings, rest = replace(PLAIN, epochs=planned), 1 - 1 / planned
    result = train_final(published("NASNet-A"), digits, settings, "cpu", end_after_3)
    assert result.epochs == 3
    each = len(progress) // 3
    assert progress[each] == pytest.approx(1 / planned)
    np.testing.assert_allclose(np.diff(progress[each:]), rest / (2 * each))
    assert progress[-1] == pytest.approx(1 - rest / (2 * each))

    def end_and_stop(epoch: int) -> None:
        end_after_3(epoch)
        raise Stopped

    kept = tmp_path / "part.pt"
    with pytest.raises(Stopped):
        train_final(published("NASNet-A"), digits, settings, "cpu", end_and_stop, kept)
    resumed = train_final(published("NASNet-A"), digits, settings, "cpu", checkpoint=kept)
    assert resumed.epochs == 3
    for name, tensor in weights(result).items():
        assert torch.equal(tensor, weights(resumed)[name])


def test_an_end_that_has_passed_is_the_end(digits: Dataset) -> None:
    trainer = NetworkTrainer(digits, PLAIN, "cpu", final=True)
    loop = trainer.task.loop(trainer.build(small()))
    loop.average = WeightAverage(loop.network)
    for mean in loop.average.tensors:
        mean.fill_(0.5)
    loop.epoch = 2
    loop.end_after(1)
    assert list(trainer.go_on(loop)) == []
    assert {weight.mean().item() for weight in loop.network.parameters()} == {0.5}


def weights(result: FinalResult) -> dict[str, Tensor]:
    return result.network.state_dict()


def stop_after(epoch: int) -> Callable[[int], None]:
    def stop(done: int) -> None:
        if done == epoch:
            raise Stopped

    return stop


def stop_at_step(patch: pytest.MonkeyPatch, module: Any, name: str, number: int) -> None:
    """Have a step of the training fail, counted from 1."""
    function, calls = getattr(module, name), iter(range(1, number + 1))

    def counted(*arguments: Any) -> Any:
        if next(calls) == number:
            raise Stopped
        return function(*arguments)

    patch.setattr(module, name, counted)


def same_after_stops(
    architecture: Architecture, data: Any, settings: LearningSettings, path: Path, step: Step
) -> None:
    """Check that a training stopped at epochs' ends and in the middle of one ends all the same."""
    whole = train_final(architecture, data, settings, "cpu")
    for epoch in (1, 2, 3):
        with pytest.raises(Stopped):
            train_final(architecture, data, settings, "cpu", stop_after(epoch), path)
        if epoch == 1:
            with pytest.MonkeyPatch.context() as patch:
                stop_at_step(patch, *step)
                with pytest.raises(Stopped):
                    train_final(architecture, data, settings, "cpu", checkpoint=path)
    torch.manual_seed(99)
    seen: list[int] = []
    last = train_final(architecture, data, settings, "cpu", seen.append, path)
    assert seen == []  # it was trained, and is tested again
    assert weights(last).keys() == weights(whole).keys()
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(last)[name]), name
    assert replace(last, network=whole.network, seconds=whole.seconds, statistics=None) == replace(
        whole, statistics=None
    )


@pytest.mark.parametrize("settings", [PLAIN, EVERYTHING], ids=["plain", "everything"])
def test_it_goes_on_to_the_bit(settings: TrainingSettings, digits: Dataset, tmp_path: Path) -> None:
    same_after_stops(
        small(), digits, settings, tmp_path / "checkpoint.pt", (TrainingSteps, "step", 3)
    )


def test_of_a_text_it_goes_on_to_the_bit(tmp_path: Path) -> None:
    text = load_text("pydoc", "word", 50)
    short = replace(text, train=text.train[:5000], validation=text.validation[:1000])
    same_after_stops(
        published("ENAS-Recurrent"),
        short,
        WORDS,
        tmp_path / "checkpoint.pt",
        (language, "descend", 2),
    )


def test_a_checkpoint_of_another_training_is_refused(digits: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(Stopped):
        train_final(small(), digits, PLAIN, "cpu", stop_after(1), path)
    before = path.read_bytes()
    for other in (replace(PLAIN, epochs=4), replace(PLAIN, seed=1)):
        with pytest.raises(OtherTraining, match=r"checkpoint\.pt is of another architecture"):
            train_final(small(), digits, other, "cpu", checkpoint=path)
    with pytest.raises(OtherTraining):
        train_final(small("identity"), digits, PLAIN, "cpu", checkpoint=path)
    assert path.read_bytes() == before
    torch.save({"key": Path}, path)  # code, which is not run
    with pytest.raises(InvalidSettings, match=r"cannot be read .* remove it to begin again"):
        train_final(small(), digits, PLAIN, "cpu", checkpoint=path)
    path.write_bytes(before[:-100])
    with pytest.raises(InvalidSettings, match=r"cannot be read .* remove it to begin again"):
        train_final(small(), digits, PLAIN, "cpu", checkpoint=path)


def test_it_ends_where_it_is_asked_to(digits: Dataset) -> None:
    def stop(epoch: int) -> None:
        raise StopTraining

    settings = replace(PLAIN, ema_decay=0.5)
    result = train_final(small(), digits, settings, "cpu", stop)
    assert result.epochs == 1
    whole = train_final(small(), digits, replace(settings, epochs=1), "cpu")
    assert weights(whole).keys() == weights(result).keys()
    # Its learning rate had not fallen as that of a whole training has, and weights are averages.
    assert not torch.equal(*(weights(each)["classifier.bias"] for each in (whole, result)))


def test_a_full_disk_leaves_the_checkpoint_of_the_epoch_before(
    digits: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "checkpoint.pt"
    kept: list[bytes] = []
    write = Path.write_bytes

    def full(file: Path, data: Any) -> int:
        if kept:
            write(file, bytes(data)[:100])
            raise OSError(28, "No space left on device")
        return write(file, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space left"):
        train_final(
            *(small(), digits, PLAIN, "cpu"),
            on_epoch=lambda epoch: kept.append(path.read_bytes()),
            checkpoint=path,
        )
    assert len(kept) == 1
    assert [each.read_bytes() for each in tmp_path.iterdir()] == kept


def test_the_test_counts_classes_by_predictions(digits: Dataset) -> None:
    trainer = NetworkTrainer(digits, PLAIN, "cpu", final=True)

    class Nines(ChildNetwork):
        def forward(self, images: Tensor) -> Tensor:
            return functional.one_hot(torch.full((len(images),), 9), 10).float()

    tested = trainer.task.test(Nines())
    confusion = np.array(tested["confusion"])
    counts = np.bincount(digits.labels[digits.test])
    np.testing.assert_array_equal(confusion[:, 9], counts)
    assert confusion[:, :9].sum() == 0
    assert tested["test_accuracy"] == trainer.test_accuracy(Nines()) == counts[9] / counts.sum()
    sure = math.e / (math.e + 9)
    assert tested["calibration_error"] == pytest.approx(abs(sure - counts[9] / counts.sum()))


def test_calibration_and_top_5_by_hand() -> None:
    confidence = np.array([0.9, 0.9, 0.9, 0.9, 0.5])
    right = np.array([True, True, True, False, True])
    assert calibration_error(confidence, right) == pytest.approx((4 * 0.15 + 0.5) / 5)
    labels = np.array([0, 1, 2, 3, 4])
    answers = Answers(labels, np.where(right, labels, 0), confidence, labels < 4)
    metrics = answers.metrics("abcdef")
    assert (metrics["test_accuracy"], metrics["top5_accuracy"]) == (0.8, 0.8)
    assert metrics["class_accuracies"] == {"a": 1, "b": 1, "c": 1, "d": 0, "e": 1}
    assert answers.metrics("abcde")["top5_accuracy"] is None
    assert metrics["confusion"][3] == [1, 0, 0, 0, 0, 0]
    many = answers.metrics(list(map(str, range(100_000))))  # squared, they would fill no memory
    assert many["confusion"] is None
    assert many["class_accuracies"] == {"0": 1, "1": 1, "2": 1, "3": 0, "4": 1}


def test_the_schedule_rises_and_falls() -> None:
    assert schedule(0.0, 0.0) == 1
    assert [schedule(share, 0.2) for share in (0.0, 0.1, 0.2, 0.6, 1.0)] == pytest.approx(
        [0, 0.5, 1, 0.5, 0]
    )
    with pytest.raises(InvalidSettings, match="warmup_epochs: expected fewer than the 3 epochs"):
        replace(PLAIN, warmup_epochs=3)


def test_the_average_is_what_is_evaluated_and_stays() -> None:
    layer = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    average = WeightAverage(layer)
    first = layer[0].weight.item()  # type: ignore[operator]
    with torch.no_grad():
        layer[0].weight.fill_(first + 1)  # type: ignore[operator]
        layer[1].running_mean.fill_(2.0)  # type: ignore[operator]
    average.update(0.25)
    with average.applied():
        assert layer[0].weight.item() == pytest.approx(first + 0.25)  # type: ignore[operator]
        assert layer[1].running_mean.item() == 0.5  # type: ignore[operator]
    assert layer[0].weight.item() == first + 1  # type: ignore[operator]


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "lion"])
def test_each_optimizer_goes_downhill(name: Any) -> None:
    if name == "lion":
        pytest.importorskip("pytorch_optimizer")
    weight = nn.Parameter(torch.tensor([1.0]))
    settings = LearningSettings(optimizer=name, weight_decay=0.0)
    optimizer = make_optimizer([weight], settings, 0.01)
    for _ in range(20):
        weight.square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
    assert abs(weight.item()) < 0.9
    with pytest.raises(InvalidSettings, match="cuda_graphs: lion"):
        LearningSettings(optimizer="lion", cuda_graphs=True)
