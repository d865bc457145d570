"""Imports published benchmarks: the authors' files become compact tables. No torch here.

Each family that has a benchmark reads its files as an `Importer`. NATS-Bench's are pickles, which
can run code when Python loads them: see `nas_gym.tables.plain_pickle`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from numpy.typing import NDArray

from nas_gym.data.loading import data_folder
from nas_gym.data.npz import array_names
from nas_gym.family import registered_families
from nas_gym.outside.json_text import short_name
from nas_gym.tables.columns import InvalidTable, write_arrays

Arrays: TypeAlias = dict[str, NDArray[Any]]
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with the number of rows that are read, and of all rows."""


class Importer(Protocol):
    """Reads the files that a benchmark's authors published; a family's module serves as one."""

    SOURCES: str
    """The sources in words, for messages."""

    def reads(self, source: Path, columns: list[str]) -> bool:
        """Return whether a source, with these columns if it is an ``.npz``, is the family's."""

    def read(self, source: Path, columns: list[str], on_progress: OnProgress) -> tuple[str, Arrays]:
        """Return the name of the compact table, and its arrays."""

    def check(self, source: Path, arrays: Mapping[str, Any]) -> None:
        """Raise `InvalidTable` for arrays that are not what was published."""


def import_table(
    source: Path, unpickle: bool = False, on_progress: OnProgress = lambda done, total: None
) -> Path:
    """Convert a published benchmark, check it, and store it in the data folder; return its path.

    ``source`` is a file or folder; ``unpickle`` says whether NATS-Bench's pickles may be read.
    `InvalidTable` if it is unknown, broken, or differs from what was published.
    """
    if os.path.isdir(source) and not unpickle:
        raise InvalidTable(
            f"source: {source} holds pickles, which are not read unless you ask for it; "
            "--unpickle reads them without running what they may contain"
        )
    columns = array_names(source, "table", InvalidTable) if source.suffix == ".npz" else []
    importers: list[Importer] = [f.part("tables") for f in registered_families() if f.tables]
    importer = next((each for each in importers if each.reads(source, columns)), None)
    if importer is None:
        raise InvalidTable(
            f"source: {short_name(source)} is none of "
            f"{' and '.join(each.SOURCES for each in importers)}; the single files .pth and "
            ".pickle.pbz2 of NAS-Bench-201 are not read: take NATS-Bench's folder"
        )
    name, arrays = importer.read(source, columns, on_progress)
    importer.check(source, arrays)
    path = data_folder() / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_arrays(path, arrays)
    except OSError as error:
        raise InvalidTable(
            f"table: {path} cannot be written ({error.strerror}); point NAS_GYM_DATA to a folder "
            "where it can"
        ) from error
    return path
