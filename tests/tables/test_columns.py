from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from nas_gym.tables.columns import Column, InvalidTable, read_arrays


class _Malice:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a pickle was loaded",)


def test_a_table_is_never_unpickled(tmp_path: Path) -> None:
    plain, within = tmp_path / "a.npz", tmp_path / "b.npz"
    plain.write_bytes(pickle.dumps(_Malice()))
    np.savez(within, ops=np.array([_Malice()], dtype=object))
    for path in (plain, within):
        with pytest.raises(InvalidTable, match="a pickle, which could run code and is never loade"):
            read_arrays(path, ("ops",))


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut short", b"no table"])
def test_what_is_no_npz_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    with pytest.raises(InvalidTable, match="cannot be read"):
        read_arrays(path, ("ops",))


def test_a_single_array_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros(3))
    with pytest.raises(InvalidTable, match="holds one array"):
        read_arrays(path, ("ops",))


@pytest.mark.parametrize(
    ("column", "array"),
    [
        (Column("iu", (2,), lowest=-1), np.array([-1, 7])),
        (Column("iu", (2,), lowest=-1, highest=255), np.array([0, 255], np.uint8)),
        (Column("iuf", (2,), unknown=True), np.array([np.nan, 0.5], np.float32)),
        (Column("iuf", (1, 2), highest=100, percent=True), np.array([[0.5, 1.5]])),
        (Column("U", (2,), valid=("ok", "crashed")), np.array(["ok", "crashed"])),
        (Column("SU", (1,)), np.array([b"a"])),
    ],
)
def test_what_is_as_expected_passes(column: Column, array: NDArray[Any]) -> None:
    column.check("table: a.npz: b", array, "build it again")


@pytest.mark.parametrize(
    ("column", "array", "message"),
    [
        (
            Column("iuf", (2, 2), highest=1),
            np.array([[0.5, 1.5], [-1, 0]]),
            "b[0, 1] is 1.5 (2 values are wrong); expected numbers from 0 to 1; build it again",
        ),
        (
            Column("iuf", (2,), unknown=True),
            np.array([np.nan, np.inf]),
            "b[1] is inf (1 values are wrong); expected numbers from 0 on, and no infinity; "
            "build it again",
        ),
        (
            Column("iu", (2,)),
            np.array([True, False]),
            "b is bool of shape (2,); expected whole numbers of shape (2,); build it again",
        ),
        (
            Column("iuf", (1,), highest=100, percent=True),
            np.array([0.25]),
            "b has 0.25 as its largest value: these are fractions; expected percent; "
            "multiply them by 100",
        ),
    ],
)
def test_what_is_not_is_refused_with_place_value_and_remedy(
    column: Column, array: NDArray[Any], message: str
) -> None:
    with pytest.raises(InvalidTable) as caught:
        column.check("table: a.npz: b", array, "build it again")
    assert str(caught.value) == f"table: a.npz: {message}"
