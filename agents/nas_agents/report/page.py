"""The report's page: one HTML file that opens without a network."""

from __future__ import annotations

import base64
import io
import json
import math
from collections import Counter
from typing import Any

import numpy as np
from bokeh.embed import json_item
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader

from nas_agents.report import figures, heat_maps
from nas_agents.report.children import Run, band_of, rewards_rank
from nas_agents.report.importance import distinct, effects_of, importance_of, standing_out
from nas_agents.report.worst_images import read_worst_images
from nas_agents.runs.front import label_of
from nas_agents.runs.reading import EPISODES, reading_line
from nas_gym import Architecture
from nas_gym.errors import counted
from nas_gym.evaluation import shown
from nas_gym.evaluation.evaluation import COSTS
from nas_gym.rendering import draw

BEST = 20
"""Architectures in the table, of all runs."""
FAILURES = 20
"""Messages of failures, of each run."""
CLASSES = 50
"""Most classes of which each has its accuracy in the table of the final model."""
NAMES = {
    "majority": "always the most frequent class",
    "calibration_error": "expected calibration error",
}
"""Names of shares in that table."""
MAJORITY_OF_WORDS = "by the frequencies of words alone"
"""Name of the majority of a language model there."""
PICTURE = 700
"""Pixels of a drawing's longer side, at most."""


def report_of(runs: list[Run]) -> str:
    """Return the page of runs, as HTML."""
    runs_with_children = [run for run in runs if run.lines]
    plots: dict[str, Any] = {}
    if runs_with_children:
        band = band_of(runs_with_children)
        plots["accuracy"] = figures.accuracy_figure(runs_with_children, band)
        plots["learning"] = figures.learning_figure(runs_with_children)
        plots |= {f"cost {n}": f for n, f in figures.cost_figures(runs_with_children).items()}
    sections = [_section(run, number, plots) for number, run in enumerate(runs)]
    drawings = {name: (json_item(each), _height(each)) for name, each in plots.items()}
    templates = Environment(
        loader=PackageLoader("nas_agents.report", ""), autoescape=True, trim_blocks=True
    )
    templates.filters |= {
        "score": shown,
        "quantity": _quantity,
        "counted": counted,
        "label": label_of,
    }
    templates.policies["json.dumps_kwargs"] = {}  # Bokeh reads models in their order
    return templates.get_template("page.html").render(
        title=", ".join(run.name for run in runs),
        bokeh=Resources("inline", components=["bokeh", "bokeh-widgets"]).render_js(),
        drawings=drawings,
        runs=sections,
        best=_best(runs_with_children),
        by_reward=rewards_rank(runs_with_children),
        costs=[cost for cost in COSTS if any(cost in run.costs for run in runs)],
        several=len(runs) > 1,
        cut="accuracy" in plots and math.isfinite(plots["accuracy"].y_range.start),
    )


def _section(run: Run, number: int, plots: dict[str, Any]) -> dict[str, Any]:
    """Return what the template needs of one run; figures are added to ``plots``."""
    made: dict[str, Any] = {"run": run, "summary": run.summary, "effects": [], "predicted": None}
    figures_of_run = ("preferences", "choices", "importance", "confusion")
    names = {each: f"{each} {number}" for each in figures_of_run}
    if run.lines:
        plots[names["preferences"]] = heat_maps.preferences_figure(run)
        plots[names["choices"]] = heat_maps.choices_figure(run)
        rows, accuracies = distinct(run.choices[run.trained], run.accuracies[run.trained])
        made["different"] = len(rows)
        importance = importance_of(rows, accuracies, list(run.decisions))
        if importance is not None:
            made["predicted"] = importance.predicted
            plots[names["importance"]] = figures.importance_figure(importance)
        effects = effects_of(rows, accuracies, run.decisions)
        made |= {"effects": standing_out(effects), "looked_at": len(effects)}
    final = (run.summary or {}).get("final") or {}
    counts = _confusion(final.get("confusion"))
    if counts is not None:
        classes = _classes(run, final, len(counts))
        plots[names["confusion"]] = heat_maps.confusion_figure(classes, counts)
    worst = read_worst_images(run.path) if final else []
    more = {"names": names, "final": final, "worst": worst, "facts": _facts(run)}
    return {**made, **more, "measured": _measured(final), **_failures(run)}


