"""``nas-gym store``: a store of evaluations, listed, exported or merged."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import argument, group, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_json, print_result, print_table, say
from nas_gym.errors import InvalidSettings, choices_hint, counted, require
from nas_gym.outside.files import replacing

if TYPE_CHECKING:
    from nas_gym.store.rows import Record
    from nas_gym.store.store import Store

FORMATS = (".csv", ".jsonl")


@group(no_args_is_help=False)
def store() -> None:
    """Stores of evaluations: look into one, export it, merge two."""


@store.command()
@argument("name", metavar="STORE")
@option("--best", default=5, help="How many of the best to list.")
@options.as_json
def show(name: str, best: int, as_json: bool) -> None:
    """Count evaluations, and list the best.

    STORE is a run folder, an SQLite file, or a URL.
    """
    with _opened(name) as opened:
        require(best >= 0, f"best: expected an integer of at least 0, got {best}")
        counts, rows = opened.counts(), opened.best(best)
    total = sum(sum(by_status.values()) for by_status in counts.values())
    if as_json:
        settings = [{"fingerprint": each, "statuses": counts[each]} for each in counts]
        records = [row.to_dict() for row in rows]
        print_json({"evaluations": total, "settings": settings, "best": records})
        return
    say(f"{counted(total, 'evaluation')} in {opened.name}")
    by_settings = (
        (
            *(fingerprint, f"{sum(by_status.values()):,}"),
            ", ".join(f"{number:,} {status}" for status, number in by_status.items()),
        )
        for fingerprint, by_status in counts.items()
    )
    print_table(("fingerprint of settings", "evaluations", "statuses"), by_settings)
    metrics = sorted({row.evaluation.metric.replace("_", " ") for row in rows})
    best_by = " or ".join(metrics) or "accuracy"
    print_table((best_by, "key", "repeat", "parameters", "seconds", "run"), map(_cells, rows))


@store.command()
@argument("name", metavar="STORE")
@argument("file", type=options.PATH)
@options.as_json
def export(name: str, file: Path, as_json: bool) -> None:
    """Write every evaluation, in the order of time, one a line.

    STORE is a run folder, an SQLite file, or a URL; FILE is the .csv or .jsonl to write.
    """
    if file.suffix not in FORMATS:
        hint = choices_hint(file.suffix, FORMATS)
        raise InvalidSettings(f"file: {file} has no format that is known; {hint}")
    try:
        with (
            _opened(name) as opened,
            replacing(file) as part,
            part.open("w", encoding="utf-8", newline="") as out,
        ):
            number = _write(opened, out, file.suffix)
    except OSError as error:
        raise InvalidSettings(f"file: {file} cannot be written: {error.strerror}") from error
    facts = {"file": str(file), "evaluations": number}
    print_result(facts, f"{counted(number, 'evaluation')}: {file}", as_json)


@store.command()
@argument("source")
@argument("target")
@options.as_json
def merge(source: str, target: str, as_json: bool) -> None:
    """Copy the evaluations of one store into another.

    SOURCE is the store to copy from; TARGET is the one to copy into, and is made if need be. What
    it has stays as it is.
    """
    with _opened(source) as from_, _opened(target, create=True) as into:
        added, total = into.merge(from_), into.size()
    facts = {"store": into.name, "added": added, "evaluations": total}
    says = f"{counted(added, 'evaluation')} added; {total:,} in {into.name}"
    print_result(facts, says, as_json)


def _cells(record: Record) -> tuple[str, ...]:
    """Return a row of one evaluation."""
    from nas_gym.evaluation import shown

    evaluation = record.evaluation
    accuracy = shown(evaluation.accuracy, evaluation.metric)
    parameters = "" if evaluation.parameters is None else f"{evaluation.parameters:,}"
    seconds = f"{evaluation.seconds:.1f}"
    return accuracy, record.key[:8], str(record.repeat), parameters, seconds, record.run


def _opened(name: str, create: bool = False) -> Store:
    """Open a store; a run folder stands for its own."""
    from nas_agents.runs.reading import has_run
    from nas_agents.runs.run_folder import DATABASE
    from nas_agents.runs.settings import load_record
    from nas_gym.store.store import Store

    run = Path(os.path.expanduser(name))
    if not os.path.isdir(run):
        return Store(name, create=create)
    own = load_record(run)[0].store if has_run(run) else None
    remote = own is not None and "://" in own and not own.startswith("sqlite:")
    require(not remote, f"store: the run {name} keeps its evaluations in {own}; name that instead")
    return Store(own or run / DATABASE, create=create)


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
        nested = {name: json.dumps(data[name]) for name in ("curve", "architecture")}
        writer.writerow({**data, **nested}.values())
    return number
