"""The report's curves, points and bars, drawn by Bokeh (https://bokeh.org)."""

from __future__ import annotations

from typing import Any

import numpy as np
from bokeh.core.properties import value
from bokeh.layouts import column
from bokeh.models import CDSView, ColumnDataSource, HoverTool, IndexFilter, NumeralTickFormatter
from bokeh.palettes import Category10_10
from bokeh.plotting import figure
from numpy.typing import NDArray

from nas_agents.report.children import Run
from nas_agents.report.importance import Importance
from nas_agents.runs.comparison import Band
from nas_agents.runs.front import UNITS, label_of
from nas_agents.runs.progress import COMPARED
from nas_gym.errors import counted
from nas_gym.rendering.scatter import axis_start

WIDTH, HEIGHT = 900, 360
TOOLS = "pan,wheel_zoom,box_zoom,reset,save"
DRAWN = 40
"""Decisions drawn of the most important ones."""


def plot(**more: Any) -> Any:
    """Return an empty figure."""
    drawn = figure(**{"width": WIDTH, "height": HEIGHT, "tools": TOOLS, **more})
    drawn.toolbar.logo = None
    return drawn


def hide_on_click(drawn: Any, place: str) -> None:
    """Let a click in the legend hide a line."""
    drawn.legend.click_policy, drawn.legend.location = "hide", place
    drawn.legend.background_fill_alpha = 0.6


def in_percent(drawn: Any, run: Run) -> None:
    """Write the axis of accuracies in percent."""
    if run.metric == "accuracy":
        drawn.yaxis.formatter = NumeralTickFormatter(format="0.[0]%")
        drawn.y_range.default_span = 0.1  # where all are the same


def without_few(drawn: Any, accuracies: NDArray[np.float64]) -> float:
    """Start the axis of accuracies above the worst few, if `axis_start` does.

    Returns where they are marked instead; minus infinity if none is left out.
    """
    start = axis_start(accuracies) if len(accuracies) else -np.inf
    if not len(accuracies) or start == accuracies.min():
        return -np.inf
    most = float(accuracies.max())
    drawn.y_range.start = start - 0.1 * (most - start)
    return start - 0.08 * (most - start)


def mark_below(drawn: Any, mark: float, points: Any, x: str, y: str) -> list[Any]:
    """Mark points below an axis by triangles on it, if there are any; return both, for tips."""
    if np.isinf(mark):
        return [points]
    source, glyph = points.data_source, points.glyph
    below = np.flatnonzero(source.data[y] < mark).tolist()
    view = CDSView(filter=IndexFilter(indices=below))
    triangles = drawn.scatter(
        x, value(mark), source=source, view=view, marker="inverted_triangle", size=8,
        fill_color=glyph.fill_color, line_color=glyph.line_color, alpha=0.4,
    )  # fmt: skip
    points.js_link("visible", triangles, "visible")
    return [points, triangles]


def colour_of(number: int) -> str:
    """Return the colour of a run."""
    return str(Category10_10[number % 10])


def score_name(run: Run) -> str:
    """Return the name of the axis of accuracies."""
    return "validation accuracy" if run.metric == "accuracy" else f"score of {run.metric}"


def accuracy_figure(runs: list[Run], band: tuple[Band, str] | None) -> Any:
    """Return all children, the best so far, the mean of the last ten, and random search's best."""
    drawn = plot(x_axis_label="evaluations", y_axis_label=score_name(runs[0]))
    if band is not None:
        (numbers, mean, low, high), where = band
        drawn.varea(numbers, low, high, color="#999999", alpha=0.25, legend_label=where)
        drawn.line(numbers, mean, color="#666666", line_dash="dashed", legend_label=where)
    mark = without_few(drawn, np.concatenate([run.accuracies for run in runs]))
    for number, run in enumerate(runs):
        colour, accuracies = colour_of(number), np.where(run.trained, run.accuracies, 0.0)
        counts = np.arange(1, len(accuracies) + 1)
        sums = np.cumsum(np.concatenate([[0.0], run.accuracies]))
        first = np.maximum(counts - COMPARED, 0)
        source = ColumnDataSource(
            {
                "number": run.numbers,
                "evaluations": run.paid,
                "accuracy": run.accuracies,
                "best": np.maximum.accumulate(accuracies),
                "recent": (sums[counts] - sums[first]) / (counts - first),
                "status": [line["status"] for line in run.lines],
                **run.costs,
            }
        )
        points = drawn.scatter(
            *("evaluations", "accuracy"), source=source, size=5, alpha=0.4, color=colour,
            name=f"children_{number}", legend_label=f"{run.name}: children",
        )  # fmt: skip
        lines = {"source": source, "color": colour, "line_width": 2}
        drawn.step(
            *("evaluations", "best"), mode="after", legend_label=f"{run.name}: best", **lines
        )
        lines |= {"line_width": 1, "line_dash": "dotted"}
        drawn.line(*("evaluations", "recent"), legend_label=f"{run.name}: last {COMPARED}", **lines)
        shown = ("number", "evaluations", "accuracy", "best", "recent", "status", *run.costs)
        tips = [(label_of(name), f"@{name}") for name in shown]
        found = mark_below(drawn, mark, points, "evaluations", "accuracy")
        drawn.add_tools(HoverTool(renderers=found, tooltips=tips))
    hide_on_click(drawn, "left")
    drawn.add_layout(drawn.legend[0], "below")
    in_percent(drawn, runs[0])
    drawn.height += 26 * (1 + len(runs) * 3)
    return drawn