def _measured(final: dict[str, Any]) -> list[tuple[str, str]]:
    """Return names and texts of what was measured of the final model, each class included."""
    classes: Any = final.get("class_accuracies")
    of_class = classes if isinstance(classes, dict) and len(classes) <= CLASSES else {}
    metric = final.get("metric", "accuracy")
    other = metric != "accuracy"
    names = {"majority": MAJORITY_OF_WORDS, "test_value": f"test {metric}"} if other else NAMES
    values = {names.get(name, name.replace("_", " ")): final[name] for name in final}
    values |= {f"test accuracy of {name}": value for name, value in of_class.items()}
    hidden = ("metric", "test accuracy") if other else ("metric",)
    return [
        (name, _text_of(name, value, metric))
        for name, value in values.items()
        if isinstance(value, int | float | str) and name not in hidden
    ]


def _text_of(name: str, value: Any, metric: str) -> str:
    """Return a score as its metric is read, and anything else as it is."""
    is_score = name in (*NAMES.values(), MAJORITY_OF_WORDS) or "accuracy" in name
    return shown(value, metric) if is_score and isinstance(value, float) else _quantity(value)


def _height(plot: Any) -> int:
    """Return the pixels of a figure, or of a column of parts."""
    parts = getattr(plot, "children", None)
    return sum(map(_height, parts)) if parts else getattr(plot, "height", None) or 50


def _quantity(value: Any) -> str:
    """Return a number or a text as the page shows it."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value or "")


def _confusion(counts: Any) -> Any:
    """Return a square matrix of counts; None if it is none."""
    try:
        matrix = np.array(counts, dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        return None
    return matrix if matrix.ndim == 2 and 0 < matrix.shape[0] == matrix.shape[1] else None


def _classes(run: Run, final: dict[str, Any], number: int) -> list[str]:
    """Return different names of classes: the data's, or their numbers."""
    data = run.record.get("data")
    named = data.get("classes") if isinstance(data, dict) else None
    names = [str(name) for name in named] if isinstance(named, dict) else []
    return names if len(set(names)) == number else [str(each) for each in range(number)]


def _failures(run: Run) -> dict[str, Any]:
    """Return how children failed, by status, and with which messages."""
    failed = [line for line in run.episodes if line["status"] != "ok"]
    statuses = Counter(line["status"] for line in failed)
    messages = Counter((line["status"], line["message"][:300]) for line in failed)
    return {"statuses": dict(statuses), "messages": messages.most_common(FAILURES)}


def _facts(run: Run) -> dict[str, Any]:
    """Return the settings by name, those with many parts as JSON."""
    hidden = ("decisions",)
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in run.record.items()
        if name not in hidden and value not in (None, {}, [])
    }


def _best(runs: list[Run]) -> list[dict[str, Any]]:
    """Return the best different architectures of all runs, the best first; see `rewards_rank`."""
    worth = "rewards" if rewards_rank(runs) else "accuracies"
    trained = [(run, index) for run in runs for index in np.flatnonzero(run.trained).tolist()]
    ranked = sorted(trained, key=lambda each: -getattr(each[0], worth)[each[1]])
    rows: dict[str, dict[str, Any]] = {}
    for run, index in ranked:
        line, number = run.lines[index], int(run.numbers[index])
        with reading_line(run.path / EPISODES, number):
            architecture = Architecture.from_json(line["architecture"])
        if architecture.key not in rows:
            row = {"run": run.name, "number": number, "accuracy": run.accuracies[index]}
            row["score"] = shown(row["accuracy"], run.metric)
            row |= {"line": line, "key": architecture.key, "picture": _picture(architecture)}
            rows[architecture.key] = row
        if len(rows) == BEST:
            break
    return list(rows.values())


def _picture(architecture: Architecture) -> str:
    """Return the drawing of an architecture as the text of a PNG in base 64."""
    picture = draw(architecture)
    picture.thumbnail((PICTURE, PICTURE))
    file = io.BytesIO()
    picture.quantize(32).save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()
