"""The tables of NAS-Bench-201 and NAS-Bench-101, from compact ``.npz`` files. No torch here.

NAS-Bench-201 (Dong & Yang 2020, https://arxiv.org/abs/2001.00326) trained its 15,625 cells for 12
and for 200 epochs; isomorphic cells were trained apart and have values of their own.
NAS-Bench-101 (Ying et al. 2019, https://arxiv.org/abs/1902.09635) trained its 423,624 distinct
cells for 4, 12, 36 and 108 epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.errors import choices_hint
from nas_gym.evaluation.datasets import data_folder
from nas_gym.evaluation.table import (
    NOT_RECORDED,
    ChoicesIndex,
    RowIndex,
    Rows,
    Table,
    with_not_recorded,
)
from nas_gym.evaluation.table_columns import (
    Column,
    InvalidTable,
    check_columns,
    read_arrays,
    require_names,
)
from nas_gym.search_spaces import (
    NASBench101Architecture,
    NASBench101SearchSpace,
    NASBench201SearchSpace,
)
from nas_gym.search_spaces.nasbench101 import pruned_codes
from nas_gym.search_spaces.nasbench201 import EDGES, NASBENCH201_OPERATIONS

NASBENCH201_CELLS = 15_625
NASBENCH201_DATASETS = ("cifar10", "cifar100", "imagenet16")
NASBENCH201_EPOCHS = (12, 200)
NASBENCH101_CELLS = 423_624
NASBENCH101_EPOCHS = (4, 12, 36, 108)
MOST_MILLIONS = 1_000
"""Of parameters of a cell of NAS-Bench-201: far above the largest, so more are no millions."""
REMEMBERED = 2**20
"""How many cells of NAS-Bench-101 an index keeps the rows of: about 100 MB."""


def nasbench201_table(
    dataset: str = "cifar10", epochs: int = 12, path: str | Path | None = None
) -> Table:
    """NAS-Bench-201's record of one data set after one length of training.

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
    _require_one_of("dataset", dataset, NASBENCH201_DATASETS)
    _require_one_of("epochs", epochs, NASBENCH201_EPOCHS)
    file = _find(path, f"nasbench201_{dataset}.npz", "nasbench201.npz")
    arrays = read_arrays(file, (*_CELLS, *_nasbench201_names(dataset, epochs).values()))
    return nasbench201_of(arrays, file, dataset, epochs)


_CELLS = ("ops", "op_names", "edge_order")


def _nasbench201_names(dataset: str, epochs: int) -> dict[str, str]:
    """Of the columns of one record, by what is in them."""
    return {
        "accuracy": f"{dataset}_val_acc_{epochs}ep",
        "test": f"{dataset}_test_acc_{epochs}ep",
        "seconds": f"{dataset}_valid_train_time_s_200ep",
        "parameters": f"{dataset}_params_m",
    }


def nasbench201_of(
    arrays: Mapping[str, NDArray[Any]], source: Path, dataset: str, epochs: int
) -> Table:
    """A record of NAS-Bench-201, of arrays that are read already; see `nasbench201_table`.

    Args:
        arrays: The columns of a compact table, by name.
        source: Where they are from, for an error's message.
        dataset: One of `NASBENCH201_DATASETS`.
        epochs: 12 or 200.

    Raises:
        InvalidTable: a column is missing, or broken.
    """
    names = _nasbench201_names(dataset, epochs)
    require_names(f"table: {source}", (*_CELLS, *names.values()), arrays)
    rows = (NASBENCH201_CELLS,)
    percent = Column("iuf", rows, highest=100, percent=True)
    expected = {
        "ops": Column("iu", (*rows, len(EDGES)), highest=len(NASBENCH201_OPERATIONS) - 1),
        names["accuracy"]: percent,
        names["test"]: percent,
        names["seconds"]: Column("iuf", rows),
        names["parameters"]: Column("iuf", rows, highest=MOST_MILLIONS),
    }
    check_columns(f"table: {source}", arrays, expected, _IMPORT_AGAIN)
    columns = {name: arrays[column].astype(np.float64) for name, column in names.items()}
    return _table(
        f"NAS-Bench-201, {dataset}, {epochs} epochs",
        _nasbench201_index(source, arrays),
        {"benchmark": "NAS-Bench-201", "dataset": dataset, "epochs": epochs},
        {
            "accuracy": columns["accuracy"] / 100,
            "test": columns["test"] / 100,
            "seconds": columns["seconds"] * (epochs / 200),
            "parameters": np.rint(columns["parameters"] * 1e6),
        },
    )


