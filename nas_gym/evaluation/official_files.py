"""The files that NAS-Bench-101's and NATS-Bench's authors released, as arrays. No torch here.

NAS-Bench-101's ``nasbench_only108.tfrecord`` and ``nasbench_full.tfrecord`` hold one row of JSON a
training; NATS-Bench's folder ``NATS-tss-v1_0-3ffb9-simple`` one compressed pickle a cell. Every
function takes a path and gives the columns of a compact table.
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.evaluation.nasbench_tables import (
    NASBENCH101_CELLS,
    NASBENCH201_CELLS,
    NASBENCH201_EPOCHS,
)
from nas_gym.evaluation.plain_pickle import load_plain
from nas_gym.evaluation.table_columns import InvalidTable
from nas_gym.search_spaces import NASBench201Architecture
from nas_gym.search_spaces.nasbench201 import EDGES, NASBENCH201_OPERATIONS

Arrays: TypeAlias = dict[str, NDArray[Any]]
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with how many rows are read, of how many."""


def nasbench101(source: Path, on_progress: OnProgress) -> Arrays:
    """The means of each module's repeats, from NAS-Bench-101's file.

    Raises:
        InvalidTable: it is none, or a module lacks a length of training.
    """
    repeats: dict[str, dict[int, list[tuple[float, float, float]]]] = {}
    fixed: dict[str, tuple[str, str, int]] = {}
    for module_hash, epochs, adjacency, operations, raw in _json_rows(source):
        parameters, final = _metrics(base64.b64decode(raw))
        if module_hash not in fixed and len(fixed) % 1000 == 0:
            on_progress(len(fixed), NASBENCH101_CELLS)
        fixed[module_hash] = (adjacency, operations, parameters)
        repeats.setdefault(module_hash, {}).setdefault(epochs, []).append(final)
    lengths = sorted({epochs for of_module in repeats.values() for epochs in of_module})
    for module_hash, of_module in repeats.items():
        if sorted(of_module) != lengths:
            raise InvalidTable(f"source: {source}: {module_hash} lacks some of {lengths} epochs")
    modules = [fixed[module_hash] for module_hash in repeats]
    arrays: Arrays = {
        "module_hash": np.array(list(repeats), dtype="S32"),
        "adjacency": np.array([adjacency for adjacency, _, _ in modules], dtype="S"),
        "ops": np.array([operations for _, operations, _ in modules], dtype="S"),
        "params": np.array([parameters for _, _, parameters in modules], dtype=np.int32),
    }
    for epochs in lengths:
        means = np.array([np.mean(of_module[epochs], axis=0) for of_module in repeats.values()])
        for column, name in enumerate(("train_time_s", "val_acc", "test_acc")):
            arrays[f"{name}_{epochs}ep"] = means[:, column].astype(np.float32)
    return arrays


def _json_rows(source: Path) -> Iterator[list[Any]]:
    """The rows of a TFRecord file of JSON texts: length, its checksum, the text, its checksum.

    Checksums are skipped: a damaged row is no JSON, or lacks a field.
    """
    try:
        with source.open("rb") as file:
            while head := file.read(12):
                (length,) = struct.unpack("<Q", head[:8])
                row = json.loads(file.read(length))
                file.read(4)
                if not isinstance(row, list) or len(row) != 5:
                    raise InvalidTable(f"source: {source}: a row is none of NAS-Bench-101's")
                yield row
    except (OSError, ValueError, struct.error, MemoryError, OverflowError) as error:
        if isinstance(error, InvalidTable):
            raise
        raise InvalidTable(f"source: {source} cannot be read as a TFRecord: {error}") from error


def _metrics(message: bytes) -> tuple[int, tuple[float, float, float]]:
    """A ``ModelMetrics`` message of nasbench/lib/model_metrics.proto.

    Returns:
        The trainable parameters; and at the end of training the seconds so far, the validation and
        the test accuracy.
    """
    evaluations, parameters = [], -1
    for field, value in _fields(message):
        if field == 1:
            evaluations.append(dict(_fields(value)))
        elif field == 2:
            parameters = value
    if not evaluations or not {2, 4, 5} <= set(evaluations[-1]):
        raise InvalidTable("source: a row's metrics lack the end of training")
    last = evaluations[-1]
    return parameters, (last[2], last[4], last[5])


