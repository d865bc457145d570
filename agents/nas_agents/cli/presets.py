"""``nas-gym presets``: the papers' searches, and estimates of their costs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click import command, option

from nas_agents.cli.terminal import options
from nas_agents.cli.terminal.output import print_json, print_table, say

if TYPE_CHECKING:
    from nas_agents.catalogue.presets import Preset, Rates

MEASURED = Path("gpu.json")
"""What ``examples/benchmarks/gpu.sh`` writes."""


@command()
@option("--rate", type=float, help="Multiply-adds a second in training, for the estimates.")
@option(
    "--rates",
    type=options.PATH,
    help="Measured rates, of examples/benchmarks/gpu.sh; default: gpu.json, if here.",
)
@options.as_json
def presets(rate: float | None, rates: Path | None, as_json: bool) -> None:
    """List the papers' searches, and estimate what they cost.

    A child's training is estimated as three forward passes of each image in each epoch, and as the
    launches of its kernels, by measured rates or guessed ones; the larger counts.
    """
    from nas_agents.catalogue.presets import PRESETS

    chosen, source = _rates(rate, rates)
    rows = [{**_row(name, preset, chosen), **source} for name, preset in PRESETS.items()]
    if as_json:
        print_json(rows)
        return
    for row in rows:
        cost = row["published_cost"]
        say(f"{row['preset']}: {row['about']}" + (f" (published: {cost})" if cost else ""))
    heads = (
        *("preset", "children", "multiply-adds", "arithmetic*", "launches*", "a child*", "in all*"),
        "measured",
    )
    print_table(heads, map(_cells, rows))
    say(
        f"* {source['rates']}: 3 forward passes an image and epoch, at {chosen.multiply_adds:.3g} "
        f"multiply-adds a second; {chosen.seconds_a_call * 1e6:.3g} microseconds a kernel call, "
        "where they were counted; the larger counts. Small networks, such as ENAS's, reach a small "
        "part of an accelerator's rate"
    )


def _rates(rate: float | None, file: Path | None) -> tuple[Rates, dict[str, str]]:
    """Return the rates, and what they are."""
    from nas_agents.catalogue.presets import Rates, measured_rates
    from nas_gym.errors import require

    chosen, source = Rates(), "guesses"
    if file is not None or MEASURED.is_file():
        chosen, hardware = measured_rates(file or MEASURED)
        source = f"measured on {hardware}"
    if rate is not None:
        require(1 <= rate < 1e30, f"rate: expected a number from 1 to below 1e+30, got {rate!r}")
        chosen, source = replace(chosen, multiply_adds=rate), "by the given rate"
    return chosen, {"rates": source}


def _row(name: str, preset: Preset, rates: Rates) -> dict[str, Any]:
    """Return a preset's facts, as ``--json`` prints them."""
    arithmetic = preset.child_seconds(rates.multiply_adds)
    launches = preset.launch_seconds(rates.seconds_a_call)
    seconds = arithmetic and max(arithmetic, launches or 0.0)
    return {
        "preset": name,
        "about": preset.about,
        "children": preset.episodes,
        "at_a_time": preset.envs,
        "published_at_a_time": preset.workers,
        "multiply_adds": preset.multiply_adds,
        "arithmetic_seconds": arithmetic,
        "launch_seconds": launches,
        "estimated_child_seconds": seconds,
        "estimated_device_days": seconds and preset.episodes * seconds / 86_400,
        "published_cost": preset.published_cost,
        "measured_seconds": preset.measured_seconds,
    }


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    """Return a preset's row of the table."""
    child, days = row["estimated_child_seconds"], row["estimated_device_days"]
    multiply_adds, measured = row["multiply_adds"], row["measured_seconds"]
    arithmetic, launches = row["arithmetic_seconds"], row["launch_seconds"]
    times = (
        *("" if each is None else f"{_rounded(each)} s" for each in (arithmetic, launches)),
        "" if child is None else f"{_rounded(child)} s",
        "" if days is None else f"{_rounded(days)} device days",
        "" if measured is None else f"{measured:.0f} s",
    )
    return row["preset"], f"{row['children']:,}", f"{multiply_adds:.2e}", *times


def _rounded(number: float) -> str:
    """Return two digits of a small number, all but the fraction of a large one."""
    return f"{number:.2g}" if number < 10 else f"{number:,.0f}"
