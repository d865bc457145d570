"""``nas-gym store``: a store of evaluations, listed, exported or merged."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import starmap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nas_agents.cli.common import Json, print_json, print_table, say
from nas_gym.errors import InvalidSettings, choices_hint, require

if TYPE_CHECKING:
    from nas_gym.store.store import Record, Store

app = typer.Typer(help="Stores of evaluations: look into one, export it.")
FORMATS = (".csv", ".jsonl")
Name = Annotated[
    str, typer.Argument(metavar="STORE", help="A run folder, an SQLite file, or an URL.")
]


@app.command()
def show(
    store: Name,
    best: Annotated[int, typer.Option(help="How many of the best to list.")] = 5,
    as_json: Json = False,
) -> None:
    """Count evaluations by settings and status, and list those of the highest accuracy."""
    with _opened(store) as opened:
        require(best >= 0, f"best: expected an integer of at least 0, got {best}")
        counts, rows = opened.counts(), opened.best(best)
    total = sum(sum(by_status.values()) for by_status in counts.values())
    if as_json:
        settings = [{"fingerprint": each, "statuses": counts[each]} for each in counts]
        records = [row.to_dict() for row in rows]
        print_json({"evaluations": total, "settings": settings, "best": records})
        return
    say(f"{total:,} evaluations in {opened.name}")
    by_settings = starmap(_count_cells, counts.items())
    print_table(("fingerprint of settings", "evaluations", "statuses"), by_settings)
    print_table(("accuracy", "key", "parameters", "seconds", "run"), map(_record_cells, rows))


@app.command()
def export(
    store: Name,
    file: Annotated[Path, typer.Argument(help="The .csv or .jsonl to write.")],
    as_json: Json = False,
) -> None:
    """Write every evaluation, in the order of time, one a line."""
    if file.suffix not in FORMATS:
        hint = choices_hint(file.suffix, FORMATS)
        raise InvalidSettings(f"file: {file} has no format that is known; {hint}")
    part = file.with_name(f"{file.name}.part")
    try:
        with _opened(store) as opened, part.open("w", encoding="utf-8", newline="") as out:
            number = _write(opened, out, file.suffix)
        part.replace(file)
    except OSError as error:
        raise InvalidSettings(f"file: {file} cannot be written: {error.strerror}") from error
    finally:
        with suppress(OSError):
            part.unlink()
    if as_json:
        print_json({"file": str(file), "evaluations": number})
    else:
        say(f"{number:,} evaluations: {file}")


@app.command()
def merge(
    source: Annotated[str, typer.Argument(help="The store to copy from.")],
    target: Annotated[str, typer.Argument(help="The store to copy into; made if need be.")],
    as_json: Json = False,
) -> None:
    """Copy the evaluations of one store into another. Those that it has stay as they are."""
    from nas_gym.store.store import Store

    with _opened(source) as from_, Store(_url(target)) as into:
        added, total = into.merge(from_), into.size()
    if as_json:
        print_json({"store": into.name, "added": added, "evaluations": total})
    else:
        say(f"{added:,} evaluations added; {total:,} in {into.name}")


def _count_cells(fingerprint: str, counts: Mapping[str, int]) -> tuple[str, str, str]:
    """Return a row of the counts by status of one fingerprint."""
    statuses = ", ".join(f"{number:,} {status}" for status, number in counts.items())
    return fingerprint, f"{sum(counts.values()):,}", statuses


def _record_cells(record: Record) -> tuple[str, ...]:
    """Return a row of one evaluation."""
    evaluation = record.evaluation
    parameters = "" if evaluation.parameters is None else f"{evaluation.parameters:,}"
    seconds = f"{evaluation.seconds:.1f}"
    return f"{evaluation.accuracy:.2%}", record.key[:8], parameters, seconds, record.run


def _url(name: str) -> str:
    """Return a store's URL or file; a run folder stands for the store in it."""
    return str(Path(name) / "evaluations.db") if Path(name).is_dir() else name


@contextmanager
def _opened(name: str) -> Iterator[Store]:
    """Open a store that exists."""
    from nas_gym.store.store import Store

    with Store(_url(name), create=False) as store:
        yield store


def _write(store: Store, out: Any, suffix: str) -> int:
    """Write all records; return their number."""
    number, writer = 0, csv.writer(out)
    for number, record in enumerate(store.records(), start=1):
        data = record.to_dict()
        if suffix == ".jsonl":
            out.write(json.dumps(data) + "\n")
            continue
        if number == 1:
            writer.writerow(data)
        nested = {"curve": data["curve"], "architecture": data["architecture"]}
        writer.writerow({**data, **{name: json.dumps(nested[name]) for name in nested}}.values())
    return number
