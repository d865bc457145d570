"""Parameters and multiply-adds of published architectures: published, ours, and the difference.

    python examples/reproduction/costs.py

Nothing is trained; every network is built on torch's meta device. What was published, and where,
stands in `published_costs.csv`, with the network's settings where they are not the defaults. A
figure such as "3.3M" agrees when ours rounds to it. Where the papers' own released code gives an
exact count, ours must equal it to the last parameter. Every miss is listed below the table with its
reason.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from nas_agents.cli.terminal.output import print_table
from nas_gym import published
from nas_gym.networks import Cost, ImageShape, default_settings, measure_cost

PUBLISHED = Path(__file__).with_name("published_costs.csv")
UNITS = {"K": 10**3, "M": 10**6, "B": 10**9}
Row = dict[str, str]


def rows() -> list[Row]:
    """Return the published figures, a mapping of the file's columns each."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="|", quoting=csv.QUOTE_NONE))


def cost(row: Row) -> Cost:
    """Return what ours has; images of 32 pixels are CIFAR-10's, larger ones ImageNet's."""
    architecture, pixels = published(row["architecture"]), int(row["pixels"])
    shape = ImageShape(3, pixels, pixels, classes=10 if pixels == 32 else 1000)
    settings = replace(default_settings(architecture), **json.loads(row["settings"] or "{}"))
    return measure_cost(architecture, shape, settings)


def agrees(printed: str, ours: int) -> bool:
    """Return True if ours equals an exact count, or rounds to a printed figure."""
    if not printed or printed.isdigit():
        return printed in ("", str(ours))
    figure = Decimal(printed[:-1])
    return (Decimal(ours) / UNITS[printed[-1]]).quantize(figure) == figure


def difference(printed: str, ours: int) -> str:
    """Ours beside the published figure: relative to a printed one."""
    if not printed:
        return ""
    if printed.isdigit():
        return "exact" if int(printed) == ours else f"{ours - int(printed):+,}"
    return f"{float(Decimal(ours) / (Decimal(printed[:-1]) * UNITS[printed[-1]]) - 1):+.2%}"


def text(printed: str) -> str:
    """Format a published figure as it is printed."""
    return f"{int(printed):,}" if printed.isdigit() else printed


def misses(table: list[tuple[str, ...]], published_rows: list[Row]) -> Iterator[str]:
    """Fill the table, and yield a line for each row whose figures differ."""
    for row in published_rows:
        ours = cost(row)
        figures = {"parameters": ours.parameters, "multiply-adds": ours.multiply_adds}
        entries = [
            (text(row[n]), f"{own:,}", difference(row[n], own)) for n, own in figures.items()
        ]
        table.append((row["network"], row["published by"], *entries[0], *entries[1]))
        if not all(agrees(row[name], own) for name, own in figures.items()):
            reason = row["reason of a difference"] or "NOT EXPLAINED"
            yield f"{row['network']}, {row['published by']}: {reason}"


def main() -> None:
    """Print the table, then the misses."""
    table: list[tuple[str, ...]] = []
    published_rows = rows()
    missed = list(misses(table, published_rows))
    figures = ("parameters", "ours", "", "multiply-adds", "ours", "")
    print_table(("network", "published by", *figures), table)
    architectures = len({row["architecture"] for row in published_rows})
    number, agreed = len(published_rows), len(published_rows) - len(missed)
    print(f"\n{number} rows of {architectures} architectures, {agreed} agree. The others:")
    for line in missed:
        print(f"- {line}")


if __name__ == "__main__":
    main()
