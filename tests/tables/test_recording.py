from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from nas_gym.architecture import Architecture, published
from nas_gym.data.dataset import InvalidDataset, resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings, NASGymError
from nas_gym.evaluation.cost_limits import CostLimits
from nas_gym.evaluation.evaluation import Evaluation, Status
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import (
    NASBENCH201_OPERATIONS,
    NASBench201Architecture,
    NASBench201SearchSpace,
)
from nas_gym.families.nasnet.search_space import NASNetSearchSpace
from nas_gym.search_spaces import Choices, Decision, SearchSpace
from nas_gym.store import EvaluationWithTest, Store, StoreError
from nas_gym.tables.built import built_table
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.recording import (
    Recording,
    RecordingSettings,
    distinct_choices,
)
from nas_gym.training.settings import TrainingSettings
from nas_gym.training.trainer import Trainer
from nas_gym.workers.local import LocalWorkers
from tests.helpers import LayersSearchSpace


class OneEdgeSearchSpace(SearchSpace):
    """Cells of which one edge counts: the other decision is about an edge that leads nowhere."""

    def __init__(self) -> None:
        names = ("edge 3<-0", "edge 1<-0")
        super().__init__("OneEdge", [Decision(name, NASBENCH201_OPERATIONS[:3]) for name in names])

    def decode(self, choices: ArrayLike) -> NASBench201Architecture:
        counts, idle = self.check(choices)
        labels = ["none"] * 6
        labels[3], labels[0] = NASBENCH201_OPERATIONS[counts], NASBENCH201_OPERATIONS[idle]
        return NASBench201Architecture(tuple(labels))

    def encode(self, architecture: Any) -> Choices:
        labels = architecture.operations
        return np.array([NASBENCH201_OPERATIONS.index(labels[edge]) for edge in (3, 0)])


SETTINGS = RecordingSettings(
    TrainingSettings(
        network=NASBench201Settings(cells=1, filters=4), epochs=2, batch_size=64, seed=3
    ),
    dataset="digits",
    image_size=4,
    split=(64, 50, 40),
    seeds=2,
)


def test_a_split_has_the_sizes_and_the_classes_asked_for() -> None:
    dataset = resplit(load_dataset("digits"), 256, 400, 500)
    parts = (dataset.train, dataset.validation, dataset.test)
    assert [len(part) for part in parts] == [256, 400, 500]
    assert len(np.unique(np.concatenate(parts))) == 1156
    for part in parts:
        counts = np.bincount(dataset.labels[part], minlength=10) / len(part)
        assert (abs(counts - np.bincount(dataset.labels) / 1797) < 0.01).all()
    assert dataset.digest != load_dataset("digits").digest
    assert dataset.digest == resplit(load_dataset("digits"), 256, 400, 500).digest


@pytest.mark.parametrize("split", [(0, 1, 1), (1, 1, 0), (1000, 700, 98)])
def test_a_split_that_cannot_be_is_refused(split: tuple[int, int, int]) -> None:
    with pytest.raises(InvalidDataset, match="'digits' has 1797 images; they cannot be split"):
        resplit(load_dataset("digits"), *split)


def test_every_distinct_architecture_is_listed_once() -> None:
    choices, row_of = distinct_choices(OneEdgeSearchSpace())
    assert [c.tolist() for c in choices] == [[0, 0], [1, 0], [2, 0]]
    assert row_of.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_invalid_sequences_have_no_row() -> None:
    search_space = LayersSearchSpace()
    choices, row_of = distinct_choices(search_space)
    assert len(choices) == search_space.size == np.count_nonzero(row_of >= 0)
    assert len(row_of) == 3 * 4**3


def test_nas_bench_201_has_its_published_number_of_networks() -> None:
    choices, row_of = distinct_choices(NASBench201SearchSpace())
    assert len(choices) == 6466
    assert len(row_of) == 15_625
    assert row_of.min() == 0


def test_a_large_search_space_is_refused() -> None:
    for blocks, number in ((5, r"5\.23e\+36"), (50, r"4\.51e\+517")):
        with pytest.raises(InvalidSettings, match=f"{number} .* is for at most 1,000,000"):
            distinct_choices(NASNetSearchSpace(blocks=blocks))


