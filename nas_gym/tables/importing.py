"""Published benchmarks, from the files that their authors released to compact tables. No torch.

Each family that has a benchmark says which files are its own, reads them, and checks what it read;
see `Importer`. NATS-Bench's files are pickles, which can run code when Python loads them. They are
read by `nas_gym.tables.plain_pickle`, which makes numbers, texts and containers and nothing else,
and only where the user asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nas_gym.data.loading import data_folder
from nas_gym.family import registered_families
from nas_gym.tables.columns import InvalidTable, read_arrays

Arrays: TypeAlias = dict[str, NDArray[Any]]
OnProgress: TypeAlias = Callable[[int, int], None]
"""Called with how many rows are read, of how many."""


class Importer(Protocol):
    """How a family reads what its benchmark's authors published; a module serves as one."""

    SOURCES: str
    """The sources in words, for messages."""

    def reads(self, source: Path, columns: list[str]) -> bool:
        """Tell from the name, and from the columns of an ``.npz``, if a source is its own."""

    def read(self, source: Path, columns: list[str], on_progress: OnProgress) -> tuple[str, Arrays]:
        """Return the name of the compact table, and its arrays."""

    def check(self, source: Path, arrays: Mapping[str, Any]) -> None:
        """Raise `InvalidTable` for arrays that are not what was published."""


def _importers() -> list[Importer]:
    return [family.part("tables") for family in registered_families() if family.tables is not None]


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
    if source.is_dir() and not unpickle:
        raise InvalidTable(
            f"source: {source} holds pickles, which are not read unless you ask for it; "
            "--unpickle reads them without running what they may contain"
        )
    columns = _columns(source) if source.suffix == ".npz" else []
    importers = _importers()
    importer = next((each for each in importers if each.reads(source, columns)), None)
    if importer is None:
        raise InvalidTable(
            f"source: {source} is none of {' and '.join(each.SOURCES for each in importers)}; the "
            "single files .pth and .pickle.pbz2 of NAS-Bench-201 are not read: take NATS-Bench's "
            "folder"
        )
    name, arrays = importer.read(source, columns, on_progress)
    importer.check(source, arrays)
    return _store(data_folder() / name, arrays)


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
