from __future__ import annotations

import base64
import bz2
import json
import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import nas_gym.families.nasbench101.importing as table_import
import nas_gym.families.nasbench101.table as tables
from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201 import official_files
from nas_gym.families.nasbench201.official_files import nats_bench
from nas_gym.families.nasbench201.table import nasbench201_table
from nas_gym.tables.columns import InvalidTable, read_arrays
from nas_gym.tables.importing import import_table
from nas_gym.tables.plain_pickle import load_plain


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("NAS_GYM_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


# NAS-Bench-101 --------------------------------------------------------------------------------


def varint(value: int) -> bytes:
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | float | bytes) -> bytes:
    """One field of a protocol buffer, as protobuf's own encoder writes it."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 1) + struct.pack("<d", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def metrics(seconds: float, validation: float, test: float) -> str:
    """A ModelMetrics message: the start, the middle and the end of a training."""
    ends = ((0.0, 0.1, 0.1), (seconds / 2, 0.5, 0.5), (seconds, validation, test))
    message = b"".join(
        field(
            1,
            field(1, 54.0)
            + b"".join(field(n, v) for n, v in zip((2, 3, 4, 5), (t, 1.0, a, b), strict=True))
            + field(6, b"/path/model.ckpt"),
        )
        for t, a, b in ends
    )
    return base64.b64encode(message + field(2, 2_694_282) + field(3, 99.0)).decode()


def tfrecord(path: Path, rows: list[list[Any]]) -> Path:
    with path.open("wb") as file:
        for row in rows:
            text = json.dumps(row).encode()
            file.write(struct.pack("<Q", len(text)) + b"crc1" + text + b"crc2")
    return path


MODULES = {"a" * 32: (0.95, 0.94), "b" * 32: (0.91, 0.90)}


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two modules, three repeats each."""
    monkeypatch.setattr(tables, "NASBENCH101_CELLS", 2)
    monkeypatch.setattr(table_import, "NASBENCH101_BEST", {108: (0.95, 0.94)})
    rows = [
        [name, 108, "0" * 9, "input,conv3x3-bn-relu,output", metrics(1000.0 + r, a + r, b + r)]
        for name, (a, b) in MODULES.items()
        for r in (-0.01, 0.0, 0.01)
    ]
    return tfrecord(tmp_path / "nasbench_only108.tfrecord", rows)


def test_nas_bench_101_becomes_the_means_of_its_repeats(record: Path, folder: Path) -> None:
    path = import_table(record)
    assert path == folder / "nasbench101.npz"
    assert [file.name for file in folder.iterdir()] == [path.name]
    arrays = read_arrays(path, ("module_hash", "ops", "val_acc_108ep", "train_time_s_108ep"))
    assert [name.decode() for name in arrays["module_hash"]] == list(MODULES)
    assert arrays["val_acc_108ep"].tolist() == pytest.approx([0.95, 0.91])
    assert arrays["train_time_s_108ep"].tolist() == pytest.approx([1000, 1000])
    assert arrays["ops"][0] == b"input,conv3x3-bn-relu,output"
    rest = read_arrays(path, ("params", "test_acc_108ep", "adjacency"))
    assert rest["params"].tolist() == [2_694_282] * 2
    assert rest["test_acc_108ep"].tolist() == pytest.approx([0.94, 0.90])
    assert import_table(path) == path  # a compact table imports as itself


def test_another_best_is_not_the_benchmark(record: Path, folder: Path) -> None:
    table_import.NASBENCH101_BEST = {108: (0.95, 0.93)}  # undone by the fixture's monkeypatch
    with pytest.raises(InvalidTable, match=r"best test accuracy is 0.94\d*; 0.93 was published"):
        import_table(record)
    assert not folder.exists()


