"""Scatter plots: children of a search, and their Pareto front."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from nas_gym.rendering.canvas import FAINT, WIDTH, Canvas, colour

HEIGHT, LEFT, BELOW, TOP = 260, 64, 40, 16
"""Height of a panel, and its margins, in pixels."""


def scatter(
    values: NDArray[np.float64], names: Sequence[str], on_front: NDArray[np.bool_]
) -> Image.Image:
    """Return a picture of N points, (N, K): the first value over each other one, one panel each.

    ``names`` are K names for the axes; ``on_front``, (N,) bool, the points that are marked.
    """
    canvas = Canvas(WIDTH, HEIGHT * (len(names) - 1))
    for panel in range(1, len(names)):
        top = HEIGHT * (panel - 1)
        inside = (LEFT, top + TOP, WIDTH - TOP, top + HEIGHT - BELOW)
        _axes(canvas, inside, (values[:, panel], values[:, 0]), (names[panel], names[0]))
        at = np.stack([_scaled(values[:, panel], inside[0], inside[2]),
                       _scaled(values[:, 0], inside[3], inside[1])], axis=1)  # fmt: skip
        for points, shade, size in ((at[~on_front], FAINT, 1.5), (at[on_front], colour(1), 3.0)):
            for x, y in points.tolist():
                canvas.dot((x, y), size, shade)
    return canvas.finished()


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