def _fields(message: bytes) -> Iterator[tuple[int, Any]]:
    """(number, value) of each field of a protocol buffer: integers, doubles, and bytes."""
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, place = _varint(message, place)
            yield number, value
        elif kind == 1:
            yield number, struct.unpack_from("<d", message, place)[0]
            place += 8
        elif kind == 2:
            length, place = _varint(message, place)
            yield number, message[place : place + length]
            place += length
        else:
            raise InvalidTable(f"source: a row's metrics have a field of the unknown kind {kind}")


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        if place >= len(message):
            raise InvalidTable("source: a row's metrics are cut short")
        byte = message[place]
        value |= (byte & 0x7F) << shift
        place, shift = place + 1, shift + 7
        if not byte & 0x80:
            return value, place


_NATS_DATASETS = {
    "cifar10": ("cifar10-valid", "x-valid", "cifar10", "ori-test"),
    "cifar100": ("cifar100", "x-valid", "cifar100", "x-test"),
    "imagenet16": ("ImageNet16-120", "x-valid", "ImageNet16-120", "x-test"),
}
"""Where the validation and the test accuracy are: a training, and a set it was evaluated on."""


def nats_bench(folder: Path, on_progress: OnProgress) -> Arrays:
    """The means of each cell's seeds, from NATS-Bench's folder of one file a cell.

    Raises:
        InvalidTable: it is none, or a file holds more than plain data.
    """
    meta = load_plain(folder / "meta.pickle.pbz2")
    names = meta["meta_archs"] if isinstance(meta, dict) and "meta_archs" in meta else None
    if not isinstance(names, (list, tuple)) or len(names) != NASBENCH201_CELLS:
        raise InvalidTable(
            f"source: {folder}/meta.pickle.pbz2 does not list {NASBENCH201_CELLS:,} cells"
        )
    columns: dict[str, list[float]] = {}
    for number in range(len(names)):
        if number % 100 == 0:
            on_progress(number, len(names))
        path = folder / f"{number:06d}.pickle.pbz2"
        try:
            of_cell = _nats_cell(load_plain(path))
        except (KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError) as error:
            raise InvalidTable(
                f"source: {path} is none of NATS-Bench's files: {error!r}"
            ) from error
        for name, value in of_cell.items():
            columns.setdefault(name, []).append(value)
    cells = [NASBench201Architecture.from_string(str(name)) for name in names]
    codes = [[NASBENCH201_OPERATIONS.index(label) for label in cell.operations] for cell in cells]
    return {
        "arch_str": np.array([str(name) for name in names], dtype="S"),
        "op_names": np.array(NASBENCH201_OPERATIONS),
        "edge_order": np.array([f"{source}->{target}" for source, target in EDGES]),
        "ops": np.array(codes, np.uint8),
        **{name: np.array(column, np.float32) for name, column in columns.items()},
    }


def _nats_cell(by_length: Mapping[str, Any]) -> dict[str, float]:
    """The columns of one cell: ``by_length`` has the keys "12" and "200"."""
    values: dict[str, float] = {}
    for dataset, (validated, validation, tested, test) in _NATS_DATASETS.items():
        for epochs in NASBENCH201_EPOCHS:
            record = by_length[str(epochs)]
            last = epochs - 1
            runs = _runs(record, validated)
            tests = _runs(record, tested)
            values[f"{dataset}_val_acc_{epochs}ep"] = _mean(
                run["eval_acc1es"][f"{validation}@{last}"] for run in runs
            )
            values[f"{dataset}_test_acc_{epochs}ep"] = _mean(
                run["eval_acc1es"][f"{test}@{last}"] for run in tests
            )
            if epochs == max(NASBENCH201_EPOCHS):
                seconds = [sum(run["train_times"].values()) for run in runs]
                values[f"{dataset}_valid_train_time_s_{epochs}ep"] = _mean(seconds)
                values[f"{dataset}_params_m"] = float(runs[0]["params"])
    return values


def _runs(record: Mapping[str, Any], dataset: str) -> list[Mapping[str, Any]]:
    """The trainings on a data set, one a seed."""
    return [record["all_results"][dataset, seed] for seed in record["dataset_seed"][dataset]]


def _mean(values: Iterable[float]) -> float:
    listed = [float(value) for value in values]
    return sum(listed) / len(listed)
