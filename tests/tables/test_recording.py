from __future__ import annotations

import json
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import ArrayLike

from nas_gym.data.dataset import InvalidDataset, resplit
from nas_gym.data.loading import load_dataset
from nas_gym.errors import InvalidSettings
from nas_gym.families.nasbench201.network import NASBench201Settings
from nas_gym.families.nasbench201.search_space import (
    NASBENCH201_OPERATIONS,
    NASBench201Architecture,
    NASBench201SearchSpace,
)
from nas_gym.families.nasnet.search_space import NASNetSearchSpace
from nas_gym.search_spaces import Choices, Decision, SearchSpace
from nas_gym.tables import recording as recording_module
from nas_gym.tables.recording import (
    Recording,
    RecordingSettings,
    RecordingStopped,
    distinct_choices,
    record_child,
)
from nas_gym.tables.table import built_table
from nas_gym.training.settings import TrainingSettings
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
    with pytest.raises(InvalidSettings, match="is for at most 1,000,000"):
        distinct_choices(NASNetSearchSpace())


def test_a_recording_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    begun = Recording(search_space, SETTINGS, out)
    trainers = SETTINGS.trainers()
    expected = {
        (number, row): {
            "seed": number,
            "row": row,
            **record_child(trainers[number], search_space.decode(begun.choices[row])),
        }
        for number in range(2)
        for row in range(3)
    }
    lines = [json.dumps(record) + "\n" for record in expected.values()]
    whole = begun.part.read_text(encoding="utf-8") + "".join(lines[:4])
    begun.part.write_text(whole + lines[4][:20], encoding="utf-8")  # killed while it wrote

    resumed = Recording(search_space, SETTINGS, out)
    assert len(resumed.done) == 4
    assert resumed.part.read_text(encoding="utf-8") == whole
    with pytest.raises(InvalidSettings, match="2 children are not recorded yet"):
        resumed.write()
    assert list(resumed.run(workers=1)) == [5, 6]
    assert _lasting(resumed.done) == _lasting(expected)
    resumed.write()
    assert [path.name for path in tmp_path.iterdir()] == ["table.npz"]

    architecture = search_space.decode([2, 1])
    table = built_table(out, search_space, seed=1)
    [trained], [looked_up] = trainers[1].evaluate([architecture]), table.evaluate([architecture])
    assert looked_up.curve == pytest.approx(trained.curve)
    assert (looked_up.parameters, looked_up.seed) == (trained.parameters, 4)
    assert looked_up.multiply_adds == expected[0, 2]["multiply_adds"]
    assert looked_up.seconds > 0
    tested = expected[1, 2]["test_right"] / 40
    assert table.test_accuracy(architecture) == pytest.approx(tested)


def _lasting(records: dict[tuple[int, int], dict[str, Any]]) -> list[dict[str, Any]]:
    """The records without what differs from run to run."""
    return [{**records[child], "seconds": None} for child in sorted(records)]


def test_a_child_that_fails_is_recorded_as_such() -> None:
    training = replace(SETTINGS.training, learning_rate=1e30)
    trainer = replace(SETTINGS, training=training).trainers()[1]
    record = record_child(trainer, OneEdgeSearchSpace().decode([2, 0]))
    assert (record["status"], record["test_right"]) == ("diverged", None)
    assert record["multiply_adds"] is None  # the first seed's trainer counts them


