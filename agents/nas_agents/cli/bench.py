"""``nas-gym bench``: agents beside each other on recorded benchmarks, under one protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import IntRange, command, option

from nas_agents.bench.settings import AGENTS, Benchmark
from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import complain, interrupted, print_json, say
from nas_agents.cli.terminal.progress import count, counting_bar
from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import replacing
from nas_gym.outside.processes import available_cpus

if TYPE_CHECKING:
    from nas_agents.bench.results import Row

DEFAULT = Benchmark
HEADS = (
    *("agent", "n", "mean ± sd", "95% interval", "p, Welch", "p, Mann-Whitney"),
    *("optimum found", "evaluations"),
)


def agents_of(given: Sequence[str]) -> dict[str, Any]:
    """Return the agents by label, as `Benchmark` takes them."""
    agents: dict[str, Any] = {}
    for text in given:
        label, equals, _ = text.partition("=")
        made = options.assignments("--agent", [text])[label] if equals else {"agent": text}
        if not isinstance(made, Mapping):
            raise InvalidSettings(
                f'--agent {label}: expected {{"agent": NAME, ARGUMENT: ...}}, got {made!r}'
            )
        if label in agents:
            raise InvalidSettings(f"--agent {label}: it is there twice; give one another label")
        if ":" in text:  # an agent of the user's own, or an object, which may name other classes
            options.find_modules_here()
        agents[label] = made
    return agents


@command()
@options.env_id()
@option(
    *("--out", "folder"),
    type=options.PATH,
    required=True,
    help="The folder of the results; searches in it are kept.",
)
@option(
    *("--agent", "agents"),
    multiple=True,
    default=AGENTS,
    callback=lambda _, __, given: agents_of(given),
    help='A name that `search --agent` takes, or LABEL={"agent": NAME, ARGUMENT: ...}.',
)
@option(*("--dataset", "datasets"), multiple=True, help="A data set of the benchmark; repeatable.")
@option(
    "--evaluations",
    type=int,
    multiple=True,
    help="A budget: networks evaluated; repeatable. Default: 150.",
)
@option(
    "--simulated-seconds",
    type=float,
    multiple=True,
    help="A budget: the recorded seconds of training; repeatable.",
)
@option(
    "--envs",
    default=DEFAULT.envs,
    help="Networks that an agent which decides step by step designs at a time.",
)
@option("--seeds", default=DEFAULT.seeds, help="Searches of each agent.")
@option("--first-seed", default=DEFAULT.first_seed, help="The first of these searches' seeds.")
@option(
    "--baseline",
    help="The agent that all others are tested against. Default: regularized-evolution where it "
    "takes part, else the first one.",
)
@option("--pay-repeats", is_flag=True, help="Count a network again each time it is asked for.")
@option(
    "--workers",
    type=IntRange(1),
    help="Processes, each with one thread; default: one for each core.",
)
@options.pairs("--set", "env_arguments", "An environment's argument.")
@options.pairs(
    *("--report-set", "report_arguments"), "An argument of the record that results are read from."
)
@option(
    *("--report-dataset", "report_datasets"),
    multiple=True,
    help="Score what was found on this data set; repeatable. Default: its own.",
)
@options.as_json
def bench(
    folder: Path,
    evaluations: Sequence[int],
    simulated_seconds: Sequence[float],
    baseline: str | None,
    workers: int | None,
    as_json: bool,
    **settings: Any,
) -> None:
    """Compare agents on a recorded benchmark, with many seeds.

    ENV is the id of a recorded environment; see `nas-gym envs`. A search sees rewards, and no test
    accuracy. Its result is the network that was best in them: its test accuracy, where that is
    recorded, else its validation accuracy; with --report-dataset on other data sets, to which it is
    transferred. Interrupt it at will: the same command goes on where it stopped, and one with more
    seeds or agents makes only what is new. The folder holds searches.jsonl, results.json,
    results.md and, with matplotlib, curves.svg.
    """
    if baseline is None:
        agents = settings["agents"]
        baseline = DEFAULT.baseline if DEFAULT.baseline in agents else next(iter(agents))
    budget = _budget(evaluations, simulated_seconds)
    benchmark = Benchmark(**settings, **budget, baseline=baseline)
    try:
        rows = _run(benchmark, folder, workers or available_cpus())
    except KeyboardInterrupt:
        interrupted("the same command goes on where it stopped")
    if as_json:
        print_json([row.to_dict() for row in rows])
    else:
        say(markdown(benchmark, rows))


def _budget(evaluations: Sequence[int], seconds: Sequence[float]) -> dict[str, Any]:
    if evaluations and seconds:
        raise InvalidSettings("--evaluations, --simulated-seconds: give one of them")
    if seconds:
        return {"budget": "simulated-seconds", "limits": tuple(map(float, seconds))}
    return {"limits": tuple(map(float, evaluations)) or DEFAULT.limits}


def _run(benchmark: Benchmark, out: Path, workers: int) -> list[Row]:
    """Make the searches, and write the results beside them."""
    from nas_agents.bench.curves import write_curves
    from nas_agents.bench.results import groups_of, rows_of
    from nas_agents.bench.running import run_benchmark

    with counting_bar("searches") as bar:
        records = run_benchmark(benchmark, out, workers, partial(count, bar))
    groups = groups_of(benchmark, records)
    rows = rows_of(benchmark, groups)
    _write(out / "results.md", markdown(benchmark, rows))
    _write(out / "results.json", json.dumps([row.to_dict() for row in rows], indent=1))
    try:
        write_curves(benchmark, groups, out / "curves.svg")
    except InvalidSettings as error:
        complain(str(error))
    return rows


def _write(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.write_text(text + "\n", encoding="utf-8")


def markdown(benchmark: Benchmark, rows: Sequence[Row]) -> str:
    """Return the rows as Markdown tables, one for each data set and budget."""
    from nas_agents.bench.results import place_of

    tables: dict[str, list[Row]] = {}
    for row in rows:
        what = "reward" if row.measure == "reward" else f"{row.measure} accuracy in percent"
        unit = benchmark.budget.replace("-", " ")
        place = place_of(row.dataset, row.reported, benchmark.env_id)
        name = f"{place}, {row.limit:,.10g} {unit}: {what}"
        tables.setdefault(name, []).append(row)
    parts = []
    for name, group in tables.items():
        lines = [_line(HEADS), "|" + "---|" * len(HEADS), *(_line(_cells(row)) for row in group)]
        parts.append("\n".join([f"{name}; p against {benchmark.baseline}", "", *lines]))
    return "\n\n".join(parts)


def _line(cells: Iterable[object]) -> str:
    escaped = (str(each).replace("|", r"\|") for each in cells)
    return f"| {' | '.join(escaped)} |"


def _cells(row: Row) -> list[str]:
    """Return a row's cells, under `HEADS`; what is not known is empty."""
    form, known = f".{4 if row.measure == 'reward' else 2}f", row.to_dict()
    mean, deviation, low, high = (
        format(each, form) for each in (row.mean, row.deviation, *row.interval)
    )
    several, mean = known["deviation"] is not None, "" if known["mean"] is None else mean

    def number(name: str, form: str) -> str:
        return "" if known[name] is None else format(known[name], form)

    return [
        *(row.agent, str(len(row.values)), f"{mean} ± {deviation}" if several else mean),
        f"{low} to {high}" if several else "",
        *(number("p_welch", ".2g"), number("p_mann_whitney", ".2g")),
        "" if row.optimum is None else f"{row.optimum} of {len(row.values)}",
        number("evaluations", ".0f"),
    ]
