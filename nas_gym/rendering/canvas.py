"""The canvas that pictures are drawn on, and the colours of their lines."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

WIDTH = 600
"""The usual width of a picture, in pixels."""
MARGIN = 12
INK, FAINT = "#222222", "#8a8a8a"
_SCALE = 2  # drawn larger, then reduced: smooth lines
_PAPER, _FILL = "#ffffff", "#f4f1e8"
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#b8860b", "#56b4e9", "#7a4fb5", "#4d4d4d")


def colour(state: int) -> str:
    """The colour of all lines that leave state number ``state``."""
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

    def text(self, at: tuple[float, float], text: str, size: int = 12, anchor: str = "mm") -> None:
        self._draw_above.multiline_text(
            (at[0] * _SCALE, at[1] * _SCALE),
            text,
            INK,
            font(size * _SCALE),
            anchor,
            spacing=3,
            align="center",
        )

    def subscripted(self, at: tuple[float, float], text: str, subscript: str) -> None:
        x, y = at
        self.text((x - 3, y), text, 15, "rm")
        self.text((x - 2, y + 6), subscript, 11, "lm")

    def box(
        self, box: tuple[float, ...], text: str, outline: str = FAINT, radius: float = 5
    ) -> None:
        self._draw_above.rounded_rectangle(
            _scaled(box), radius * _SCALE, _FILL, outline, width=int(1.5 * _SCALE)
        )
        self.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), text)

    def line(self, start: tuple[float, float], end: tuple[float, float], colour: str) -> None:
        self._draw.line([*_scaled(start), *_scaled(end)], colour, width=int(1.5 * _SCALE))

    def rise(
        self,
        start: tuple[float, float],
        end: tuple[float, float],
        colour: str,
        arrow: bool = False,
    ) -> None:
        """A curve that leaves ``start`` and arrives at ``end`` going upwards."""
        (x0, y0), (x1, y1) = start, end
        middle = (y0 + y1) / 2
        self.curve((start, (x0, middle), (x1, middle), end), colour, arrow)

    def curve(
        self, controls: Sequence[tuple[float, float]], colour: str, arrow: bool = False
    ) -> None:
        """The Bezier curve of four control points, with an arrow at its end if asked for."""
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


def _scaled(numbers: Sequence[float]) -> tuple[float, ...]:
    return tuple(number * _SCALE for number in numbers)


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font of a size in pixels."""
    return ImageFont.load_default(size)
