"""``nas-gym store``: what is in a store of evaluations."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from nas_agents.cli.common import Json, one_line_errors, print_json
from nas_gym.errors import InvalidSettings, choices_hint, require_integer

if TYPE_CHECKING:
    from nas_gym.store.store import Store

app = typer.Typer(help="Stores of evaluations: look into one, export it.", no_args_is_help=True)
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
    with one_line_errors(), _opened(store) as opened:
        require_integer("best", best, least=0)
        counts, rows = opened.counts(), opened.best(best)
    total = sum(sum(by_status.values()) for by_status in counts.values())
    if as_json:
        settings = [{"fingerprint": each, "statuses": counts[each]} for each in counts]
        records = [row.to_dict() for row in rows]
        print_json({"evaluations": total, "settings": settings, "best": records})
        return
    table = Table("fingerprint of settings", "evaluations", "statuses", box=None)
    for fingerprint, by_status in counts.items():
        statuses = ", ".join(f"{number:,} {status}" for status, number in by_status.items())
        table.add_row(fingerprint, f"{sum(by_status.values()):,}", statuses)
    listed = Table("accuracy", "key", "parameters", "seconds", "run", box=None)
    for row in rows:
        evaluation = row.evaluation
        parameters = "" if evaluation.parameters is None else f"{evaluation.parameters:,}"
        seconds = f"{evaluation.seconds:.1f}"
        listed.add_row(f"{evaluation.accuracy:.2%}", row.key[:8], parameters, seconds, row.run)
    console = Console(highlight=False)
    console.print(f"{total:,} evaluations in {opened.name}", soft_wrap=True)
    console.print(table, listed, sep="\n", soft_wrap=True)


@app.command()
def export(
    store: Name,
    file: Annotated[Path, typer.Argument(help="The .csv or .jsonl to write.")],
    as_json: Json = False,
) -> None:
    """Write every evaluation, in the order of time, one a line."""
    with one_line_errors():
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
            part.unlink(missing_ok=True)
    if as_json:
        print_json({"file": str(file), "evaluations": number})
    else:
        print(f"{number:,} evaluations: {file}")


@app.command()
def merge(
    source: Annotated[str, typer.Argument(help="The store to copy from.")],
    target: Annotated[str, typer.Argument(help="The store to copy into; made if need be.")],
    as_json: Json = False,
) -> None:
    """Copy into one store what another one has. What is there already stays as it is."""
    from nas_gym.store.store import Store

    with one_line_errors(), _opened(source) as from_, Store(_url(target)) as into:
        added, total = into.merge(from_), into.size()
    if as_json:
        print_json({"store": into.name, "added": added, "evaluations": total})
    else:
        print(f"{added:,} evaluations added; {total:,} in {into.name}")


def _url(name: str) -> str:
    """A store's URL or file, where a run folder stands for the store in it."""
    return str(Path(name) / "evaluations.db") if Path(name).is_dir() else name


@contextmanager
def _opened(name: str) -> Iterator[Store]:
    """A store that is there already."""
    from nas_gym.store.store import Store

    with Store(_url(name), create=False) as store:
        yield store


def _write(store: Store, out: Any, suffix: str) -> int:
    """Writes all records; says how many."""
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
