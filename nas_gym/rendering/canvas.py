"""The canvas that pictures are drawn on, and the colours of their lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH = 600
"""The usual width of a picture, in pixels."""
MARGIN = 12
Point = tuple[float, float]
INK, FAINT = "#222222", "#8a8a8a"
_TEXT_SIZE, _SMALLEST_TEXT, _MOST_CHARACTERS = 12, 8, 300
_SCALE = 2  # drawn larger, then reduced: smooth lines
_PAPER, _FILL = "#ffffff", "#f4f1e8"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a4fb5", "#4d4d4d")


def colour(state: int) -> str:
    """Return the colour of all lines that leave state number ``state``."""
    return _COLOURS[state % len(_COLOURS)]


class Canvas:
    """A picture in whose coordinates one unit is one pixel of the finished one."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._image = Image.new("RGB", (width * _SCALE, height * _SCALE), _PAPER)
        self._draw = ImageDraw.Draw(self._image)
        # Lines go below everything else, whenever they are drawn.
        self._above = Image.new("RGBA", self._image.size, (0, 0, 0, 0))
        self._draw_above = ImageDraw.Draw(self._above)

    def finished(self) -> Image.Image:
        self._image.paste(self._above, (0, 0), self._above)
        return self._image.reduce(_SCALE)

    def text(self, at: Point, text: str, size: int = 12, anchor: str = "mm") -> None:
        place = (at[0] * _SCALE, at[1] * _SCALE)
        self._draw_above.multiline_text(place, text, INK, font(size * _SCALE), anchor, 3, "center")

    def box(
        self, box: tuple[float, ...], text: str, outline: str = FAINT, radius: float = 5
    ) -> None:
        self._draw_above.rounded_rectangle(
            _scaled(box), radius * _SCALE, _FILL, outline, width=int(1.5 * _SCALE)
        )
        self.label(box, text)

    def label(self, box: tuple[float, ...], text: str) -> None:
        """Write a text into the middle of a box, smaller or shortened where it is too long."""
        x0, y0, x1, y1 = box
        self.text(((x0 + x1) / 2, (y0 + y1) / 2), *fitted(text, x1 - x0 - 2))

    def line(self, start: Point, end: Point, colour: str) -> None:
        self._draw.line([*_scaled(start), *_scaled(end)], colour, width=int(1.5 * _SCALE))

    def dot(self, at: Point, radius: float, colour: str) -> None:
        (x, y), r = at, radius
        self._draw_above.ellipse(_scaled((x - r, y - r, x + r, y + r)), colour)

    def triangle(self, at: Point, radius: float, colour: str) -> None:
        """Draw a triangle that points downwards."""
        (x, y), r = at, radius
        corners = _scaled((x - r, y - r, x + r, y - r, x, y + r))
        self._draw_above.polygon(corners, colour)

    def rise(self, start: Point, end: Point, colour: str, arrow: bool = False) -> None:
        """Draw a curve that leaves ``start`` and arrives at ``end`` going upwards."""
        middle = (start[1] + end[1]) / 2
        self.curve((start, (start[0], middle), (end[0], middle), end), colour, arrow)

    def bend(self, start: Point, corner: Point, end: Point, colour: str) -> None:
        """Draw a quarter of a circle, or nearly so, instead of a corner."""
        first, second = (
            (x + 0.55 * (corner[0] - x), y + 0.55 * (corner[1] - y)) for x, y in (start, end)
        )
        self.curve((start, first, second, end), colour)

    def curve(self, controls: Sequence[Point], colour: str, arrow: bool = False) -> None:
        """Draw the Bezier curve of four control points, if wanted with an arrow at its end."""
        t = np.linspace(0, 1, 33)[:, None]
        weights = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
        points = sum(w * np.array(point) for w, point in zip(weights, controls, strict=True))
        line = [_scaled(point) for point in np.asarray(points).tolist()]
        self._draw.line(line, colour, width=int(1.5 * _SCALE), joint="curve")
        if arrow:
            tip = np.array(controls[3])
            along = tip - np.array(controls[2])
            along = along / max(1e-9, float(np.hypot(*along)))
            across = np.array((-along[1], along[0]))
            corners = (tip, tip - 7 * along + 3.5 * across, tip - 7 * along - 3.5 * across)
            self._draw.polygon([_scaled(corner.tolist()) for corner in corners], colour)


@lru_cache(maxsize=10_000)
def fitted(text: str, width: float) -> tuple[str, int]:
    """Return a text and the size of its font, so that each line is at most ``width`` wide."""
    for size in range(_TEXT_SIZE, _SMALLEST_TEXT - 1, -1):
        if all(_length(line, size) <= width for line in text.splitlines()):
            return text, size
    return "\n".join(_shortened(line, width) for line in text.splitlines()), _SMALLEST_TEXT


def _shortened(line: str, width: float) -> str:
    """Return a line, or as much of its beginning as fits, and dots."""
    line = line[:_MOST_CHARACTERS]
    if _length(line, _SMALLEST_TEXT) <= width:
        return line
    while line and _length(f"{line}...", _SMALLEST_TEXT) > width:
        line = line[:-1]
    return f"{line}..."


def _length(line: str, size: int) -> float:
    """Return the width of a line's first characters, in pixels."""
    return font(size * _SCALE).getlength(line[:_MOST_CHARACTERS]) / _SCALE


def _scaled(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(number * _SCALE for number in numbers)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Return the font of a size in pixels."""
    return ImageFont.load_default(size)
