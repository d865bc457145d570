"""Scatter plots: children of a search, and their Pareto front."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas_gym.rendering.canvas import FAINT, WIDTH, Canvas, colour

HEIGHT, LEFT, BELOW, TOP = 260, 64, 40, 16
"""Height of a panel, and its margins, in pixels."""
FEW = 0.05
"""Share of points, the worst, that an axis may leave out."""


def scatter(
    values: NDArray[np.float64],
    names: Sequence[str],
    on_front: NDArray[np.bool_],
    without_few: bool = False,
) -> Image.Image:
    """Return a picture of N points, (N, K): the first value over each other one, one panel each.

    ``names`` are K names for the axes; ``on_front``, (N,) bool, the points that are marked. With
    ``without_few``, the first value's axis starts at `axis_start`, and points below are triangles
    at its lower end.
    """
    start = axis_start(values[:, 0]) if without_few else -np.inf
    below, above = values[:, 0] < start, np.maximum(values[:, 0], start)
    canvas = Canvas(WIDTH, HEIGHT * (len(names) - 1))
    for panel in range(1, len(names)):
        top = HEIGHT * (panel - 1)
        inside = (LEFT, top + TOP, WIDTH - TOP, top + HEIGHT - BELOW)
        _axes(canvas, inside, (values[:, panel], above), (names[panel], names[0]))
        at = np.stack([_scaled(values[:, panel], inside[0], inside[2]),
                       _scaled(above, inside[3], inside[1])], axis=1)  # fmt: skip
        for marked, shade, size in ((~on_front, FAINT, 1.5), (on_front, colour(1), 3.0)):
            for x, y in at[marked & ~below].tolist():
                canvas.dot((x, y), size, shade)
            for x, y in at[marked & below].tolist():
                canvas.triangle((x, y), size + 2, shade)
    return canvas.finished()


def axis_start(values: NDArray[np.float64]) -> float:
    """Return where an axis of N values, (N,), starts: at the least of them.

    If the worst few would take most of the axis, it starts at the least of the others instead.
    """
    few: list[float] = np.sort(values)[: math.ceil(FEW * (len(values) - 1)) + 1].tolist()
    least, most = few[0], float(values.max())
    return next((value for value in few if 0 < most - value < value - least), least)


def _axes(
    canvas: Canvas,
    inside: tuple[float, float, float, float],
    values: tuple[NDArray[np.float64], NDArray[np.float64]],
    names: tuple[str, str],
) -> None:
    """Draw the frame of a panel, the names of its axes, and their least and largest values."""
    x0, y0, x1, y1 = inside
    for start, end in (((x0, y0), (x0, y1)), ((x0, y1), (x1, y1))):
        canvas.line(start, end, FAINT)
    across, up = ([_short(end) for end in (each.min(), each.max())] for each in values)
    canvas.text((x0, y1 + 12), across[0])
    canvas.text((x1, y1 + 12), across[1], anchor="rm")
    canvas.text(((x0 + x1) / 2, y1 + 26), names[0])
    canvas.text((x0 - 6, y1), up[0], anchor="rm")
    canvas.text((x0 - 6, y0), up[1], anchor="rm")
    canvas.text((x0 + 6, y0 - 4), names[1], anchor="lm")


def _short(number: float) -> str:
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.4g}"


def _scaled(values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Return positions between two pixels."""
    spread = float(np.ptp(values)) or 1.0
    positions: NDArray[np.float64] = low + (high - low) * (values - values.min()) / spread
    return positions