def _nasbench201_index(path: Path, arrays: Mapping[str, NDArray[Any]]) -> ChoicesIndex:
    """Where the cell of each sequence of choices is, by the operations of its edges."""
    edges = [f"{source}->{target}" for source, target in EDGES]
    operations = [str(name) for name in arrays["op_names"].ravel()]
    order = [str(name) for name in arrays["edge_order"].ravel()]
    if sorted(order) != sorted(edges) or sorted(operations) != sorted(NASBENCH201_OPERATIONS):
        raise InvalidTable(
            f"table: {path}: op_names are {', '.join(operations)} and edge_order is "
            f"{', '.join(order)}; expected {', '.join(NASBENCH201_OPERATIONS)} and "
            f"{', '.join(edges)} in any order"
        )
    meaning = np.array([NASBENCH201_OPERATIONS.index(name) for name in operations])
    choices = meaning[arrays["ops"][:, [order.index(edge) for edge in edges]]]
    places = choices @ len(operations) ** np.arange(len(EDGES) - 1, -1, -1)
    row_of = np.full(NASBENCH201_CELLS, -1)
    row_of[places] = np.arange(NASBENCH201_CELLS)
    if (row_of < 0).any():
        raise InvalidTable(
            f"table: {path}: {np.count_nonzero(row_of < 0)} of the {NASBENCH201_CELLS:,} cells are "
            "missing, and others are there twice"
        )
    return ChoicesIndex(NASBench201SearchSpace(), row_of)


class HashIndex:
    """The index of NAS-Bench-101, which knows a cell by its ``module_hash``.

    A hash takes long; so the rows of cells that were looked up before are remembered.

    Args:
        hashes: (n,) the hash of each row, as bytes of 32 hexadecimal digits.
        where: The start of an error's message, which names the file.

    Raises:
        InvalidTable: a hash is there twice.
    """

    def __init__(self, hashes: NDArray[np.bytes_], where: str = "table") -> None:
        self.search_space = NASBench101SearchSpace()
        self.order = np.argsort(hashes)
        self.sorted = hashes[self.order]
        twice = self.sorted[1:] == self.sorted[:-1]
        if twice.any():
            raise InvalidTable(
                f"{where}: the module_hash {self.sorted[twice.argmax()].decode()} is there twice; "
                f"{_IMPORT_AGAIN}"
            )
        self._known: dict[int, int] = {}  # the row by the pruned cell's code

    def rows(self, choices: ArrayLike) -> Rows:
        sequences = np.asarray(choices, dtype=np.int64)
        codes = pruned_codes(sequences).tolist()
        if len(self._known) > REMEMBERED:
            self._known.clear()
        for code, sequence in zip(codes, sequences, strict=True):
            if code not in self._known:
                self._known[code] = self._row(self.search_space.decode(sequence))
        return np.array([self._known[code] for code in codes], dtype=np.int64)

    def _row(self, cell: NASBench101Architecture) -> int:
        wanted = np.array(cell.module_hash, dtype=self.sorted.dtype)
        place = int(np.searchsorted(self.sorted, wanted))
        found = place < len(self.sorted) and self.sorted[place] == wanted
        return int(self.order[place]) if found else len(self.sorted)


