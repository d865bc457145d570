"""The file of a table that ``nas-gym table build`` recorded: its arrays, and how it is read.

No torch here.
"""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from nas_gym.errors import NASGymError
from nas_gym.outside.json_text import read_json_text
from nas_gym.search_spaces import SearchSpace
from nas_gym.settings import LARGEST, Seed, validated
from nas_gym.tables.columns import Column, InvalidTable, check_columns, read_arrays
from nas_gym.tables.frames import STATUSES
from nas_gym.tables.index import ChoicesIndex
from nas_gym.tables.table import Table, table_of

if TYPE_CHECKING:
    from nas_gym.store.rows import EvaluationWithTest

BUILT_VERSION = 1
"""Version of the tables that ``nas-gym table build`` writes; others are refused."""
_OF_TRAININGS = ("status", "validation_right", "test_right", "seconds")
_BUILT = ("version", "made", "row_of", *_OF_TRAININGS, "parameters", "multiply_adds")
_BUILD_AGAIN = "build it again"


@validated
def built_table(path: str | Path, search_space: SearchSpace, seed: Seed | None = None) -> Table:
    """Read what ``nas-gym table build`` recorded of a search space.

    Of each architecture, training number ``seed``, a run's seed, modulo the number of trainings is
    looked up; by default, the mean of all. Trainings that only some architectures have do not
    count. `InvalidTable` if the file is broken, of another version, or of another search space.
    """
    path = Path(path)
    where = f"table: {path}"
    arrays = read_arrays(path, _BUILT, optional=["latency"])
    if arrays["version"].shape != () or arrays["version"].tolist() != BUILT_VERSION:
        raise InvalidTable(
            f"{where} is of version {arrays['version']}; this nas_gym reads version "
            f"{BUILT_VERSION}; {_BUILD_AGAIN}"
        )
    made = _made(where, arrays["made"])
    if made.get("search_space") != search_space.name:
        raise InvalidTable(
            f"{where} was recorded in the search space {made.get('search_space')!r}; "
            f"expected {search_space.name!r}"
        )
    _check_built(where, made, arrays)
    index = ChoicesIndex(search_space, arrays["row_of"], made["rows"], where)
    whole = int((arrays["status"] != "unrecorded").all(axis=0).sum())
    seeds = slice(0, whole) if seed is None else slice(seed % whole, seed % whole + 1)
    return _built(path.stem, index, made, arrays, seeds)


def _made(where: str, text: NDArray[Any]) -> dict[str, Any]:
    """Return what a built table says of how it was made."""
    made: Any = None
    with suppress(NASGymError):
        made = read_json_text(text.item() if text.shape == () else "")
    if not isinstance(made, dict):
        raise InvalidTable(f"{where} does not say how it was made; {_BUILD_AGAIN}")
    training = made.get("training")
    trained = training if isinstance(training, dict) else {}
    least = {"rows": 1, "seeds": 1, "validation_images": 1, "test_images": 1}
    _require_integers(f"{where}: made", made, least)
    _require_integers(f"{where}: made: training", trained, {"seed": 0, "epochs": 1})
    return made


def _require_integers(where: str, facts: Mapping[str, Any], least: Mapping[str, int]) -> None:
    for name, lowest in least.items():
        value = facts.get(name)
        if type(value) is not int or not lowest <= value <= LARGEST:
            raise InvalidTable(
                f"{where}: {name} is {reprlib.repr(value)}; expected an integer of at least "
                f"{lowest}; {_BUILD_AGAIN}"
            )


