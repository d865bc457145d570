"""The report's heat maps: shares of choices over time, and the confusion matrix."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.layouts import column
from bokeh.models import ColumnDataSource, CustomJS, HoverTool, LinearColorMapper
from bokeh.models.widgets import Select
from bokeh.palettes import Viridis256
from numpy.typing import NDArray

from nas_agents.report.children import Run
from nas_agents.report.figures import plot

PICK = """
const rows = shares[select.value], names = labels[select.value]
range.factors = names.slice().reverse()
source.data = {
    x: rows.flatMap(() => columns.x),
    width: rows.flatMap(() => columns.width),
    moment: rows.flatMap(() => columns.moment),
    y: rows.flatMap((row, number) => row.map(() => names[number])),
    share: rows.flat(),
}"""
"""Shows another decision's choices, in JavaScript."""


def preferences_figure(run: Run) -> Any:
    """Return at each decision, over time, the share of the choice that is chosen most."""
    names = list(run.decisions)
    title = "share of the choice made most often (hover: which one)"
    drawn = _heat([("decision", "@y"), ("choice", "@label")], names, title)
    rows: dict[str, list[Any]] = {"y": [], "label": [], "share": []}
    for step, (name, labels) in enumerate(run.decisions.items()):
        shares = run.shares(step)
        rows["y"] += [name] * len(run.moments)
        rows["label"] += [labels[choice] for choice in shares.argmax(axis=1)]
        rows["share"] += shares.max(axis=1).round(3).tolist()
    columns = {name: values * len(names) for name, values in _columns(run).items()}
    _add_rectangles(drawn, ColumnDataSource({**columns, **rows}))
    return drawn


def choices_figure(run: Run) -> Any:
    """Return the share of each choice over time at the decision that is picked in a list."""
    shares = {
        name: run.shares(step).T.round(3).tolist()  # k lists of M numbers
        for step, name in enumerate(run.decisions)
    }
    first = next(iter(run.decisions))
    source = ColumnDataSource()
    drawn = _heat([("choice", "@y")], run.decisions[first], "share of each choice")
    drawn.height = 90 + 22 * max(map(len, run.decisions.values()))
    _add_rectangles(drawn, source)
    select = Select(
        title="Decision", value=first, options=list[str | tuple[Any, str]](run.decisions)
    )
    models = {"source": source, "range": drawn.y_range, "select": select}
    columns = _columns(run)
    data: dict[str, Any] = {"shares": shares, "labels": run.decisions, "columns": columns}
    select.js_on_change("value", CustomJS(args={**models, **data}, code=PICK))
    source.data = {
        **{name: values * len(shares[first]) for name, values in columns.items()},
        "y": np.repeat(run.decisions[first], len(run.evaluations)).tolist(),
        "share": np.ravel(shares[first]).tolist(),
    }
    return column(select, drawn)


def _heat(tips: list[tuple[str, str]], rows: list[str], title: str) -> Any:
    """Return an empty heat map of shares over numbers of children."""
    height = 90 + 20 * max(4, len(rows))
    drawn = plot(y_range=rows[::-1], x_axis_label="children", height=height, title=title)
    tips = [("children up to", "@moment"), *tips, ("share", "@share{0%}")]
    drawn.add_tools(HoverTool(tooltips=tips))
    return drawn


def _columns(run: Run) -> dict[str, list[Any]]:
    """Return the moments of a run, and centres and widths of columns from each to the next."""
    at = run.evaluations
    steps = np.diff(at).tolist()
    widths = [steps[0] if steps else 1, *steps]  # moments are not evenly spaced
    centres = [moment - width / 2 for moment, width in zip(at, widths, strict=True)]
    return {"moment": at, "x": centres, "width": widths}


def _add_rectangles(drawn: Any, source: ColumnDataSource) -> None:
    drawn.rect("x", "y", "width", 1, source=source, fill_color=_by_share(), line_color=None)


def confusion_figure(classes: list[str], counts: NDArray[np.int64]) -> Any:
    """Return the confusion matrix: classes by predicted classes, (C, C)."""
    number = len(classes)
    rows = counts.sum(axis=1, keepdims=True)
    source = ColumnDataSource(
        {
            "actual": np.repeat(classes, number).tolist(),
            "predicted": classes * number,
            "count": counts.ravel(),
            "share": (counts / np.maximum(rows, 1)).ravel(),
        }
    )
    side = max(400, min(900, 160 + 30 * number))
    drawn = plot(
        x_range=classes, y_range=classes[::-1], width=side, height=side,
        x_axis_label="predicted class", y_axis_label="class",
    )  # fmt: skip
    drawn.rect("predicted", "actual", 1, 1, source=source, fill_color=_by_share(), line_color=None)
    drawn.xaxis.major_label_orientation = 1.0
    tips = [("class", "@actual"), ("predicted", "@predicted")]
    tips += [("images", "@count"), ("share", "@share{0%}")]
    drawn.add_tools(HoverTool(tooltips=tips))
    return drawn


def _by_share() -> dict[str, Any]:
    """Return the colours of shares, from dark to bright."""
    return {
        "field": "share",
        "transform": LinearColorMapper(palette=list(Viridis256), low=0.0, high=1.0),
    }