def nasbench101_table(epochs: int = 108, path: str | Path | None = None) -> Table:
    """NAS-Bench-101's record of CIFAR-10 after one length of training: the mean of three repeats.

    Args:
        epochs: 4, 12, 36 or 108.
        path: The file that ``nas-gym table import`` made; default: ``nasbench101.npz`` in the data
            folder.

    Raises:
        InvalidTable: there is no such record, the file is not there, or it is broken.
    """
    _require_one_of("epochs", epochs, NASBENCH101_EPOCHS)
    file = _find(path, "nasbench101.npz")
    arrays = read_arrays(file, ("module_hash", *_nasbench101_names(epochs).values()))
    return nasbench101_of(arrays, file, epochs)


def _nasbench101_names(epochs: int) -> dict[str, str]:
    """Of the columns of one record, by what is in them."""
    return {
        "accuracy": f"val_acc_{epochs}ep",
        "test": f"test_acc_{epochs}ep",
        "seconds": f"train_time_s_{epochs}ep",
        "parameters": "params",
    }


def nasbench101_of(arrays: Mapping[str, NDArray[Any]], source: Path, epochs: int) -> Table:
    """A record of NAS-Bench-101, of arrays that are read already; see `nasbench101_table`.

    Args:
        arrays: The columns of a compact table, by name.
        source: Where they are from, for an error's message.
        epochs: 4, 12, 36 or 108.

    Raises:
        InvalidTable: a column is missing, or broken.
    """
    names = _nasbench101_names(epochs)
    require_names(f"table: {source}", ("module_hash", *names.values()), arrays)
    rows = (NASBENCH101_CELLS,)
    expected = {
        "module_hash": Column("SU", rows),
        names["accuracy"]: Column("iuf", rows, highest=1),
        names["test"]: Column("iuf", rows, highest=1),
        names["seconds"]: Column("iuf", rows),
        names["parameters"]: Column("iuf", rows),
    }
    check_columns(f"table: {source}", arrays, expected, _IMPORT_AGAIN)
    return _table(
        f"NAS-Bench-101, {epochs} epochs",
        HashIndex(_as_bytes(source, arrays["module_hash"]), f"table: {source}"),
        {"benchmark": "NAS-Bench-101", "epochs": epochs},
        {name: arrays[column].astype(np.float64) for name, column in names.items()},
    )


def _as_bytes(path: Path, hashes: NDArray[Any]) -> NDArray[np.bytes_]:
    try:
        return hashes.astype("S32")
    except UnicodeEncodeError as error:
        raise InvalidTable(
            f"table: {path}: module_hash holds {str(error.object)!r}; expected 32 hexadecimal "
            f"digits; {_IMPORT_AGAIN}"
        ) from error


def _table(
    name: str,
    index: RowIndex,
    facts: Mapping[str, Any],
    columns: Mapping[str, NDArray[np.float64]],
) -> Table:
    rows = len(columns["accuracy"])
    return Table(
        name=name,
        index=index,
        facts=facts,
        status=with_not_recorded(np.full(rows, "ok"), NOT_RECORDED),
        curves=with_not_recorded(columns["accuracy"][:, None], np.nan),
        seconds=with_not_recorded(columns["seconds"], 0.0),
        parameters=with_not_recorded(columns["parameters"], np.nan),
        multiply_adds=np.full(rows + 1, np.nan),
        test=with_not_recorded(columns["test"], np.nan),
    )


_IMPORT_AGAIN = (
    "it is not what was published; convert the published files with `nas-gym table import`"
)


def _require_one_of(name: str, value: object, valid: tuple[object, ...]) -> None:
    if value not in valid:
        hint = choices_hint(value, [str(option) for option in valid])
        raise InvalidTable(f"{name}: nothing is recorded for {value!r}; {hint}")


def _find(path: str | Path | None, *names: str) -> Path:
    """The given file, or the first of the names that is in the data folder."""
    if path is not None:
        return Path(path).expanduser()
    folder = data_folder()
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise InvalidTable(
        f"table: {' and '.join(names)} are not in {folder}; make one with `nas-gym table import`, "
        "or point NAS_GYM_DATA to the folder where it is"
    )
