"""NAS-Bench-101's published files become a compact table; see `nas_gym.tables.importing`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nas_gym.families.nasbench101.official_file import nasbench101
from nas_gym.families.nasbench101.table import NASBENCH101_EPOCHS, nasbench101_of
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.importing import Arrays, OnProgress
from nas_gym.tables.published import check_best

SOURCES = "an .npz with module_hash, a .tfrecord (NAS-Bench-101)"
NASBENCH101_BEST = {108: (0.950554, 0.943176)}
"""Likewise after 108 epochs: 1 minus the errors by which github.com/automl/nas_benchmarks,
tabular_benchmarks/nas_cifar10.py, measures regret: 0.0494458 and 0.0568242."""


def reads(source: Path, columns: list[str]) -> bool:
    """See `nas_gym.tables.importing.Importer`."""
    return source.suffix == ".tfrecord" or "module_hash" in columns


def read(source: Path, columns: list[str], on_progress: OnProgress) -> tuple[str, Arrays]:
    """See `nas_gym.tables.importing.Importer`."""
    arrays = read_arrays(source, columns) if columns else nasbench101(source, on_progress)
    return "nasbench101.npz", arrays


def check(source: Path, arrays: Mapping[str, Any]) -> None:
    """See `nas_gym.tables.importing.Importer`."""
    tables = {
        epochs: nasbench101_of(arrays, source, epochs)
        for epochs in NASBENCH101_EPOCHS
        if f"val_acc_{epochs}ep" in arrays
    }
    check_best(source, tables, NASBENCH101_BEST, "val_acc_108ep")
