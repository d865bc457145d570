"""NAS-Bench-101's record (Ying et al. 2019, https://arxiv.org/abs/1902.09635). No torch here.

Its 423,624 distinct cells were trained for 4, 12, 36 and 108 epochs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from nas_gym.families.nasbench101.architecture import NASBench101Architecture
from nas_gym.families.nasbench101.search_space import NASBench101SearchSpace, pruned_codes
from nas_gym.tables.columns import (
    Column,
    InvalidTable,
    check_columns,
    read_arrays,
    require_names,
    require_recorded,
)
from nas_gym.tables.index import Rows
from nas_gym.tables.published import IMPORT_AGAIN, find_table, published_table
from nas_gym.tables.table import Table

NASBENCH101_CELLS = 423_624
NASBENCH101_EPOCHS = (4, 12, 36, 108)
REMEMBERED = 2**20
"""Number of cells whose rows an index remembers: about 100 MB."""
LATENCY = "latency_s"
"""A column that a table may have: seconds of inference."""


class HashIndex:
    """Index by ``module_hash``; a hash takes long, so the rows of cells are remembered.

    The (n,) hashes are bytes of 32 hexadecimal digits. `InvalidTable` if two rows have the same;
    its message starts with ``where``, the file.
    """

    def __init__(self, hashes: NDArray[np.bytes_], where: str = "table") -> None:
        self.search_space = NASBench101SearchSpace()
        self.order = np.argsort(hashes)
        self.sorted = hashes[self.order]
        twice = self.sorted[1:] == self.sorted[:-1]
        if twice.any():
            raise InvalidTable(
                f"{where}: the module_hash {self.sorted[twice.argmax()].decode()} is there twice; "
                f"{IMPORT_AGAIN}"
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
    """Return the record of CIFAR-10 after one length of training: the mean of three repeats.

    Args:
        epochs: 4, 12, 36 or 108.
        path: The file that ``nas-gym table import`` made; default: ``nasbench101.npz`` in the data
            folder.

    Raises:
        InvalidTable: there is no such record, the file is not there, or it is broken.
    """
    require_recorded("epochs", epochs, NASBENCH101_EPOCHS)
    file = find_table(path, "nasbench101.npz")
    arrays = read_arrays(file, ["module_hash", *_names(epochs).values()], optional=[LATENCY])
    return nasbench101_of(arrays, file, epochs)


def _names(epochs: int) -> dict[str, str]:
    """Return the names of one record's columns, by content."""
    return {
        "accuracy": f"val_acc_{epochs}ep",
        "test": f"test_acc_{epochs}ep",
        "seconds": f"train_time_s_{epochs}ep",
        "parameters": "params",
    }


def nasbench101_of(arrays: Mapping[str, NDArray[Any]], source: Path, epochs: int) -> Table:
    """Return a record of the arrays of the file ``source``, by name; see `nasbench101_table`."""
    names, where = _names(epochs), f"table: {source}"
    require_names(where, ("module_hash", *names.values()), arrays)
    rows = (NASBENCH101_CELLS,)
    share, amount = Column("iuf", rows, highest=1), Column("iuf", rows)
    numbers = dict(zip(names.values(), (share, share, amount, amount), strict=True))
    expected = {"module_hash": Column("SU", rows), **numbers}
    if LATENCY in arrays:
        names["latency"], expected[LATENCY] = LATENCY, Column("iuf", rows, unknown=True)
    check_columns(where, arrays, expected, IMPORT_AGAIN)
    return published_table(
        f"NAS-Bench-101, {epochs} epochs",
        HashIndex(_as_bytes(where, arrays["module_hash"]), where),
        {"benchmark": "NAS-Bench-101", "epochs": epochs},
        {name: arrays[column].astype(np.float64) for name, column in names.items()},
    )


def _as_bytes(where: str, hashes: NDArray[Any]) -> NDArray[np.bytes_]:
    try:
        return hashes.astype("S32")
    except UnicodeEncodeError as error:
        raise InvalidTable(
            f"{where}: module_hash holds {str(error.object)!r}; expected 32 hexadecimal "
            f"digits; {IMPORT_AGAIN}"
        ) from error