def test_another_last_place_of_the_best_is_a_warning(record: Path) -> None:
    table_import.NASBENCH101_BEST = {108: (0.95, 0.9397)}  # undone by the fixture's monkeypatch
    with pytest.warns(UserWarning, match=r"best test accuracy is 0.94\d*; 0.9397 was published"):
        import_table(record)


def test_too_few_modules_are_not_the_benchmark(
    record: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tables, "NASBENCH101_CELLS", 423_624)
    with pytest.raises(InvalidTable, match=r"shape \(2,\); .*shape \(423624,\)"):
        import_table(record)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["a", 108, "", "", metrics(1.0, 0.5, 0.5), 0]], "row 0 is none of NAS-Bench-101's"),
        ([["a", 108, "", "", ""]], "lack the end of training"),
        ([["a", 108, "", "", base64.b64encode(b"\x0a\x80").decode()]], "cut short"),
        ([["a", 108, "", "", base64.b64encode(b"\x0b").decode()]], "unknown kind 3"),
        ([["a", 108, "", "", base64.b64encode(b"\x08" + b"\xff" * 99).decode()]], "cut short"),
        ([["a", 108, "", "", base64.b64encode(b"\x08\x01").decode()]], "is none of"),
        ([["a", 108, "", "", base64.b64encode(b"\x09\x01").decode()]], "is none of"),
        ([["a", 108, "", "", "%"]], "is none of"),
        ([["a", 108, "", "", None]], "expected a list of hash, epochs"),
        ([["a", "108", "", "", ""]], "expected a list of hash, epochs"),
        ([[[], 108, "", "", ""]], "expected a list of hash, epochs"),
        ([["a", 10**99, "", "", ""]], "epochs: expected one of"),
        ([["é", 108, "", "", metrics(1.0, 0.5, 0.5)]], "ASCII"),
        ([["a", 108, "", "", metrics(float("inf"), 0.5, 0.5)]], "numbers from 0 on"),
        ([["a", 108, "", "", metrics(1e300, 0.5, 0.5)]], "numbers from 0 on"),
    ],
)
def test_a_broken_record_is_one_clear_error(
    tmp_path: Path, rows: list[list[Any]], message: str
) -> None:
    with pytest.raises(InvalidTable, match=message):
        import_table(tfrecord(tmp_path / "a.tfrecord", rows))


def test_a_record_that_is_cut_short_is_refused(record: Path) -> None:
    record.write_bytes(record.read_bytes()[:-30])
    with pytest.raises(InvalidTable, match="cannot be read as a TFRecord"):
        import_table(record)


@pytest.mark.parametrize(
    "content",
    [struct.pack("<Q", 2**62) + b"crc1", struct.pack("<Q", 3001) + b"crc1" + b"[" * 3001, b"ab"],
)
def test_lengths_and_depths_beyond_all_bounds_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tfrecord").write_bytes(content)
    with pytest.raises(InvalidTable, match=r"a\.tfrecord cannot be read as a TFRecord"):
        import_table(tmp_path / "a.tfrecord")


