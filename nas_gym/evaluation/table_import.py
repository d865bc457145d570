"""Published benchmarks, from the files that their authors released to compact tables. No torch.

| source | is | becomes |
|---|---|---|
| ``*.npz`` with ``arch_str`` or ``ops`` | a compact NAS-Bench-201 | the same, checked |
| ``*.npz`` with ``module_hash`` | a compact NAS-Bench-101 | the same, checked |
| ``*.tfrecord`` | NAS-Bench-101 (github.com/google-research/nasbench) | ``nasbench101.npz`` |
| a folder ``NATS-tss-*-simple`` | NATS-Bench (github.com/D-X-Y/NATS-Bench) | ``nasbench201.npz`` |

NATS-Bench's files are pickles, which can run code when Python loads them. They are read by
`nas_gym.evaluation.plain_pickle`, which makes numbers, texts and containers and nothing else, and
only where the user asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from nas_gym.evaluation.datasets import data_folder
from nas_gym.evaluation.nasbench_tables import (
    NASBENCH101_EPOCHS,
    NASBENCH201_DATASETS,
    NASBENCH201_EPOCHS,
    nasbench101_of,
    nasbench201_of,
)
from nas_gym.evaluation.official_files import Arrays, OnProgress, nasbench101, nats_bench
from nas_gym.evaluation.table import Table
from nas_gym.evaluation.table_columns import InvalidTable, read_arrays

NASBENCH201_BEST = {
    ("cifar10", 200): (0.9161, 0.9437),
    ("cifar100", 200): (0.7349, 0.7351),
    ("imagenet16", 200): (0.4677, 0.4731),
}
"""The best validation and test accuracy (Dong & Yang 2020, table 5), each to the last digit."""
NASBENCH101_BEST = (0.950554, 0.943176)
"""Likewise after 108 epochs: 1 minus the errors by which github.com/automl/nas_benchmarks,
tabular_benchmarks/nas_cifar10.py, measures regret: 0.0494458 and 0.0568242."""


def import_table(
    source: Path, unpickle: bool = False, on_progress: OnProgress = lambda done, total: None
) -> Path:
    """Converts a published benchmark, checks it, and stores it in the data folder.

    Args:
        source: The file or folder.
        unpickle: Whether NATS-Bench's pickles may be read at all.
        on_progress: Called now and then.

    Returns:
        The compact table.

    Raises:
        InvalidTable: the source is none of these, is broken, or is not what was published.
    """
    if source.is_dir():
        if not unpickle:
            raise InvalidTable(
                f"source: {source} holds pickles, which are not read unless you ask for it; "
                "--unpickle reads them without running what they may contain"
            )
        name, arrays = "nasbench201.npz", nats_bench(source, on_progress)
    elif source.suffix == ".tfrecord":
        name, arrays = "nasbench101.npz", nasbench101(source, on_progress)
    elif source.suffix == ".npz":
        name, arrays = _compact(source)
    else:
        raise InvalidTable(
            f"source: {source} is none of an .npz, a .tfrecord (NAS-Bench-101), and a folder "
            "NATS-tss-v1_0-3ffb9-simple (NATS-Bench); the single files .pth and .pickle.pbz2 of "
            "NAS-Bench-201 are not read: take NATS-Bench's folder"
        )
    check = _check_nasbench101 if "module_hash" in arrays else _check_nasbench201
    check(source, arrays)
    return _store(data_folder() / name, arrays)


def _compact(source: Path) -> tuple[str, Arrays]:
    """A table's name and arrays, without what nothing reads."""
    names = _columns(source)
    if "module_hash" in names:
        return "nasbench101.npz", read_arrays(source, names)
    held = [d for d in NASBENCH201_DATASETS if any(name.startswith(f"{d}_") for name in names)]
    suffix = f"_{held[0]}" if len(held) == 1 else ""
    return f"nasbench201{suffix}.npz", read_arrays(source, names)


def _columns(path: Path) -> list[str]:
    read_arrays(path, ())  # a readable .npz?
    with np.load(path, allow_pickle=False) as loaded:
        return list(loaded.files)


def _store(path: Path, arrays: Mapping[str, Any]) -> Path:
    """Writes the arrays beside ``path``, and moves them there when they are whole."""
    part = path.with_name(path.name.replace(".npz", ".part.npz"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)
        part.replace(path)
    except OSError as error:
        raise InvalidTable(
            f"table: {path} cannot be written ({error.strerror}); point NAS_GYM_DATA to a folder "
            "where it can"
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return path


def _check_nasbench201(source: Path, arrays: Mapping[str, Any]) -> None:
    tables = {
        (dataset, epochs): nasbench201_of(arrays, source, dataset, epochs)
        for dataset in NASBENCH201_DATASETS
        for epochs in NASBENCH201_EPOCHS
        if f"{dataset}_val_acc_{epochs}ep" in arrays
    }
    if not tables:
        raise InvalidTable(f"table: {source} has no column like cifar10_val_acc_200ep")
    for record, table in tables.items():
        _require_best(source, table, NASBENCH201_BEST.get(record))


def _check_nasbench101(source: Path, arrays: Mapping[str, Any]) -> None:
    tables = {
        epochs: nasbench101_of(arrays, source, epochs)
        for epochs in NASBENCH101_EPOCHS
        if f"val_acc_{epochs}ep" in arrays
    }
    if not tables:
        raise InvalidTable(f"table: {source} has no column like val_acc_108ep")
    for epochs, table in tables.items():
        _require_best(
            source, table, NASBENCH101_BEST if epochs == max(NASBENCH101_EPOCHS) else None
        )


def _require_best(source: Path, table: Table, published: tuple[float, float] | None) -> None:
    if published is None:
        return
    for what, values, best in (
        ("validation", table.accuracy, published[0]),
        ("test", table.test, published[1]),
    ):
        digits = 4 if best == round(best, 4) else 6
        found = float(np.nanmax(values))
        if round(found, digits) != best:
            raise InvalidTable(
                f"table: {source}: {table.name}: the best {what} accuracy is {found:.6f}; {best} "
                "was published, so this is not the benchmark"
            )
