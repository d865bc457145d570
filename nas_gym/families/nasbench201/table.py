"""NAS-Bench-201's records (Dong & Yang 2020, https://arxiv.org/abs/2001.00326). No torch here.

Its 15,625 cells were trained for 12 and for 200 epochs; isomorphic cells were trained apart and
have values of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.families.nasbench201.search_space import (
    EDGES,
    NASBENCH201_OPERATIONS,
    NASBench201SearchSpace,
)
from nas_gym.tables.columns import Column, InvalidTable, check_columns, read_arrays, require_names
from nas_gym.tables.published import IMPORT_AGAIN, find_table, published_table, require_recorded
from nas_gym.tables.table import ChoicesIndex, Table

NASBENCH201_CELLS = 15_625
NASBENCH201_DATASETS = ("cifar10", "cifar100", "imagenet16")
NASBENCH201_EPOCHS = (12, 200)
MOST_MILLIONS = 1_000
"""Millions of parameters far above those of any cell; larger numbers are not in millions."""


def nasbench201_table(
    dataset: str = "cifar10", epochs: int = 12, path: str | Path | None = None
) -> Table:
    """Return the record of one data set after one length of training.

    Accuracies are the mean of the recorded seeds. The seconds are those of training; the official
    interface counts 3 to 4% more, for validation. A training of 12 epochs counts as 12/200 of
    one of 200, as both were measured by the epoch.

    Args:
        dataset: One of `NASBENCH201_DATASETS`.
        epochs: 12 or 200, each with a learning rate that falls to 0 at the end.
        path: The file; default: ``nasbench201_<dataset>.npz`` or ``nasbench201.npz`` in the data
            folder.

    Raises:
        InvalidTable: there is no such record, the file is not there, or it is broken.
    """
    require_recorded("dataset", dataset, NASBENCH201_DATASETS)
    require_recorded("epochs", epochs, NASBENCH201_EPOCHS)
    file = find_table(path, f"nasbench201_{dataset}.npz", "nasbench201.npz")
    names = (*_CELLS, *_names(dataset, epochs).values())
    arrays = read_arrays(file, names, optional=[f"{dataset}_latency_s"])
    return nasbench201_of(arrays, file, dataset, epochs)


_CELLS = ("ops", "op_names", "edge_order")


def _names(dataset: str, epochs: int) -> dict[str, str]:
    """Return the names of one record's columns, by content."""
    return {
        "accuracy": f"{dataset}_val_acc_{epochs}ep",
        "test": f"{dataset}_test_acc_{epochs}ep",
        "seconds": f"{dataset}_valid_train_time_s_200ep",
        "parameters": f"{dataset}_params_m",
    }


def nasbench201_of(
    arrays: Mapping[str, NDArray[Any]], source: Path, dataset: str, epochs: int
) -> Table:
    """Return a record of the arrays of the file ``source``, by name; see `nasbench201_table`.

    Raises:
        InvalidTable: a column is missing, or broken.
    """
    names, where = _names(dataset, epochs), f"table: {source}"
    require_names(where, (*_CELLS, *names.values()), arrays)
    rows = (NASBENCH201_CELLS,)
    percent = Column("iuf", rows, highest=100, percent=True)
    numbers = (percent, percent, Column("iuf", rows), Column("iuf", rows, highest=MOST_MILLIONS))
    expected = {
        "ops": Column("iu", (*rows, len(EDGES)), highest=len(NASBENCH201_OPERATIONS) - 1),
        **dict(zip(names.values(), numbers, strict=True)),
    }
    if (latency := f"{dataset}_latency_s") in arrays:
        names["latency"], expected[latency] = latency, Column("iuf", rows, unknown=True)
    check_columns(where, arrays, expected, IMPORT_AGAIN)
    columns = {name: arrays[column].astype(np.float64) for name, column in names.items()}
    columns["accuracy"] = columns["accuracy"] / 100
    columns["test"] = columns["test"] / 100
    columns["seconds"] = columns["seconds"] * (epochs / 200)
    columns["parameters"] = np.rint(columns["parameters"] * 1e6)
    return published_table(
        f"NAS-Bench-201, {dataset}, {epochs} epochs",
        _index(where, arrays),
        {"benchmark": "NAS-Bench-201", "dataset": dataset, "epochs": epochs},
        columns,
    )


def _index(where: str, arrays: Mapping[str, NDArray[Any]]) -> ChoicesIndex:
    """Return the index of cells by the operations of their edges."""
    edges = [f"{source}->{target}" for source, target in EDGES]
    operations = [str(name) for name in arrays["op_names"].ravel()]
    order = [str(name) for name in arrays["edge_order"].ravel()]
    if sorted(order) != sorted(edges) or sorted(operations) != sorted(NASBENCH201_OPERATIONS):
        raise InvalidTable(
            f"{where}: op_names are {', '.join(operations)} and edge_order is "
            f"{', '.join(order)}; expected {', '.join(NASBENCH201_OPERATIONS)} and "
            f"{', '.join(edges)} in any order"
        )
    meaning = np.array([NASBENCH201_OPERATIONS.index(name) for name in operations])
    choices = meaning[arrays["ops"][:, [order.index(edge) for edge in edges]]]
    places = choices @ len(operations) ** np.arange(len(EDGES) - 1, -1, -1)
    row_of = np.full(NASBENCH201_CELLS, -1)
    row_of[places] = np.arange(NASBENCH201_CELLS)
    if (row_of < 0).any():
        missing = f"{np.count_nonzero(row_of < 0)} of the {NASBENCH201_CELLS:,} cells are missing"
        raise InvalidTable(f"{where}: {missing}, and others are there twice")
    return ChoicesIndex(NASBench201SearchSpace(), row_of)