@pytest.mark.parametrize("name", ["a.tfrecord", "a.npz"])
def test_a_pipe_is_refused_by_name_and_nobody_waits(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(InvalidTable, match=f"{name} cannot be read.*not a regular file"):
        import_table(tmp_path / name)


@pytest.mark.parametrize("name", ["a" * 5000, "a" * 5000 + ".npz", "a" * 5000 + ".tfrecord"])
def test_a_name_that_is_too_long_is_one_short_line(name: str) -> None:
    with pytest.raises(InvalidTable) as error:
        import_table(Path(name))
    assert len(str(error.value)) < 1_000


# NATS-Bench -----------------------------------------------------------------------------------

CELLS = (
    "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|none~2|",
    "|nor_conv_3x3~0|+|nor_conv_3x3~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
)


def compressed(path: Path, data: object) -> None:
    path.write_bytes(bz2.compress(pickle.dumps(data, protocol=4)))


def cell_of_nats(accuracy: float) -> dict[str, Any]:
    """One cell's file, as ArchResults.state_dict and ResultsCount.state_dict of nats_bench nest."""
    by_length = {}
    for epochs in (12, 200):
        results, seeds = {}, {}
        for dataset, sets in {
            "cifar10-valid": ("x-valid", "ori-test"),
            "cifar10": ("ori-test",),
            "cifar100": ("x-valid", "x-test", "ori-test"),
            "ImageNet16-120": ("x-valid", "x-test", "ori-test"),
        }.items():
            seeds[dataset] = [777, 888]
            for seed in seeds[dataset]:
                results[dataset, seed] = {
                    "name": "infer.tiny",
                    "net_state_dict": None,
                    "eval_acc1es": {
                        f"{name}@{epochs - 1}": np.float64(accuracy + (seed - 777) / 111)
                        for name in sets
                    },
                    "train_times": OrderedDict((epoch, 2.0) for epoch in range(epochs)),
                    "params": np.float32(0.5),
                }
        by_length[str(epochs)] = {"all_results": results, "dataset_seed": seeds}
    return by_length


@pytest.fixture
def nats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(official_files, "NASBENCH201_CELLS", 2)
    source = tmp_path / "NATS-tss-v1_0-3ffb9-simple"
    source.mkdir()
    meta = {"meta_archs": list(CELLS), "total_archs": 2, "evaluated_indexes": {0, 1}}
    compressed(source / "meta.pickle.pbz2", meta)
    for number, accuracy in enumerate((60.0, 80.0)):
        compressed(source / f"{number:06d}.pickle.pbz2", cell_of_nats(accuracy))
    return source


def test_nats_bench_becomes_the_means_of_its_seeds(nats: Path) -> None:
    arrays = nats_bench(nats, lambda done, total: None)
    assert arrays["ops"].tolist() == [[4, 2, 1, 2, 1, 0], [3, 3, 4, 1, 3, 0]]
    for dataset in ("cifar10", "cifar100", "imagenet16"):
        for epochs in (12, 200):
            assert arrays[f"{dataset}_val_acc_{epochs}ep"].tolist() == [60.5, 80.5]
            assert arrays[f"{dataset}_test_acc_{epochs}ep"].tolist() == [60.5, 80.5]
        assert arrays[f"{dataset}_valid_train_time_s_200ep"].tolist() == [400.0, 400.0]
        assert arrays[f"{dataset}_params_m"].tolist() == [0.5, 0.5]


def test_pickles_are_read_only_where_the_user_asks_for_it(nats: Path) -> None:
    with pytest.raises(InvalidTable, match=r"holds pickles, .* --unpickle reads them"):
        import_table(nats)


class Malice:
    """Makes a file when it is unpickled by Python's own means."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_what_is_in_a_pickle_is_not_run(nats: Path, tmp_path: Path) -> None:
    compressed(nats / "000001.pickle.pbz2", {"12": Malice(tmp_path / "made")})
    with pytest.raises(InvalidTable, match=r"asks for posix.mkdir, which is no data"):
        import_table(nats, unpickle=True)
    assert not (tmp_path / "made").exists()


def test_a_pickle_of_data_is_read_as_it_is(tmp_path: Path) -> None:
    data = {"a": [1, 2.5, "x", None, (True,)], "b": OrderedDict(c={3})}
    compressed(tmp_path / "plain", data)
    compressed(tmp_path / "numbers", [np.float64(0.25), np.float32(0.5), np.int64(-3)])
    assert load_plain(tmp_path / "plain") == data
    assert load_plain(tmp_path / "numbers") == [0.25, 0.5, -3]


@pytest.mark.parametrize(
    "data", [{"12": {}}, {"12": {"dataset_seed": {"cifar10-valid": []}, "all_results": {}}}, []]
)
def test_a_file_that_is_none_of_nats_bench_is_refused(nats: Path, data: object) -> None:
    compressed(nats / "000001.pickle.pbz2", data)
    with pytest.raises(InvalidTable, match=r"000001.pickle.pbz2 is none of NATS-Bench's files"):
        nats_bench(nats, lambda done, total: None)


@pytest.mark.parametrize(
    ("place", "value"),
    [("params", "many"), ("params", 1e300), ("params", float("nan")), ("train_times", 7)],
)
def test_values_of_a_wrong_type_are_refused(nats: Path, place: str, value: object) -> None:
    cell = cell_of_nats(60.0)
    for record in cell["200"]["all_results"].values():
        record[place] = value
    compressed(nats / "000001.pickle.pbz2", cell)
    with pytest.raises(InvalidTable, match=r"000001.pickle.pbz2 is none of NATS-Bench's files"):
        nats_bench(nats, lambda done, total: None)


def test_names_of_cells_that_are_none_are_refused(nats: Path) -> None:
    compressed(nats / "meta.pickle.pbz2", {"meta_archs": [7, CELLS[0]]})
    with pytest.raises(InvalidTable, match=r"meta.pickle.pbz2: "):
        nats_bench(nats, lambda done, total: None)


def test_a_bomb_of_a_pickle_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nas_gym.tables.plain_pickle.MOST_BYTES", 1_000)
    compressed(tmp_path / "bomb", b"0" * 1_000)
    with pytest.raises(InvalidTable, match="more than 1,000 bytes"):
        load_plain(tmp_path / "bomb")


def test_a_folder_that_misses_a_cell_is_refused(nats: Path) -> None:
    (nats / "000001.pickle.pbz2").unlink()
    with pytest.raises(InvalidTable, match=r"000001.pickle.pbz2 cannot be read"):
        nats_bench(nats, lambda done, total: None)


# Compact tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.pth", "NATS-tss-v1_0-3ffb9.pickle.pbz2", "missing"])
def test_what_nobody_released_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InvalidTable, match=r"is none of an .npz with module_hash, a .tfrecord"):
        import_table(tmp_path / name)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("ops", "has no column like cifar10_val_acc_200ep"),
        ("module_hash", "has no column like val_acc_108ep"),
        ("cifar10_val_acc_200ep", "has no column 'ops', 'op_names'"),
        ("imagenet16_val_acc_12ep", "has no column 'ops', 'op_names'"),
    ],
)
def test_an_npz_that_lacks_columns_is_refused_by_its_own_name(
    tmp_path: Path, folder: Path, column: str, message: str
) -> None:
    arrays: dict[str, Any] = {column: np.zeros(15_625)}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(InvalidTable, match=f"table: {tmp_path / 'a.npz'} {message}"):
        import_table(tmp_path / "a.npz")
    assert not folder.exists()


def test_a_source_that_is_not_what_was_published_is_named(record: Path, tmp_path: Path) -> None:
    source = tmp_path / "compact.npz"
    import_table(record).replace(source)
    arrays = dict(np.load(source))
    np.savez(source, **{**arrays, "val_acc_108ep": arrays["val_acc_108ep"] * 100})
    with pytest.raises(InvalidTable, match=f"table: {source}: val_acc_108ep.0. is 9"):
        import_table(source)
    np.savez(source, **{**arrays, "val_acc_108ep": arrays["val_acc_108ep"] / 2})
    with pytest.raises(InvalidTable, match=f"table: {source}: NAS-Bench-101, .* was published"):
        import_table(source)


def test_the_real_table_is_imported(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    source = data_folder() / "nasbench201_cifar10.npz"
    monkeypatch.setenv("NAS_GYM_DATA", str(folder))
    if not source.is_file():
        pytest.skip(f"{source} is missing")
    assert import_table(source) == folder / "nasbench201_cifar10.npz"
    table = nasbench201_table("cifar10", 200)
    assert table.fingerprint == nasbench201_table("cifar10", 200, source).fingerprint
