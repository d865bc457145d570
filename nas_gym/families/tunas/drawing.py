"""TuNAS's networks as a column of layers; the images enter at the bottom."""

from __future__ import annotations

from nas_gym.families.tunas.architecture import Row
from nas_gym.rendering.canvas import Canvas
from nas_gym.rendering.column import draw_column
from nas_gym.rendering.drawing import NewCanvas

_MOST_ROWS = 24
"""Two in the stem, 21 or 20 layers, and one or two in the head."""


def write(sketch: list[Row]) -> str:
    """Write the layers as lines of text."""
    return "\n".join(f"  {text}" for text, _, _ in sketch) or "  stem: not decided yet"


def draw(sketch: list[Row], new_canvas: NewCanvas) -> Canvas:
    """Draw a box for each layer: its width says the expansion, its colour the kernel."""
    return draw_column(sketch, _MOST_ROWS, new_canvas)
