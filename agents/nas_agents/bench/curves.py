"""Curves of a benchmark as SVG: the mean over searches, and a band of its 95% interval.

Matplotlib draws them: it is the one plotting library that most of this field's readers have, writes
SVG without a browser or a display, and the same file from the same data.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from nas_agents.bench.results import Floats, Group, mean_of, place_of
from nas_agents.bench.settings import Benchmark
from nas_gym.errors import InvalidSettings
from nas_gym.outside.files import replacing

POINTS = 60
"""Places on the horizontal axis."""
START = 0.1
"""Share of the budget from which on curves are drawn: before, all are random."""


def write_curves(benchmark: Benchmark, groups: Sequence[Group], path: Path) -> None:
    """Write a picture with one panel for each data set, and each that results are scored on."""
    try:
        import matplotlib as mpl  # noqa: PLC0415
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise InvalidSettings('curves: pip install "nas-gym[plot]" draws them') from error
    each = len(benchmark.agents)
    panels = [groups[first : first + each] for first in range(0, len(groups), each)]
    figure = Figure(figsize=(5.5 * len(panels), 4), layout="constrained")
    for axes, here in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        axes.set_title(place_of(here[0].search.dataset, here[0].reported.dataset, benchmark.env_id))
        axes.set_xlabel(benchmark.budget.replace("-", " "))
        measure = here[0].measure
        axes.set_ylabel("reward" if measure == "reward" else f"{measure} accuracy, %")
        spent = np.linspace(START, 1, POINTS) * max(benchmark.limits)
        for group in here:
            means, low, high = _curve(group, spent)
            [line] = axes.plot(spent, means, label=group.agent)
            axes.fill_between(spent, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
        axes.grid(visible=True, alpha=0.3)
    figure.axes[0].legend(frameon=False, fontsize="small", loc="lower right")
    # A fixed salt and no date: the same results are the same file.
    with mpl.rc_context({"svg.hashsalt": "nas_gym"}), replacing(path) as part:
        figure.savefig(part, format="svg", metadata={"Date": None})


def _curve(group: Group, spent: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the means at expenses, (P,), and the ends of their 95% intervals."""
    rows = [mean_of(group.values(each)) for each in spent.tolist()]
    means = np.array([mean for mean, _, _ in rows])
    ends = np.array([interval for _, _, interval in rows])
    return means, ends[:, 0], ends[:, 1]
