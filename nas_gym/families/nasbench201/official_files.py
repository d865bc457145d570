"""Reads the folder that NATS-Bench's authors released, as arrays. No torch here."""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.errors import NASGymError
from nas_gym.families.nasbench201.search_space import (
    EDGES,
    NASBENCH201_OPERATIONS,
    NASBench201Architecture,
)
from nas_gym.families.nasbench201.table import NASBENCH201_CELLS, NASBENCH201_EPOCHS
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.importing import Arrays, OnProgress
from nas_gym.tables.plain_pickle import load_plain

_NATS_DATASETS = {
    "cifar10": ("cifar10-valid", "x-valid", "cifar10", "ori-test"),
    "cifar100": ("cifar100", "x-valid", "cifar100", "x-test"),
    "imagenet16": ("ImageNet16-120", "x-valid", "ImageNet16-120", "x-test"),
}
"""Place of the validation and the test accuracy: a training, and a set it was evaluated on."""


def nats_bench(folder: Path, on_progress: OnProgress) -> Arrays:
    """Return the means of each cell's seeds, from NATS-Bench's folder of one file a cell."""
    meta = load_plain(folder / "meta.pickle.pbz2")
    names = meta["meta_archs"] if isinstance(meta, dict) and "meta_archs" in meta else None
    if not isinstance(names, (list, tuple)) or len(names) != NASBENCH201_CELLS:
        raise InvalidTable(
            f"source: {folder}/meta.pickle.pbz2 does not list {NASBENCH201_CELLS:,} cells"
        )
    try:
        cells = [NASBench201Architecture.from_string(str(name)) for name in names]
    except NASGymError as error:
        raise InvalidTable(f"source: {folder}/meta.pickle.pbz2: {error}") from error
    columns: dict[str, list[float]] = {}
    for number in range(len(names)):
        if number % 100 == 0:
            on_progress(number, len(names))
        path = folder / f"{number:06d}.pickle.pbz2"
        by_length = load_plain(path)
        try:
            for name, value in _nats_cell(by_length).items():
                columns.setdefault(name, []).append(value)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise InvalidTable(
                f"source: {path} is none of NATS-Bench's files: {reprlib.repr(error)}"
            ) from error
    codes = [[NASBENCH201_OPERATIONS.index(label) for label in cell.operations] for cell in cells]
    return {
        "arch_str": np.array([str(name) for name in names], dtype="S"),
        "op_names": np.array(NASBENCH201_OPERATIONS),
        "edge_order": np.array([f"{source}->{target}" for source, target in EDGES]),
        "ops": np.array(codes, np.uint8),
        **{name: np.array(column, np.float32) for name, column in columns.items()},
    }


def _nats_cell(by_length: Mapping[str, Any]) -> dict[str, float]:
    """Return the columns of one cell: ``by_length`` has the keys "12" and "200"."""
    values: dict[str, float] = {}
    for dataset, (validated, validation, tested, test) in _NATS_DATASETS.items():
        for epochs in NASBENCH201_EPOCHS:
            runs, tests = (_runs(by_length[str(epochs)], name) for name in (validated, tested))
            for name, each, split in (("val", runs, validation), ("test", tests, test)):
                accuracies = [run["eval_acc1es"][f"{split}@{epochs - 1}"] for run in each]
                values[f"{dataset}_{name}_acc_{epochs}ep"] = _mean(accuracies)
        seconds = [sum(run["train_times"].values()) for run in runs]
        values[f"{dataset}_valid_train_time_s_{epochs}ep"] = _mean(seconds)
        values[f"{dataset}_params_m"] = _mean([runs[0]["params"]])
    return values


def _runs(record: Mapping[str, Any], dataset: str) -> list[Mapping[str, Any]]:
    """Return the trainings on a data set, one a seed."""
    return [record["all_results"][dataset, seed] for seed in record["dataset_seed"][dataset]]


def _mean(values: list[Any]) -> float:
    mean = sum(map(float, values)) / len(values)
    if not abs(mean) < 1e9:  # far above every percentage, second and million of the records
        raise ValueError(f"{mean} is beyond all records")
    return mean
