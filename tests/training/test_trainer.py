"""Child training: what it gives, that it repeats itself to the bit, and what failures become."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from nas_gym import Architecture, Evaluation, InvalidSettings, NASNetSearchSpace
from nas_gym.data.dataset import Dataset
from nas_gym.data.loading import load_dataset
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.families.nasnet.network import CellNetwork, CellNetworkSettings
from nas_gym.networks import ChildNetwork, Latency, LatencySettings
from nas_gym.networks.latency import measuring
from nas_gym.search_spaces import Block, Cell, CellArchitecture
from nas_gym.search_spaces.cells import ADD
from nas_gym.training import network_trainer
from nas_gym.training import trainer as training
from nas_gym.training.early_stopping import EarlyStopping, FinishedCurve
from nas_gym.training.final import train_final
from nas_gym.training.network_trainer import NetworkTrainer, check_device
from nas_gym.training.seeds import child_seed
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.steps import TrainingSteps
from nas_gym.training.tasks import images
from nas_gym.training.tasks.images import ImageClassification
from nas_gym.training.trainer import Trainer, train_child
from tests.training.numerics import watched_tf32

NETWORK = CellNetworkSettings(cells=1, filters=4)
QUICK = TrainingSettings(NETWORK, epochs=1, batch_size=128)
CONV, IDENTITY = "1x1 convolution", "identity"


def classification(trainer: NetworkTrainer) -> ImageClassification:
    assert isinstance(trainer.task, ImageClassification)
    return trainer.task


def training_steps(network: ChildNetwork, trainer: Trainer) -> TrainingSteps:
    generator = torch.Generator(trainer.device).manual_seed(0)
    graphed = bool(trainer.settings.cuda_graphs)
    return TrainingSteps(network, trainer.task, [generator], graphed)


def cell(*blocks: tuple[int, str, int, str]) -> Cell:
    return Cell.with_unused_concatenated(
        tuple(Block(h1, h2, op1, op2, ADD) for h1, op1, h2, op2 in blocks)
    )


def small(operation: str = "3x3 depthwise-separable conv") -> CellArchitecture:
    return CellArchitecture(
        cell((0, operation, 1, IDENTITY)), cell((0, operation, 1, "3x3 max pooling"))
    )


@pytest.fixture
def digits() -> Dataset:
    return load_dataset("digits")


def same(first: Evaluation, second: Evaluation) -> bool:
    return replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_a_child_learns(digits: Dataset) -> None:
    evaluation = train_child(small(), digits, replace(QUICK, epochs=4, batch_size=64), "cpu")
    assert evaluation.status == "ok"
    assert len(evaluation.curve) == 4
    assert evaluation.accuracy == evaluation.curve[-1] > 0.6  # 0.1 by chance
    assert evaluation.parameters is not None
    assert evaluation.parameters > 0
    assert evaluation.multiply_adds is not None
    assert evaluation.multiply_adds > evaluation.parameters
    assert evaluation.seconds > 0


def test_the_same_child_repeats_to_the_bit_in_any_order(digits: Dataset) -> None:
    first, second = small(), small(CONV)
    trainer = Trainer(digits, QUICK, "cpu")
    there = trainer.evaluate([first, second])
    torch.manual_seed(99)
    back = Trainer(digits, QUICK, "cpu").evaluate([second, first])
    assert same(there[0], back[1])
    assert same(there[1], back[0])
    assert there[0].accuracy != there[1].accuracy


def test_the_same_network_chosen_in_another_order_gives_the_same_evaluation(
    digits: Dataset,
) -> None:
    one = cell((0, CONV, 1, IDENTITY), (0, IDENTITY, 1, IDENTITY))
    other = cell((1, IDENTITY, 0, IDENTITY), (1, IDENTITY, 0, CONV))
    chosen = [CellArchitecture(normal, one) for normal in (one, other)]
    assert chosen[0] != chosen[1]
    evaluations = Trainer(digits, QUICK, "cpu").evaluate(chosen)
    assert same(*evaluations)


def test_training_leaves_torch_as_it_was(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(5)
    seeded: list[int] = []  # an agent may draw on a GPU while children are trained on the CPU
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeded.append)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    train_child(small(), digits, QUICK, "cpu")
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert seeded == []


def test_the_run_seed_and_the_architecture_make_the_child_seed(digits: Dataset) -> None:
    seeds = {child_seed(run, child) for run in (0, 1) for child in (small(), small(CONV))}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    evaluations = [train_child(small(), digits, replace(QUICK, seed=s), "cpu") for s in (0, 1)]
    assert evaluations[0].seed == child_seed(0, small())
    assert evaluations[0].accuracy != evaluations[1].accuracy


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 2},
        {"learning_rate": 0.05},
        {"seed": 1},
        {"cutout": 2},
        {"precision": "bfloat16"},
        {"data_fraction": 0.5},
        {"deterministic": True},
        {"early_stopping": EarlyStopping()},
        {"early_stopping": EarlyStopping(delta=0.2)},
        {"latency": LatencySettings(batch_size=8)},
        {"network": CellNetworkSettings(cells=1, filters=5)},
    ],
)
def test_the_fingerprint_knows_every_setting(change: dict[str, Any], digits: Dataset) -> None:
    fingerprint = Trainer(digits, QUICK, "cpu").fingerprint
    assert Trainer(digits, QUICK, "cpu").fingerprint == fingerprint
    assert Trainer(digits, replace(QUICK, **change), "cpu").fingerprint != fingerprint


def test_latency_is_measured_where_asked_for_and_changes_no_training(digits: Dataset) -> None:
    how = LatencySettings(warmup=1, repeats=3)
    plain = train_child(small(), digits, QUICK, "cpu")
    measured = train_child(small(), digits, replace(QUICK, latency=how), "cpu")
    assert plain.latency is None
    assert measured.latency is not None
    assert 0 < measured.latency < measured.seconds
    assert measured.curve == plain.curve
    assert Trainer(digits, QUICK, "cpu").costs == ("parameters", "multiply_adds")
    assert Trainer(digits, QUICK, "cpu", count_multiply_adds=False).costs == ("parameters",)
    trainer = Trainer(digits, replace(QUICK, latency=how), "cpu")
    assert trainer.costs == ("parameters", "multiply_adds", "latency")


@pytest.mark.parametrize(
    ("more", "order"),
    [
        ({}, ["validation", "quiet", "latency"]),
        ({"at_most": CostLimits(latency=1.0)}, ["quiet", "latency", "validation"]),
        ({"at_most": CostLimits(latency=0.1)}, ["quiet", "latency"]),
        ({"fused": 2}, ["validation", "validation", "quiet", "latency", "quiet", "latency"]),
    ],
)
def test_latency_is_measured_alone_and_last_unless_it_is_limited(
    more: dict[str, Any], order: list[str], digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    seeds: set[int] = set()

    def measure(*_: Any) -> Latency:
        happened.append("latency")
        seeds.add(torch.initial_seed())
        return Latency(0.5, 0.0, torch.device("cpu"))

    @contextmanager
    def quiet() -> Iterator[None]:
        happened.append("quiet")
        yield

    def validation_of(*_: Any) -> Callable[[], float]:
        def value() -> float:
            happened.append("validation")
            return 0.5

        return value

    monkeypatch.setattr(training, "measure_latency", measure)
    monkeypatch.setattr(training, "quiet", quiet)
    monkeypatch.setattr(ImageClassification, "validation_of", validation_of)
    trainer = Trainer(digits, replace(QUICK, latency=LatencySettings(), **more), "cpu")
    made = trainer.evaluate_repeats(small(), range(trainer.fused))
    assert happened == order
    assert seeds == {each.seed for each in made}  # as a training, by the settings' precision
    assert {each.latency for each in made} == {0.5}
    assert made[0].status == ("ok" if "validation" in order else "over_limit")


def test_the_fingerprint_knows_the_hardware_that_latency_depends_on(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_latency = replace(QUICK, latency=LatencySettings())

    def fingerprints() -> list[str]:
        return [Trainer(digits, settings, "cpu").fingerprint for settings in (QUICK, with_latency)]

    here = fingerprints()
    monkeypatch.setattr(measuring, "hardware_name", lambda device: "another CPU")
    there = fingerprints()
    assert here[0] == there[0]
    assert len({*here, *there}) == 3


def test_the_fingerprint_knows_the_data(digits: Dataset) -> None:
    other = replace(digits, train=digits.train[1:])
    fingerprints = {Trainer(data, QUICK, "cpu").fingerprint for data in (digits, other)}
    assert len(fingerprints) == 2


def test_the_test_split_is_not_seen(digits: Dataset) -> None:
    images = digits.images.copy()
    images[digits.test] = 255 - images[digits.test]
    poisoned = replace(digits, images=images)
    first, second = (train_child(small(), data, QUICK, "cpu") for data in (digits, poisoned))
    assert first.curve == second.curve


def test_a_test_computes_as_the_training_does(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    within = watched_tf32(monkeypatch)
    monkeypatch.setattr(ImageClassification, "value", lambda *_: float(within == [False]))
    trainer = Trainer(digits, replace(QUICK, precision="float32"), "cpu")
    assert trainer.test_accuracy(trainer.build(small())) == 1


def test_every_option_trains(digits: Dataset) -> None:
    network = replace(NETWORK, auxiliary_head=True, drop_path_keep=0.6, dropout=0.2)
    settings = replace(
        QUICK,
        network=network,
        label_smoothing=0.1,
        gradient_clip=5.0,
        crop_padding=1,
        flip=True,
        cutout=2,
        precision="bfloat16",
        nesterov=False,
        momentum=0.0,
        batch_norm_momentum=0.2,
    )
    evaluation = train_child(small(), digits, settings, "cpu")
    assert (evaluation.status, evaluation.message) == ("ok", "")


def test_schedules_hear_of_progress(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    monkeypatch.setattr(CellNetwork, "set_progress", lambda self, share: heard.append(share))
    train_child(small(), digits, replace(QUICK, epochs=2), "cpu")
    assert len(heard) == 16
    assert heard == sorted(heard)
    assert heard[0] == 0
    assert heard[8] == 0.5


def test_a_batch_larger_than_the_data_is_cut(digits: Dataset) -> None:
    trainer = Trainer(digits, replace(QUICK, batch_size=5000), "cpu")
    assert (trainer.task.batch_size, trainer.task.steps_per_epoch) == (1079, 1)


def test_short_trainings_let_batch_norm_follow(digits: Dataset) -> None:
    trainer = Trainer(digits, replace(QUICK, epochs=2, batch_size=64), "cpu")
    short = classification(trainer)
    assert short.batch_norm_momentum == pytest.approx(1 - 0.01 ** (1 / 8))
    long = classification(Trainer(digits, replace(QUICK, epochs=50, batch_size=64), "cpu"))
    assert long.batch_norm_momentum == 0.1
    network = trainer.build(small())
    norms = [m for m in network.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {short.batch_norm_momentum}


def test_a_loss_that_is_not_finite_is_a_status(digits: Dataset) -> None:
    evaluation = train_child(small(), digits, replace(QUICK, learning_rate=1e30), "cpu")
    assert evaluation.status == "diverged"
    assert evaluation.accuracy == 0
    assert "epoch 1" in evaluation.message


def test_a_last_step_that_blows_up_is_a_status(digits: Dataset) -> None:
    """Its loss was taken before the step."""
    one_step = replace(QUICK, epochs=1, batch_size=len(digits.train), learning_rate=1e30)
    evaluation = train_child(small(), digits, one_step, "cpu")
    assert (evaluation.status, evaluation.accuracy) == ("diverged", 0)
    assert evaluation.message == "the logits are not finite"


def test_a_metric_that_is_not_finite_is_a_status(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = iter([0.5, math.nan, 0.5, 0.5, 0.5, math.nan])
    monkeypatch.setattr(ImageClassification, "validation_of", lambda *_: lambda: next(values))
    quick = replace(QUICK, epochs=2, data_fraction=0.1, fused=2)
    alone = train_child(small(), digits, quick, "cpu")
    together = Trainer(digits, quick, "cpu").evaluate_repeats(small(), [0, 1])
    assert [each.status for each in (alone, *together)] == ["diverged", "ok", "diverged"]
    assert alone.curve == (0.5,)
    assert alone.message == "the accuracy is nan"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (torch.OutOfMemoryError("no memory"), "out_of_memory"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "out_of_memory"),
        (RuntimeError("shapes do not match"), "crashed"),
        (KeyError("x"), "crashed"),
    ],
)
def test_an_error_in_training_is_a_status(
    error: Exception, status: str, digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> Tensor:
        raise error

    monkeypatch.setattr(images, "batch_loss", broken)
    evaluation = train_child(small(), digits, QUICK, "cpu")
    assert evaluation.status == status
    assert type(error).__name__ in evaluation.message
    assert evaluation.parameters is not None


def test_a_child_that_cannot_be_built_is_a_status(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object) -> CellNetwork:
        raise ValueError("no such network")

    monkeypatch.setattr(network_trainer, "build_network", broken)
    evaluation = train_child(small(), digits, QUICK, "cpu")
    assert evaluation.status == "unbuildable"
    assert evaluation.parameters is None
    assert "no such network" in evaluation.message


def test_an_interrupt_is_no_status(digits: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: object) -> Tensor:
        raise KeyboardInterrupt

    monkeypatch.setattr(images, "batch_loss", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train_child(small(), digits, QUICK, "cpu")


def test_the_final_training_uses_all_but_the_test_split(digits: Dataset) -> None:
    epochs: list[int] = []
    settings = replace(QUICK, epochs=4, batch_size=64)
    result = train_final(small(), digits, settings, "cpu", epochs.append)
    assert epochs == [1, 2, 3, 4]
    assert NetworkTrainer(digits, settings, "cpu", final=True).task.steps_per_epoch == 1438 // 64
    assert 0.6 < result.test_accuracy <= 1
    assert result.epochs == 4
    counts = np.bincount(digits.labels[digits.test])
    assert list(result.class_accuracies) == list(digits.classes)
    mean = np.average(list(result.class_accuracies.values()), weights=counts)
    assert mean == pytest.approx(result.test_accuracy)
    assert result.majority == pytest.approx(36 / 359)


@pytest.mark.parametrize(
    "wrong",
    [
        {"epochs": 0},
        {"epochs": 1.5},
        {"batch_size": 1},
        {"learning_rate": -0.1},
        {"learning_rate": float("nan")},
        {"momentum": 1.0},
        {"label_smoothing": 1.0},
        {"crop_padding": -1},
        {"precision": "float64"},
        {"data_fraction": 0},
        {"data_fraction": 1.5},
        {"early_stopping": {"delta": 0}},
        {"early_stopping": {"chance": 0.1}},
        {"early_stopping": {"exempt": 1}},
        {"inherit_weights": 3},
        {"inherit_weights": ""},
        {"cuda_graphs": 1},
        {"seed": -1},
    ],
)
def test_bad_settings(wrong: dict[str, Any]) -> None:
    [name] = wrong
    with pytest.raises(InvalidSettings, match=name):
        TrainingSettings(**wrong)


def test_children_are_trained_on_a_part_of_the_data(digits: Dataset) -> None:
    settings = replace(QUICK, data_fraction=0.25, batch_size=64)
    trainer = Trainer(digits, settings, "cpu")
    assert trainer.task.steps_per_epoch == 269 // 64  # of 1,079 images
    shares = np.bincount(digits.labels[classification(trainer).known]) / np.bincount(
        digits.labels[digits.train]
    )
    assert shares == pytest.approx([0.25] * 10, abs=0.01)
    assert set(classification(trainer).known) < set(digits.train)
    assert np.array_equal(
        classification(trainer).known, classification(Trainer(digits, settings, "cpu")).known
    )
    assert NetworkTrainer(digits, settings, "cpu", final=True).task.steps_per_epoch == 1438 // 64
    assert trainer.evaluate_one(small()).status == "ok"


def curve_file(folder: Path) -> str:
    return str(folder / "curves" / "run.jsonl")


def test_a_child_that_cannot_be_the_best_is_stopped(digits: Dataset, tmp_path: Path) -> None:
    stopping = EarlyStopping(delta=0.5, exempt=1e-9, curves=curve_file(tmp_path))
    settings = replace(QUICK, epochs=3, early_stopping=stopping)
    first, second = (Trainer(digits, settings, "cpu") for _ in range(2))
    whole = first.evaluate_one(small())
    assert (whole.status, len(whole.curve)) == ("ok", 3)
    assert first._rule is not None
    for seed in range(20):  # children that were all but perfect from the first epoch on
        curve = (0.98, 0.99, 0.98 + seed / 1000)
        first._rule.finish(FinishedCurve(seed, curve, calibrates=True))
    stopped = second.evaluate_one(small(CONV))  # it reads what the first has written
    assert stopped.status == "ok"
    assert len(stopped.curve) == 1
    assert stopped.accuracy == stopped.curve[-1] < 0.98
    assert (
        stopped.curve
        == Trainer(digits, replace(QUICK, epochs=3), "cpu").evaluate_one(small(CONV)).curve[:1]
    )
    assert second._rule is not None
    assert len(second._rule.finished) == 21  # a stopped curve is none of them


def test_a_stopped_child_has_the_averaged_weights_that_were_evaluated(digits: Dataset) -> None:
    stopping = EarlyStopping(delta=0.5, exempt=1e-9)
    settings = replace(QUICK, epochs=3, ema_decay=0.9, early_stopping=stopping)
    trainer = Trainer(digits, settings, "cpu")
    assert trainer._rule is not None
    for seed in range(20):
        trainer._rule.finish(FinishedCurve(seed, (0.98, 0.99, 0.99), calibrates=True))
    stopped, network = trainer.train_one(small(CONV))
    assert network is not None
    assert len(stopped.curve) < 3
    assert trainer.task.value(network, "validation") == stopped.accuracy


def test_where_curves_are_kept_does_not_change_what_a_child_is_worth(
    digits: Dataset, tmp_path: Path
) -> None:
    fingerprints = {
        Trainer(
            digits,
            replace(QUICK, early_stopping=EarlyStopping(curves=curves), inherit_weights=folder),
            "cpu",
        ).fingerprint
        for curves, folder in ((None, str(tmp_path / "a")), (curve_file(tmp_path), str(tmp_path)))
    }
    assert len(fingerprints) == 1
    assert Trainer(digits, QUICK, "cpu").fingerprint not in fingerprints


def test_a_child_begins_with_the_weights_of_the_nearest(digits: Dataset, tmp_path: Path) -> None:
    settings = replace(QUICK, epochs=2, batch_size=64, inherit_weights=str(tmp_path))
    parent = small()
    trained = Trainer(digits, settings, "cpu").evaluate_one(parent)
    assert trained.message == ""
    child = replace(  # pooling has no weights
        parent,
        reduction=cell((0, "3x3 depthwise-separable conv", 1, "5x5 max pooling")),
    )
    idle = replace(settings, epochs=1, learning_rate=0.0)  # it is worth what it begins with
    heir = Trainer(digits, idle, "cpu").evaluate_one(child)
    assert f"weights of {parent.key}" in heir.message
    alone = Trainer(digits, replace(idle, inherit_weights=None), "cpu").evaluate_one(child)
    assert heir.accuracy > 0.3 > alone.accuracy
    assert {path.name for path in (tmp_path / digits.digest).iterdir()} == {
        f"{each.key}.{end}" for each in (parent, child) for end in ("json", "pt")
    }


def test_no_child_begins_with_what_was_learned_from_other_images(
    digits: Dataset, tmp_path: Path
) -> None:
    """From a validation image, for instance, that another split had for training."""
    settings = replace(QUICK, inherit_weights=str(tmp_path))
    swapped = replace(digits, train=digits.validation, validation=digits.train)
    Trainer(swapped, settings, "cpu").evaluate_one(small(CONV))
    assert Trainer(digits, settings, "cpu").evaluate_one(small()).message == ""


def test_the_final_training_takes_no_short_cuts(digits: Dataset, tmp_path: Path) -> None:
    settings = replace(
        QUICK,
        data_fraction=0.2,
        early_stopping=EarlyStopping(curves=curve_file(tmp_path)),
        inherit_weights=str(tmp_path / "weights"),
    )
    plain, cheap = (train_final(small(), digits, each, "cpu") for each in (QUICK, settings))
    assert cheap.test_accuracy == plain.test_accuracy
    assert list(tmp_path.iterdir()) == []


def test_a_full_folder_stops_the_search(digits: Dataset, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    for cheap in (
        {"inherit_weights": str(file)},
        {"early_stopping": EarlyStopping(curves=str(file / "curves"))},
    ):
        with pytest.raises(InvalidSettings, match="cannot be used"):
            Trainer(digits, replace(QUICK, **cheap), "cpu")


def test_graphs_are_for_cuda(digits: Dataset) -> None:
    with pytest.raises(InvalidSettings, match="cuda_graphs: expected a CUDA device"):
        Trainer(digits, replace(QUICK, cuda_graphs=True), "cpu")


@pytest.mark.parametrize(
    ("changes", "device", "says"),
    [
        ({"cuda_graphs": True}, "mps", "cuda_graphs: expected a CUDA device, .* on mps; leave"),
        ({"deterministic": True}, "mps", "deterministic: expected a CUDA device or a CPU, .* mps"),
        ({"precision": "float16"}, "mps", "precision: 'float16' has no loss scaling on mps"),
        ({"deterministic": True, "precision": "float16"}, "cpu", ""),
        ({"precision": "bfloat16"}, "mps", ""),
    ],
)
def test_what_a_device_lacks_is_refused_by_name(
    changes: dict[str, Any], device: str, says: str
) -> None:
    settings = replace(QUICK, **changes)
    with pytest.raises(InvalidSettings, match=says) if says else nullcontext():
        check_device(settings, torch.device(device))


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "meta:", ""])
def test_a_device_that_is_not_here(device: str, digits: Dataset) -> None:
    with pytest.raises(InvalidSettings, match="device"):
        Trainer(digits, QUICK, device)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("graphs", [False, True])
def test_python_waits_for_the_gpu_twice_an_epoch(graphs: bool, digits: Dataset) -> None:
    settings = replace(QUICK, epochs=2, precision="bfloat16", cuda_graphs=graphs)
    trainer = Trainer(digits, settings, "cuda")
    with trainer.isolated(0), warnings.catch_warnings(record=True) as waits:
        warnings.simplefilter("always")
        epochs = trainer.fit(trainer.build(small()))
        next(epochs)  # which captures the graphs
        torch.cuda.set_sync_debug_mode("warn")
        try:
            next(epochs)
        finally:
            torch.cuda.set_sync_debug_mode("default")
    said = [str(each.message) for each in waits]
    # For the epoch's loss and for its validation accuracy.
    assert sum("called a synchronizing CUDA operation" in each for each in said) == 2, said


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
@pytest.mark.parametrize("keep", [1.0, 0.7])
def test_graphs_train_as_without(keep: float, digits: Dataset) -> None:
    """Without dropped paths, whose random numbers a graph draws in another order, to the loss."""
    network = replace(NETWORK, drop_path_keep=keep, auxiliary_head=True)
    settings = replace(
        QUICK, network=network, epochs=2, batch_size=64, precision="float32", gradient_clip=5.0
    )
    curves, losses = [], []
    for graphs in (False, True):
        trainer = Trainer(digits, replace(settings, cuda_graphs=graphs), "cuda")
        evaluation = trainer.evaluate_one(small())
        assert (evaluation.status, evaluation.message) == ("ok", "")
        curves.append(evaluation.curve)
        with trainer.isolated(0):
            child = trainer.build(small()).train()
            taken = training_steps(child, trainer)
            chosen = torch.arange(64, device="cuda")
            images, labels = classification(trainer).training.batch(chosen)
            losses.append([taken.step([(images, labels)], i / 8).item() for i in range(8)])
    if keep == 1:
        assert losses[0] == pytest.approx(losses[1], rel=1e-2)
    assert losses[1][-1] < losses[1][0] / 2
    assert curves[0] == pytest.approx(curves[1], abs=0.15)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_the_capture_of_a_graph_leaves_no_trace(digits: Dataset) -> None:
    trainer = Trainer(digits, replace(QUICK, cuda_graphs=True, learning_rate=0.0), "cuda")
    with trainer.isolated(0):
        network = trainer.build(small()).train()
        before = {name: tensor.clone() for name, tensor in network.named_parameters()}
        random_state = torch.cuda.get_rng_state()
        taken = training_steps(network, trainer)
        images, labels = classification(trainer).training.batch(
            torch.arange(trainer.task.batch_size, device="cuda")
        )
        taken.step([(images, labels)], 0.0)
        assert torch.equal(torch.cuda.get_rng_state(), random_state)
    for name, tensor in network.named_parameters():
        assert torch.equal(tensor, before[name])
    counts = [b for name, b in network.named_buffers() if name.endswith("num_batches_tracked")]
    assert {int(count.item()) for count in counts} == {1}


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_random_children_train_on_the_gpu(digits: Dataset) -> None:
    search_space, rng = NASNetSearchSpace(), np.random.default_rng(0)
    children: list[Architecture] = [search_space.decode(search_space.sample(rng)) for _ in range(3)]
    evaluations = Trainer(digits, QUICK, "cuda").evaluate(children)
    assert [evaluation.status for evaluation in evaluations] == ["ok"] * 3