def _check_built(where: str, made: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Refuse arrays of another kind than recording writes; -1 stands for an unknown number."""
    rows, seeds, epochs = made["rows"], made["seeds"], made["training"]["epochs"]
    images, tested = made["validation_images"], made["test_images"]
    columns = {
        "status": Column("U", (rows, seeds), valid=STATUSES),
        "validation_right": Column("iu", (rows, seeds, epochs), lowest=-1, highest=images),
        "test_right": Column("iu", (rows, seeds), lowest=-1, highest=tested),
        "seconds": Column("iuf", (rows, seeds)),
        "parameters": Column("iu", (rows,), lowest=-1),
        "multiply_adds": Column("iu", (rows,), lowest=-1),
    }
    if "latency" in arrays:
        columns["latency"] = Column("iuf", (rows, seeds), unknown=True)
    check_columns(where, arrays, columns, _BUILD_AGAIN)
    recorded = arrays["status"] != "unrecorded"
    if not recorded[:, 0].all() or (recorded[:, 1:] > recorded[:, :-1]).any():
        raise InvalidTable(f"{where}: status: a first training is not recorded; {_BUILD_AGAIN}")
    last = np.where(arrays["status"] == "ok", arrays["validation_right"][..., -1], 0)
    Column("iu", (rows, seeds)).check(
        f"{where}: validation_right of the last epoch, where the status is ok,", last, _BUILD_AGAIN
    )


def _built(
    name: str, index: ChoicesIndex, made: dict[str, Any], arrays: dict[str, Any], seeds: slice
) -> Table:
    """Return the table of some trainings: their mean, if none of them failed."""
    statuses = arrays["status"][:, seeds]
    first_failed = (statuses != "ok").argmax(axis=1)
    right = _counts(arrays["validation_right"][:, seeds])
    tested = _counts(arrays["test_right"][:, seeds])
    columns = {
        "status": statuses[np.arange(made["rows"]), first_failed],
        "curves": right.mean(axis=1) / made["validation_images"],
        "seconds": arrays["seconds"][:, seeds].mean(axis=1, dtype=np.float64),
        "parameters": _counts(arrays["parameters"]),
        "multiply_adds": _counts(arrays["multiply_adds"]),
        "test": tested.mean(axis=1) / made["test_images"],
    }
    if "latency" in arrays:
        columns["latency"] = arrays["latency"][:, seeds].mean(axis=1)
    epochs = made["training"]["epochs"]
    facts = {"table": name, "made": made, "epochs": epochs, "seeds": [seeds.start, seeds.stop]}
    lengths = tuple(range(1, epochs + 1))
    first = made["training"]["seed"] + seeds.start
    return table_of(name, index, facts, columns, first, lengths=lengths)


def _counts(column: NDArray[Any]) -> NDArray[np.float64]:
    """Return numbers with NaN in place of -1."""
    return np.where(column < 0, np.nan, column.astype(np.float64))


def built_arrays(
    made: Mapping[str, Any], records: list[list[EvaluationWithTest]]
) -> dict[str, NDArray[Any]]:
    """Return the arrays of a table's file, but for those of the search space.

    Args:
        made: Everything that the record depends on.
        records: What was evaluated, (n, S): n architectures, S seeds; "unrecorded" if nothing was.
    """
    epochs = made["training"]["epochs"]

    def column(value: Callable[[EvaluationWithTest], Any], dtype: Any = None) -> NDArray[Any]:
        return np.array([[value(record) for record in of_row] for of_row in records], dtype)

    def count(name: str) -> Any:
        values = column(attrgetter(name), np.float64)
        return np.where(np.isnan(values), -1, values).astype(np.int64).max(axis=1)

    def right(record: EvaluationWithTest) -> list[int]:
        curve = [round(share * made["validation_images"]) for share in record.curve]
        return curve + [-1] * (epochs - len(curve))

    def tested(record: EvaluationWithTest) -> int:
        share = record.test_accuracy
        return -1 if share is None else round(share * made["test_images"])

    arrays = {
        "version": np.array(BUILT_VERSION),
        "made": np.array(json.dumps(made, sort_keys=True)),
        "status": column(attrgetter("status")),
        "validation_right": column(right, np.int32),
        "test_right": column(tested, np.int32),
        "seconds": column(attrgetter("seconds"), np.float32),
        "parameters": count("parameters"),
        "multiply_adds": count("multiply_adds"),
    }
    latency = column(attrgetter("latency"), np.float64)  # None becomes NaN
    return arrays if np.isnan(latency).all() else {**arrays, "latency": latency}