class ScriptedChildren:
    """Trains nothing; the child of one edge fails in one of the repeats."""

    costs = ()

    def __init__(self, fingerprint: str, failure: Status = "ok") -> None:
        self.fingerprint, self.failure = fingerprint, failure
        self.asked = 0

    def seed_of(self, architecture: Architecture, repeat: int = 0) -> int:
        return repeat

    def evaluate(self, architectures: Any) -> list[Evaluation]:
        return [self.evaluate_one(architecture) for architecture in architectures]

    def evaluate_one(self, architecture: Architecture, repeat: int = 0) -> Evaluation:
        self.asked += 1
        fails = self.failure != "ok" and architecture.to_dict()["operations"][3] == "skip_connect"
        evaluation = Evaluation(
            status=self.failure if fails else "ok",
            accuracy=0.0 if fails else 0.4,
            curve=(0.2,) if fails else (0.2, 0.4),
            seconds=0.5,
            seed=repeat,
            fingerprint=self.fingerprint,
            parameters=7,
            multiply_adds=9 if repeat == 0 else None,
            latency=None if fails else 0.001 * (1 + repeat),
        )
        return EvaluationWithTest(**vars(evaluation), test_accuracy=None if fails else 0.75)


def test_a_recording_goes_on_where_it_was_interrupted(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    begun = Recording(search_space, SETTINGS, out)
    counts = begun.run(begun.trainer)
    assert [next(counts) for _ in range(4)] == [1, 2, 3, 4]
    first = dict(begun.done)
    begun.close()

    resumed = Recording(search_space, SETTINGS, out)
    assert resumed.done.items() >= first.items()
    left = 6 - len(resumed.done)
    assert 0 < left <= 2
    with pytest.raises(InvalidSettings, match=rf"{left} child(ren)? not recorded yet"):
        resumed.write()
    with LocalWorkers(resumed.trainer, 1, threads=1) as workers:
        assert list(resumed.run(workers))[-1] == 6
    resumed.write()
    assert [path.name for path in tmp_path.iterdir()] == ["table.npz"]

    architecture = search_space.decode([2, 1])
    for seed in range(2):  # each is what a search with its seed gives
        training = replace(SETTINGS.training, seed=3 + seed)
        evaluation, network = Trainer(SETTINGS.images(), training, "cpu").train_one(architecture)
        table = built_table(out, search_space, seed=seed)
        [looked_up] = table.evaluate([architecture])
        assert looked_up.curve == pytest.approx(evaluation.curve)
        assert (looked_up.parameters, looked_up.seed) == (evaluation.parameters, 3 + seed)
        assert looked_up.multiply_adds == evaluation.multiply_adds
        assert looked_up.seconds > 0
        assert network is not None
        tested = Trainer(SETTINGS.images(), training, "cpu").test_accuracy(network)
        assert table.test_accuracy(architecture) == pytest.approx(tested)
        assert "latency" not in table.columns


def test_what_is_recorded_of_a_child_is_in_the_store_and_its_test_accuracy_is_no_agents(
    tmp_path: Path,
) -> None:
    recording = Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table.npz")
    next(recording.run(recording.trainer))
    [record, *_] = recording.store.records()
    recording.close()
    assert record.test_accuracy is not None
    assert "test_accuracy" not in record.evaluation.to_dict()


def test_a_part_of_the_architectures_is_trained_with_every_seed(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    recording = Recording(search_space, replace(SETTINGS, repeated=0.5), out)
    assert recording.children == 5  # two of three have a second training
    assert list(recording.run(ScriptedChildren(recording.trainer.fingerprint))) == [1, 2, 3, 4, 5]
    assert [row for repeat, row in recording.done if repeat == 1] == list(recording.trainings)[:2]
    recording.write()
    status = read_arrays(out, ("status",))["status"]
    assert [(status[:, seed] == "unrecorded").sum() for seed in (0, 1)] == [0, 1]
    tables = [built_table(out, search_space, seed) for seed in (None, 0, 1)]
    assert len({table.fingerprint for table in tables}) == 1  # each has the first training alone
    assert {table.evaluation(row).seed for table in tables for row in range(3)} == {3}
    assert tables[0].accuracy.tolist() == [0.4, 0.4, 0.4, 0.0]


def test_a_child_that_fails_is_a_row_with_its_status(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    recording = Recording(search_space, SETTINGS, out)
    children = ScriptedChildren(recording.trainer.fingerprint, "crashed")
    assert list(recording.run(children)) == [1, 2, 3, 4, 5, 6]
    recording.write()
    table = built_table(out, search_space)
    assert table.accuracy.tolist() == [0.4, 0.0, 0.4, 0.0]
    assert table.evaluation(1).status == "crashed"
    assert table.evaluation(1).curve == (0.2,)
    assert table.test[:3].tolist() == pytest.approx([0.75, np.nan, 0.75], nan_ok=True)
    assert table.columns["latency"].tolist() == pytest.approx(
        [0.0015, np.nan, 0.0015, np.nan], nan_ok=True
    )
    assert built_table(out, search_space, seed=1).evaluation(2).latency == 0.002
    assert table.evaluation(1).latency is None


def test_a_limit_of_multiply_adds_holds_for_every_seed() -> None:
    training = replace(SETTINGS.training, at_most=CostLimits(multiply_adds=10))
    trainer = replace(SETTINGS, training=training).trainer()
    child = published("NAS-Bench-201-ResNet")
    for repeats in ([0], [1], [1, 2]):
        found = trainer.evaluate_repeats(child, repeats)
        assert {each.status for each in found} == {"over_limit"}


def test_a_training_that_diverges_is_recorded_as_such() -> None:
    training = replace(SETTINGS.training, learning_rate=1e30)
    trainer = replace(SETTINGS, training=training).trainer()
    evaluation = trainer.evaluate_one(OneEdgeSearchSpace().decode([2, 0]), 1)
    assert isinstance(evaluation, EvaluationWithTest)
    assert (evaluation.status, evaluation.test_accuracy) == ("diverged", None)
    assert evaluation.multiply_adds is None  # the first training counts them


def test_a_recording_goes_on_only_under_the_same_settings(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    begun = Recording(search_space, SETTINGS, out)
    children = ScriptedChildren(begun.trainer.fingerprint)
    list(begun.run(children))
    begun.close()
    more = Recording(search_space, replace(SETTINGS, seeds=3), out)
    assert len(more.done) == 6
    more.close()
    for settings, space in (
        (replace(SETTINGS, split=(64, 50, 41)), search_space),
        (SETTINGS, _TwoRows()),
    ):
        with pytest.raises(InvalidSettings, match=r"npz\.db was begun with other settings"):
            Recording(space, settings, out)


def test_a_table_of_a_long_name_leaves_no_store(tmp_path: Path) -> None:
    out = tmp_path / ("folder-" * 20) / ("folder-" * 20) / "table.npz"
    recording = Recording(OneEdgeSearchSpace(), SETTINGS, out)
    list(recording.run(ScriptedChildren(recording.trainer.fingerprint)))
    recording.write()
    assert list(out.parent.iterdir()) == [out]


class _TwoRows(OneEdgeSearchSpace):
    """Another search space of the same networks."""

    def decode(self, choices: ArrayLike) -> NASBench201Architecture:
        return super().decode([0, 0] if list(np.asarray(choices)) == [2, 2] else [0, 1])


def test_a_finished_table_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "table.npz"
    out.touch()
    with pytest.raises(InvalidSettings, match="exists already"):
        Recording(OneEdgeSearchSpace(), SETTINGS, out)
    with pytest.raises(InvalidSettings, match=r"named \.npz"):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table")


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    beside = tmp_path / "table.npz.db"
    beside.write_bytes(b"garbage" * 99)
    with pytest.raises(StoreError, match=r"table\.npz\.db is corrupt, or no database"):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table.npz")
    assert beside.read_bytes() == b"garbage" * 99


@pytest.mark.parametrize("place", ["file/table.npz", "file/folder/table.npz", "/proc/table.npz"])
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NASGymError, match=r"table\.npz(\.db)? cannot be "):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / place)


def test_a_table_that_cannot_be_written_leaves_what_was_recorded(tmp_path: Path) -> None:
    recording = Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table.npz")
    list(recording.run(ScriptedChildren(recording.trainer.fingerprint)))
    (tmp_path / "table.npz").mkdir()
    with pytest.raises(InvalidSettings, match=r"table.npz cannot be read or written \(Is a direc"):
        recording.write()
    recording.close()
    with Store(tmp_path / "table.npz.db", create=False) as store:
        assert store.size() == 6


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"seeds": 0}, "seeds: expected a number"),
        ({"repeated": 0.0}, "repeated: expected a number"),
        ({"image_size": "8"}, "image_size: expected"),
        ({"split": (1, 0, 3)}, "split"),
    ],
)
def test_wrong_settings_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidSettings, match=message):
        RecordingSettings(SETTINGS.training, **wrong)