def learning_figure(runs: list[Run]) -> Any:
    """Return the agents' mean reward by update, and below it the entropy.

    An agent without updates has the mean reward of its last ten children, or of all while there are
    fewer. Where no entropy is logged, it is that of the choices among the last children.
    """
    rewards = plot(height=260, y_axis_label="mean reward")
    entropies = plot(height=260, x_axis_label="children", y_axis_label="entropy (nats)")
    entropies.x_range = rewards.x_range
    for number, run in enumerate(runs):
        for drawn, (at, (kind, values)) in ((rewards, _rewards(run)), (entropies, _entropies(run))):
            look = {"color": colour_of(number), "legend_label": f"{run.name}, {kind}"}
            drawn.line(at, values, line_width=2, **look)
            drawn.scatter(at, values, **look)  # a single value is no line
    for each, place in ((rewards, "bottom_right"), (entropies, "top_right")):
        each.add_tools(HoverTool(tooltips=[("children", "$x{0}"), ("value", "$y")]))
        hide_on_click(each, place)
    return column(rewards, entropies)


def _rewards(run: Run) -> tuple[list[int], tuple[str, Any]]:
    """Return numbers of children, of what the rewards are means, and the means there."""
    if run.updates:
        means = [each["reward"] for each in run.updates]
        return [each["children"] for each in run.updates], ("by update", means)
    lasts = [run.rewards[max(0, moment - COMPARED) : moment] for moment in run.moments]
    return run.evaluations, (f"last {COMPARED} children", [float(last.mean()) for last in lasts])


def _entropies(run: Run) -> tuple[list[int], tuple[str, Any]]:
    """Return numbers of children, of what the entropy is, and the entropies there."""
    logged = [each for each in run.updates if each["entropy"] is not None]
    if logged:
        entropies = [each["entropy"] for each in logged]
        return [each["children"] for each in logged], ("of the policy", entropies)
    steps = range(len(run.decisions))
    means = np.mean([_entropy(run.shares(step)) for step in steps], axis=0)
    last = counted(run.moments[0], "child")
    return run.evaluations, (f"of the choices of the last {last}", means)


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the entropies of M rows of shares, (M, k), as (M,)."""
    logs = np.log(np.where(shares > 0, shares, 1.0))
    means: NDArray[np.float64] = -(shares * logs).sum(axis=1)
    return means


def cost_figures(runs: list[Run]) -> dict[str, Any]:
    """Return accuracy against each cost, with the front of each run, by the cost's name.

    The scale of costs is logarithmic, unless one is 0.
    """
    figures = {}
    for cost in dict.fromkeys(name for run in runs for name in run.costs):
        columns = [run.costs[cost][run.trained] for run in runs if cost in run.costs]
        scale = "linear" if any((column <= 0).any() for column in columns) else "log"
        labels = {"x_axis_label": label_of(cost), "y_axis_label": score_name(runs[0])}
        drawn = plot(**labels, x_axis_type=scale)
        having = [(number, run) for number, run in enumerate(runs) if cost in run.costs]
        mark = without_few(drawn, np.concatenate([r.accuracies[r.trained] for _, r in having]))
        for number, run in having:
            _add_costs(drawn, run, cost, colour_of(number), mark)
        hide_on_click(drawn, "bottom_right")
        form = "0.[0000]" if cost in UNITS else "0,0"
        drawn.xaxis.formatter = NumeralTickFormatter(format=form)
        in_percent(drawn, runs[0])
        figures[cost] = drawn
    return figures


def _add_costs(drawn: Any, run: Run, cost: str, colour: str, mark: float) -> None:
    """Draw a run's children by a cost, and their front; see `without_few`."""
    places = np.flatnonzero(run.trained & ~np.isnan(run.costs[cost]))
    x, y = run.costs[cost][places], run.accuracies[places]
    source = ColumnDataSource({"x": x, "y": y, "number": run.numbers[places]})
    look = {"color": colour, "legend_label": run.name}
    points = drawn.scatter("x", "y", source=source, size=6, alpha=0.4, **look)
    front = front_of(x, y)
    drawn.step(x[front], y[front], mode="after", line_width=2, **look)
    tips = [("child", "@number"), (label_of(cost), "@x"), ("accuracy", "@y")]
    drawn.add_tools(HoverTool(renderers=mark_below(drawn, mark, points, "x", "y"), tooltips=tips))


def front_of(costs: NDArray[np.float64], accuracies: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the indices of points that no other beats in both, by rising cost."""
    order = np.lexsort((-accuracies, costs))
    best = np.maximum.accumulate(np.concatenate([[-np.inf], accuracies[order]]))
    return order[accuracies[order] > best[:-1]]


def importance_figure(importance: Importance) -> Any:
    """Return the importance of decisions as bars, with their standard errors."""
    rows = dict(list(importance.decisions.items())[:DRAWN])
    names, values = list(rows), np.array(list(rows.values()))
    drawn = plot(
        y_range=names[::-1], height=90 + 20 * max(4, len(names)),
        x_axis_label="drop of the explained share of variance when shuffled",
    )  # fmt: skip
    mean, error = values.T
    source = ColumnDataSource(
        {"name": names, "mean": mean, "low": mean - error, "high": mean + error, "error": error}
    )
    bars = drawn.hbar(y="name", right="mean", height=0.7, source=source)
    drawn.segment("low", "name", "high", "name", source=source, color="black")
    tips = [("decision", "@name"), ("importance", "@mean ± @error")]
    drawn.add_tools(HoverTool(renderers=[bars], tooltips=tips))
    return drawn
