"""A network as a column of layers, from the image at the bottom to the classifier."""

from __future__ import annotations

from collections.abc import Sequence

from nas_gym.rendering.canvas import FAINT, MARGIN, WIDTH, Canvas, colour
from nas_gym.rendering.drawing import NewCanvas

_PITCH, _HEIGHT, _NARROW, _WIDE = 26, 20, 160, 300
_WIDEST = 6
"""The expansion from which on boxes are no wider."""


def draw_column(
    rows: Sequence[tuple[str, int, int]], most_rows: int, new_canvas: NewCanvas
) -> Canvas:
    """Draw a box for each row: (text, expansion, kernel), the latter 0 where there is none.

    Its width says the expansion, its colour the kernel. The picture has room for ``most_rows``.
    """
    canvas = new_canvas(WIDTH, 2 * MARGIN + _PITCH * max(most_rows, len(rows)))
    for row, (text, ratio, kernel) in enumerate(rows):
        y = canvas.height - MARGIN - _PITCH * (row + 0.5)
        half = (_NARROW + min(1.0, ratio / _WIDEST) * (_WIDE - _NARROW)) / 2
        if row:
            canvas.line((WIDTH / 2, y + _HEIGHT / 2), (WIDTH / 2, y + _PITCH - _HEIGHT / 2), FAINT)
        inside = (WIDTH / 2 - half, y - _HEIGHT / 2, WIDTH / 2 + half, y + _HEIGHT / 2)
        canvas.box(inside, text, colour(kernel // 2) if kernel else FAINT)
    return canvas
