"""NAS-Bench-201's published files become a compact table; see `nas_gym.tables.importing`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from nas_gym.families.nasbench201.official_files import nats_bench
from nas_gym.families.nasbench201.table import (
    NASBENCH201_DATASETS,
    NASBENCH201_EPOCHS,
    nasbench201_of,
)
from nas_gym.tables.columns import read_arrays
from nas_gym.tables.importing import Arrays, OnProgress
from nas_gym.tables.published import check_best

SOURCES = "any other .npz, a folder NATS-tss-v1_0-3ffb9-simple (NATS-Bench)"
NASBENCH201_BEST = {
    ("cifar10", 200): (0.9161, 0.9437),
    ("cifar100", 200): (0.7349, 0.7351),
    ("ImageNet16-120", 200): (0.4677, 0.4731),
}
"""The best validation and test accuracy (Dong & Yang 2020, table 5), each to the last digit."""


def reads(source: Path, columns: list[str]) -> bool:
    """See `nas_gym.tables.importing.Importer`."""
    return os.path.isdir(source) or (source.suffix == ".npz" and "module_hash" not in columns)


def read(source: Path, columns: list[str], on_progress: OnProgress) -> tuple[str, Arrays]:
    """See `nas_gym.tables.importing.Importer`."""
    if source.is_dir():
        return "nasbench201.npz", nats_bench(source, on_progress)
    prefixes = NASBENCH201_DATASETS.values()
    held = [each for each in prefixes if any(name.startswith(f"{each}_") for name in columns)]
    suffix = f"_{held[0]}" if len(held) == 1 else ""
    return f"nasbench201{suffix}.npz", read_arrays(source, columns)


def check(source: Path, arrays: Mapping[str, Any]) -> None:
    """See `nas_gym.tables.importing.Importer`."""
    tables = {
        (dataset, epochs): nasbench201_of(arrays, source, dataset, epochs)
        for dataset, epochs in product(NASBENCH201_DATASETS, NASBENCH201_EPOCHS)
        if f"{NASBENCH201_DATASETS[dataset]}_val_acc_{epochs}ep" in arrays
    }
    check_best(source, tables, NASBENCH201_BEST, "cifar10_val_acc_200ep")