def test_a_recording_goes_on_only_under_the_same_settings(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    Recording(search_space, SETTINGS, out)
    assert not Recording(search_space, replace(SETTINGS, seeds=3), out).done  # more of the same
    with pytest.raises(InvalidSettings, match="was begun with other settings"):
        Recording(search_space, replace(SETTINGS, split=(64, 50, 41)), out)


def test_a_finished_table_is_never_overwritten(tmp_path: Path) -> None:
    out = tmp_path / "table.npz"
    out.touch()
    with pytest.raises(InvalidSettings, match="exists already"):
        Recording(OneEdgeSearchSpace(), SETTINGS, out)
    with pytest.raises(InvalidSettings, match=r"named \.npz"):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table")


def test_failures_keep_their_place_in_the_table(tmp_path: Path) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    recording = Recording(search_space, replace(SETTINGS, seeds=1), out)
    line = {"seconds": 0.5, "parameters": 7, "multiply_adds": 9, "seed": 0}
    good = {"status": "ok", "validation_right": [10, 20], "test_right": 30}
    bad = {"status": "diverged", "validation_right": [10], "test_right": None}
    lines = [{**line, **good, "row": 0}, {**line, **bad, "row": 1}, {**line, **good, "row": 2}]
    with recording.part.open("a", encoding="utf-8") as file:
        file.writelines(json.dumps(record) + "\n" for record in lines)
    Recording(search_space, replace(SETTINGS, seeds=1), out).write()
    table = built_table(out, search_space)
    assert table.accuracy.tolist() == [0.4, 0.0, 0.4, 0.0]
    assert table.evaluation(1).status == "diverged"
    assert table.evaluation(1).curve == (0.2,)
    assert table.test[:3].tolist() == pytest.approx([0.75, np.nan, 0.75], nan_ok=True)


RECORD = {
    "seed": 0,
    "row": 1,
    "status": "ok",
    "validation_right": [10, 20],
    "test_right": 30,
    "seconds": 0.5,
    "parameters": 7,
    "multiply_adds": 9,
}


@pytest.mark.parametrize("length", [0, 1, 20, -1])
def test_a_recording_that_was_killed_before_its_first_line_begins_anew(
    tmp_path: Path, length: int
) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    part = Recording(search_space, SETTINGS, out).part
    head = part.read_bytes()
    part.write_bytes(head[:length])
    assert Recording(search_space, SETTINGS, out).done == {}
    assert part.read_bytes() == head


@pytest.mark.parametrize("content", [b"garbage", b"garbage\n", b"\xff\x00\n{}\n", b"[1]\n", b"\n"])
def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    part = tmp_path / "table.npz.part"
    part.write_bytes(content)
    with pytest.raises(InvalidSettings, match=r"table.npz.part is none that .*; move it away, or"):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / "table.npz")
    assert part.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [
        "garbage",
        "[1, 2]",
        json.dumps({"seed": 0, "row": 1}),
        json.dumps({**RECORD, "row": 3}),
        json.dumps({**RECORD, "seed": None}),
    ],
)
def test_a_line_that_is_no_record_is_named_and_the_others_are_kept(
    tmp_path: Path, line: str
) -> None:
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    part = Recording(search_space, SETTINGS, out).part
    lines = [part.read_text(encoding="utf-8"), json.dumps(RECORD) + "\n", line + "\n"]
    part.write_text("".join(lines), encoding="utf-8")
    with pytest.raises(InvalidSettings, match=r"part: line 3 is no child's record: .*delete the l"):
        Recording(search_space, SETTINGS, out)
    part.write_text("".join(lines[:-1]), encoding="utf-8")
    assert Recording(search_space, SETTINGS, out).done == {(0, 1): RECORD}


@pytest.mark.parametrize("place", ["file/table.npz", "file/folder/table.npz", "/proc/table.npz"])
def test_a_place_that_cannot_be_written_to_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        InvalidSettings, match=r"out: .*table.npz.part cannot be .*; name a file in"
    ):
        Recording(OneEdgeSearchSpace(), SETTINGS, tmp_path / place)


def test_a_table_that_cannot_be_written_leaves_what_was_recorded(tmp_path: Path) -> None:
    search_space, settings = OneEdgeSearchSpace(), replace(SETTINGS, seeds=1)
    recording = Recording(search_space, settings, tmp_path / "table.npz")
    recording.done = {(0, row): {**RECORD, "row": row} for row in range(3)}
    (tmp_path / "table.npz.whole").mkdir()
    with pytest.raises(InvalidSettings, match=r"table.npz cannot be read or written \(Is a direc"):
        recording.write()
    assert recording.part.exists()


def train_one_and_die(number: int, row: int, architecture: Any) -> dict[str, Any]:
    """Stands in for a training in a worker: killed, as for want of memory, at the second."""
    if not recording_module._trainers:
        os.kill(os.getpid(), signal.SIGKILL)
    recording_module._trainers.clear()
    return {**RECORD, "row": row}


def test_a_killed_worker_is_one_clear_error_and_what_was_recorded_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording_module, "_train", train_one_and_die)
    search_space, out = OneEdgeSearchSpace(), tmp_path / "table.npz"
    recording = Recording(search_space, SETTINGS, out)
    with pytest.raises(
        RecordingStopped, match=r"killed, .* 1 of 6 children are kept in .*part, and the same comm"
    ):
        list(recording.run(workers=1))
    resumed = Recording(search_space, SETTINGS, out)
    assert len(resumed.done) == 1
    assert resumed.done == recording.done
